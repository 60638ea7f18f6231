import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectJobEnd, withPassword } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("what a restore would do is shown before it starts, and it then does that", async ({ page, server, picture }) => {
  const ada = await signUpByApi("Preview Works");
  const root = join(server.home, "files");
  const target = join(server.home, "back");
  mkdirSync(root);
  for (const name of ["one", "two", "three"]) writeFileSync(join(root, name), name.repeat(1000));
  const source = await addSource(ada, server, { name: "web-01", paths: [root] });
  const job = await backUp(ada, source);
  mkdirSync(join(target, root), { recursive: true });
  writeFileSync(join(target, root, "two"), "here already");
  await signIn(page, ada);
  await page.goto(`/restore?snapshot=${job.snapshot_id}`);
  await page.getByLabel("Directory", { exact: true }).fill(target);
  await page.getByRole("button", { name: "Preview: find out what this restore would do" }).click();
  const preview = page.getByRole("region", { name: "Preview" });
  await expect(preview).toContainText("2 files");
  await expect(preview).toContainText("Free on the server");
  expect(await inspect(page, "preview of a restore")).toEqual([]);
  await picture(page, "preview");
  await page.getByRole("radio", { name: "Replace every file" }).click();
  await expect(preview).toBeHidden();
  await page.getByRole("button", { name: "Preview: find out what this restore would do" }).click();
  await expect(preview).toContainText("3 files");
  await page.getByRole("checkbox", { name: "Compare every written file afterwards" }).click();
  await withPassword(
    page,
    ada.password,
    () => page.getByRole("button", { name: "Start restore" }).click(),
    page.getByText("Restore to web-01", { exact: true }),
  );
  await expectJobEnd(page, "Success");
});
