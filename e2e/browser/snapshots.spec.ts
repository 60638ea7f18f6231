import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry, Snapshot } from "@xvault/contracts";
import { expectFailure, expectJobEnd, withPassword } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a run that takes only what changed, a full one, and the removal of what nobody needs", async ({
  page,
  server,
  watch,
  picture,
}) => {
  watch.expectStatus(409);
  const ada = await signUpByApi("Removal Works");
  const root = join(server.home, "settled");
  mkdirSync(root);
  for (const name of ["one", "two", "three"]) {
    writeFileSync(join(root, name), name.repeat(1000));
    // Long unchanged: what was written a moment ago is read again to be sure. SFTP tells no other time than this.
    utimesSync(join(root, name), 1_700_000_000, 1_700_000_000);
  }
  const source = await addSource(ada, server, { name: "web-01", paths: [root], transport: "sftp" });
  const first = await backUp(ada, source);
  await signIn(page, ada);
  const menu = page.getByRole("button", { name: "More for this snapshot" });
  const dialog = page.getByRole("dialog", { name: "Remove this snapshot for good?" });
  const confirm = () => dialog.getByRole("button", { name: "Remove for good" }).click();

  let second = "";
  await test.step("the second run says what it did not read again, and its snapshot on whose data it rests", async () => {
    await page.goto(`/sources/${source.id}`);
    await page.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(page, "Success");
    await expect(page.getByText("3, 3 unchanged since the last run", { exact: true })).toBeVisible();
    await picture(page, "job");
    await page.getByRole("link", { name: "Open the snapshot" }).click();
    await expect(page.getByText(/of them lie in one earlier snapshot, which stays as long as this one/)).toBeVisible();
    await expect(page.getByRole("table", { name: "Files in the snapshot" })).toBeVisible();
    await picture(page, "snapshot");
    second = page.url().split("/").at(-1) ?? "";
  });

  await test.step("what the second one needs is not removed, and the dialog says why", async () => {
    await page.goto(`/snapshots/${first.snapshot_id}`);
    await menu.click();
    await page.getByRole("menuitem", { name: "Remove this snapshot…" }).click();
    await expect(dialog).toContainText("can never be restored again");
    expect(await inspect(page, "remove a snapshot")).toEqual([]);
    await picture(page, "remove");
    const refusal = dialog.getByRole("alert");
    await withPassword(page, ada.password, confirm, refusal);
    await expectFailure(dialog, /One later snapshot uses data of this one/, "SNAPSHOT_NEEDED");
    await picture(page, "refused");
    await dialog.getByRole("button", { name: "Cancel" }).click();
  });

  await test.step("a full backup rests on nothing, and lets the earlier ones go", async () => {
    await page.goto(`/sources/${source.id}`);
    await page.getByRole("button", { name: "Other kinds of backup" }).click();
    await expect(page.getByRole("menuitem", { name: "Full backup" })).toContainText("anew");
    await picture(page, "full");
    await page.getByRole("menuitem", { name: "Full backup" }).click();
    await expectJobEnd(page, "Success");
    await expect(page.getByText(/unchanged since the last run/)).toHaveCount(0);

    await page.goto(`/snapshots/${second}`);
    await menu.click();
    await page.getByRole("menuitem", { name: "Remove this snapshot…" }).click();
    await dialog.getByLabel("Reason").fill("made by mistake");
    await confirm();
    await expectJobEnd(page, "Success");
    await expect(page.getByText("Removal of web-01", { exact: true })).toBeVisible();
    await expect(page.getByText("Space freed", { exact: true })).toBeVisible();
    await picture(page, "removal");
  });

  await test.step("it is in no list any more; its page says what became of it, the audit log why", async () => {
    const left = (await ada.api.get<{ items: Snapshot[] }>("/snapshots")).items.map(({ id }) => id);
    expect(left).toContain(first.snapshot_id);
    expect(left).not.toContain(second);
    await page.goto("/snapshots");
    await expect(page.getByRole("row").filter({ hasText: "web-01" })).toHaveCount(2);
    await page.goto(`/snapshots/${second}`);
    await expect(page.getByText(/^This snapshot was removed on /)).toBeVisible();
    await expect(page.getByText("Removed", { exact: true })).toBeVisible();
    for (const name of ["Check now", "Restore all", "Download all", "More for this snapshot"]) {
      await expect(page.getByRole("button", { name })).toHaveCount(0);
    }
    expect(await inspect(page, "a removed snapshot")).toEqual([]);
    await picture(page, "removed");
    const { items } = await ada.api.get<{ items: AuditEntry[] }>("/audit?limit=100");
    const entry = items.find(({ action }) => action === "snapshot.removed");
    expect(entry).toMatchObject({ target_id: second, data: { reason: "made by mistake" } });
  });
});
