import type { Source } from "@xvault/contracts";
import { createClient } from "@xvault/test-kit/stack";
import { withPassword } from "./support/dashboard.ts";
import { addSource, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

test("an API token made in the browser does what its scopes say, until it is revoked", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("Token Works");
  const source = await addSource(ada, server, { name: "api-01", paths: [server.mockData] });
  await signIn(page, ada);
  await page.goto("/tokens");
  await page.getByRole("button", { name: "Create a token" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("nightly report");
  await expect(dialog.getByRole("checkbox", { name: "sources:read" })).toBeChecked();
  await expect(dialog.getByRole("checkbox", { name: "backups:run" })).not.toBeChecked();
  const shown = page.getByLabel("token", { exact: true });
  await withPassword(page, ada.password, () => dialog.getByRole("button", { name: "Create token" }).click(), shown);
  const token = await shown.innerText();
  await page.getByRole("button", { name: "I have stored it" }).click();
  await expect(page.getByText(token)).toBeHidden();

  const program = createClient(runningStack().url, { bearer: token });
  const { items } = await program.get<{ items: Source[] }>("/sources");
  expect(items.map(({ id, name }) => ({ id, name }))).toEqual([{ id: source.id, name: "api-01" }]);
  await expect(program.post(`/sources/${source.id}/backup`)).rejects.toMatchObject({
    code: "SCOPE_MISSING",
    status: 403,
  });

  await page.reload();
  const row = page.getByRole("row").filter({ hasText: "nightly report" });
  await expect(row).toContainText("Active");
  await expect(row).not.toContainText("never");
  await row.getByRole("button", { name: /^Revoke/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke token" }).click();
  await expect(row).toContainText("Revoked");
  await picture(page, "revoked");
  await expect(program.get("/sources")).rejects.toMatchObject({ code: "TOKEN_INVALID", status: 401 });
});
