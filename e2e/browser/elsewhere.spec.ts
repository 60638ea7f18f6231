import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { treeFacts } from "../system/trees.ts";
import { expectFailure, expectJobEnd, openSnapshotFolder } from "./support/dashboard.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a restore to another source, with each answer to what exists there already, read on its disk", async ({
  page,
  server,
  newServer,
  picture,
}) => {
  const ada = await signUpByApi("Elsewhere Works");
  const spare = await newServer("spare");
  const source = await addSource(ada, server, { name: "web-01", paths: [server.tree] });
  const onSame = await addSource(ada, server, { name: "web-01-standby", paths: [server.mockData] });
  await addSource(ada, spare, { name: "spare-01", paths: [spare.mockData] });
  await ada.api.post("/sources", { source_id: "laptop", label: "A laptop" });
  const { snapshot_id: snapshot } = await backUp(ada, source);
  await signIn(page, ada);

  const out = join(spare.home, "restored");
  await test.step("all of it to another server: the targets offered are servers, the files come out the same", async () => {
    await page.goto(`/snapshots/${snapshot}`);
    await page.getByRole("button", { name: "Restore all" }).click();
    await page.getByRole("radio", { name: "To another source" }).click();
    await page.getByRole("combobox", { name: "Source to write to" }).click();
    await expect(page.getByRole("option")).toHaveText(["spare-01", "web-01-standby"]);
    await page.getByRole("option", { name: "spare-01" }).click();
    await page.getByLabel("Directory", { exact: true }).fill("relative");
    await expect(page.getByText("Use an absolute path without '..'.")).toBeVisible();
    await expect(page.getByRole("button", { name: "Start restore" })).toBeDisabled();
    await page.getByLabel("Directory", { exact: true }).fill(out);
    await expect(page.getByRole("region", { name: "4. Start" })).toContainText(`written to spare-01, below ${out}.`);
    await picture(page, "to-another");
    await page.getByRole("button", { name: "Start restore" }).click();
    await expectJobEnd(page, "Success");
    await expect(page.getByRole("heading", { name: /Restore to spare-01/ })).toBeVisible();
    expect(treeFacts(join(out, server.tree))).toEqual(treeFacts(server.tree));
    expect(spare.log()).toContain("Accepted publickey");
  });

  const settings = join(server.tree, "settings.ini");
  const original = readFileSync(settings, "utf8");
  const restored = join(out, settings);
  const restoreOne = async (choice: string, place: { source: string; directory: string }) => {
    await page.goto(`/snapshots/${snapshot}`);
    await openSnapshotFolder(page, server.tree);
    await page.getByRole("checkbox", { name: "Select settings.ini" }).click();
    await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Restore" }).click();
    await page.getByRole("radio", { name: "To another source" }).click();
    await page.getByRole("combobox", { name: "Source to write to" }).click();
    await page.getByRole("option", { name: place.source }).click();
    await page.getByLabel("Directory", { exact: true }).fill(place.directory);
    await page.getByRole("radio", { name: choice }).click();
    await page.getByRole("button", { name: "Start restore" }).click();
    await expectJobEnd(page, "Success");
  };
  const there = { source: "spare-01", directory: out };

  await test.step("'keep', 'replace older', 'replace every': what is on the disk afterwards is what was chosen", async () => {
    const newer = "changed on the spare server, later than the snapshot\n";
    const later = new Date(statSync(settings).mtimeMs + 3_600_000);
    writeFileSync(restored, newer);
    utimesSync(restored, later, later);
    await restoreOne("Keep existing files", there);
    await expectCounts(page, { written: 0, left: 1 });
    expect(readFileSync(restored, "utf8")).toBe(newer);
    await restoreOne("Replace older files", there);
    expect(readFileSync(restored, "utf8")).toBe(newer);
    const before = new Date(statSync(settings).mtimeMs - 3_600_000);
    utimesSync(restored, before, before);
    await restoreOne("Replace older files", there);
    expect(readFileSync(restored, "utf8")).toBe(original);
    writeFileSync(restored, newer);
    utimesSync(restored, later, later);
    await restoreOne("Replace every file", there);
    await expectCounts(page, { written: 1, left: 0 });
    expect(readFileSync(restored, "utf8")).toBe(original);
    // SFTP knows whole seconds.
    expect(Math.floor(statSync(restored).mtimeMs / 1000)).toBe(Math.floor(statSync(settings).mtimeMs / 1000));
  });

  await test.step("to a second source on the same server, into the original places, with a warning before", async () => {
    writeFileSync(settings, "lost\n");
    const at = new Date(Date.now() + 5000);
    utimesSync(settings, at, at);
    await page.goto(`/snapshots/${snapshot}`);
    await openSnapshotFolder(page, server.tree);
    await page.getByRole("checkbox", { name: "Select settings.ini" }).click();
    await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Restore" }).click();
    await page.getByRole("radio", { name: "To another source" }).click();
    await page.getByRole("combobox", { name: "Source to write to" }).click();
    await page.getByRole("option", { name: onSame.name }).click();
    await page.getByRole("radio", { name: "The original places" }).click();
    await expect(page.getByText("Files in use may be replaced")).toBeHidden();
    await page.getByRole("radio", { name: "Replace files that differ" }).click();
    await expect(page.getByText("Files in use may be replaced")).toBeVisible();
    await page.getByRole("button", { name: "Start restore" }).click();
    await expectJobEnd(page, "Success");
    expect(readFileSync(settings, "utf8")).toBe(original);
  });

  await test.step("a server that is away is told by the job, with a way on", async () => {
    await spare.stop();
    await page.goto(`/restore?snapshot=${snapshot}`);
    await page.getByRole("radio", { name: "To another source" }).click();
    await page.getByRole("combobox", { name: "Source to write to" }).click();
    await page.getByRole("option", { name: "spare-01" }).click();
    await page.getByLabel("Directory", { exact: true }).fill(join(spare.home, "never"));
    await page.getByRole("button", { name: "Start restore" }).click();
    await expect(page).toHaveURL(/\/jobs\//);
    const alert = await expectFailure(page, /nothing listens on that port/, "HOST_UNREACHABLE");
    await expect(alert.getByRole("link", { name: "Check the address" })).toBeVisible();
    expect(existsSync(join(spare.home, "never"))).toBe(false);
  });
});

/** What a restore says that it did. */
async function expectCounts(page: Page, counts: { written: number; left: number }): Promise<void> {
  const facts = page.getByRole("region", { name: "Progress" }).locator("dl > div");
  await expect(facts.filter({ hasText: "Entries written" }).locator("dd")).toHaveText(String(counts.written));
  await expect(facts.filter({ hasText: "Left as they were" }).locator("dd")).toHaveText(String(counts.left));
}
