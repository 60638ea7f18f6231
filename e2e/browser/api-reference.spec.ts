import type { Package } from "@xvault/contracts";
import { signIn, signUpByApi } from "./support/people.ts";
import { expect, test } from "./support/servers.ts";
import { missing } from "./support/prerequisites.ts";

test.skip(missing !== null, missing ?? "");

test("an integrator finds a call, reads what it takes, sends it with the session and with a token, and copies it for a shell", async ({
  page,
  picture,
  watch,
}) => {
  const ada = await signUpByApi("Reference Works");
  await signIn(page, ada);
  await page.getByRole("link", { name: "API", exact: true }).click();
  await page.getByLabel("Find a call").fill("announce");
  const row = page.getByRole("button", { name: /POST \/ingest/ });
  await row.click();
  await expect(row).toHaveAttribute("aria-expanded", "true");
  await expect(page.getByRole("list", { name: "Fields of the body" })).toContainText("user_data | app_logs");
  const form = page.getByRole("form", { name: /^Try Announce a package/ });
  const answer = form.getByRole("region", { name: "Answer", exact: true });

  // What the document gives as an example is carried out as it stands.
  await form.getByRole("button", { name: "Send" }).click();
  await expect(answer).toContainText("200");
  await answer.getByText("Headers").click();
  await expect(answer.getByRole("list", { name: "Headers of the answer" })).toContainText("ratelimit");
  await picture(page, "sent");
  const { items } = await ada.api.get<{ items: Package[] }>("/packages");
  expect(items.map(({ path }) => path)).toEqual(["backup/2024-01/data"]);

  const body = form.getByLabel("Body", { exact: true });
  await body.fill("{");
  await expect(form.getByText("This is not JSON.")).toBeVisible();
  await expect(form.getByRole("button", { name: "Send" })).toBeDisabled();
  watch.expectStatus(400);
  await body.fill('{"source_id": "my-laptop"}');
  await form.getByRole("button", { name: "Send" }).click();
  await expect(answer).toContainText("INPUT_INVALID");
  await expect(page.getByLabel("curl command", { exact: true })).toContainText(`-d '{"source_id": "my-laptop"}'`);

  // A token's own limits hold here too; and the open call is in the address.
  const { token } = await ada.api.post<{ token: string }>("/auth/token", {
    email: ada.email,
    password: ada.password,
    scopes: ["jobs:read"],
  });
  watch.expectStatus(403);
  await page.reload();
  await form.getByLabel("API token").fill(token);
  await form.getByRole("button", { name: "Send" }).click();
  await expect(answer).toContainText("SCOPE_MISSING");
  await expect(page.getByLabel("curl command", { exact: true })).not.toContainText(token);

  // What removes something asks first.
  const { id } = await ada.api.post<{ id: string }>("/sources", { source_id: "to be removed" });
  await page.goto("/api-reference?call=sources-remove");
  const removal = page.getByRole("form", { name: /^Try Remove a source/ });
  await removal.getByLabel("id").fill(id);
  await removal.getByRole("button", { name: "Send" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send it" }).click();
  await expect(removal.getByRole("region", { name: "Answer", exact: true })).toContainText("200");
  await expect(ada.api.get(`/sources/${id}`)).rejects.toMatchObject({ code: "NOT_FOUND" });
});
