import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { treeFacts } from "../system/trees.ts";
import { openSnapshotFolder, withPassword } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, apiOf, backUp, newcomer, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { ROOT, runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

test("a new key where xVault holds it: old snapshots open as before, and the kit taken afterwards opens both", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("New Key Works");
  const source = await addSource(ada, server, { name: "web-01", paths: [server.mockData] });
  const before = await backUp(ada, source);
  await signIn(page, ada);
  await page.goto("/keys");
  const rows = page.getByRole("table", { name: "Keys of this workspace" }).getByRole("row");
  await expect(rows).toHaveCount(2);
  const old = await recipientOf(page, "Active");

  await page.getByRole("button", { name: "Change key" }).click();
  const dialog = page.getByRole("dialog", { name: "Change the key" });
  await expect(dialog).toContainText("Old ones stay readable with the old key.");
  expect(await inspect(page, "change the key")).toEqual([]);
  const change = () => dialog.getByRole("button", { name: "Change key" }).click();
  await withPassword(page, ada.password, change, rows.nth(2));
  await expect(dialog).toBeHidden();
  await expect(rows.filter({ hasText: "Active" })).toHaveCount(1);
  expect(await recipientOf(page, "Retired")).toBe(old);
  expect(await recipientOf(page, "Active")).not.toBe(old);
  await picture(page, "changed");

  const after = await backUp(ada, source);
  const [kit] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download recovery kit" }).click(),
  ]);
  const kitFile = join(runningStack().folder, `kit-both-${process.pid}.txt`);
  await kit.saveAs(kitFile);
  expect(readFileSync(kitFile, "utf8").match(/AGE-SECRET-KEY-1/g)).toHaveLength(2);

  for (const [job, name] of [
    [before, "before"],
    [after, "after"],
  ] as const) {
    await page.goto(`/snapshots/${job.snapshot_id}`);
    await openSnapshotFolder(page, server.mockData);
    await expect(page.getByRole("table", { name: "Files in the snapshot" })).toContainText("report.json");
    const out = join(runningStack().folder, `opened-${name}-${process.pid}`);
    restore(job.snapshot_id ?? "", { kitFile, out, token: await tokenOf(ada) });
    expect(treeFacts(join(out, server.mockData))).toEqual(treeFacts(server.mockData));
  }
  await page.goto("/snapshots");
  await expect(page.getByRole("table", { name: "Snapshots" }).getByRole("link", { name: "web-01" })).toHaveCount(2);
});

test("a new key where the customer holds it: proven before it counts; each snapshot takes its own kit", async ({
  page,
  server,
  picture,
}) => {
  const ada = newcomer("New Own Key Works");
  const kits = { first: kitPath("first"), second: kitPath("second") };
  await page.goto("/signup");
  await page.getByLabel("Your name").fill(ada.name);
  await page.getByLabel("Workspace name").fill(ada.workspace);
  await page.getByLabel("E-mail").fill(ada.email);
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("radio", { name: "You hold it" }).click();
  await page.getByRole("button", { name: "Continue to your key" }).click();
  await saveAndProve(page, kits.first);
  await page.getByRole("button", { name: "Create workspace" }).click();
  await expect(page.getByText("0 of 4 done")).toBeVisible();
  const api = await apiOf(ada);
  const source = await addSource({ api }, server, { name: "db-01", paths: [server.mockData] });
  const before = await backUp({ api }, source);

  await page.goto("/keys");
  await page.getByRole("button", { name: "Change key" }).click();
  const dialog = page.getByRole("dialog", { name: "Change the key" });
  const change = dialog.getByRole("button", { name: "Change key" });
  await expect(change).toBeDisabled();
  await saveAndProve(page, kits.second);
  await picture(page, "proven");
  const rows = page.getByRole("table", { name: "Keys of this workspace" }).getByRole("row");
  await withPassword(page, ada.password, () => change.click(), rows.nth(2));
  await expect(dialog).toBeHidden();
  const after = await backUp({ api }, source);

  const token = await tokenOf(ada);
  const out = (name: string) => join(runningStack().folder, `own-${name}-${process.pid}`);
  restore(before.snapshot_id ?? "", { kitFile: kits.first, out: out("old"), token });
  restore(after.snapshot_id ?? "", { kitFile: kits.second, out: out("new"), token });
  for (const name of ["old", "new"]) {
    expect(treeFacts(join(out(name), server.mockData))).toEqual(treeFacts(server.mockData));
  }
  expect(() => restore(after.snapshot_id ?? "", { kitFile: kits.first, out: out("wrong"), token })).toThrow(
    /KEY_MISMATCH/,
  );
});

const kitPath = (name: string) => join(runningStack().folder, `kit-${name}-${process.pid}.txt`);

/** Saves the kit that the page offers, and proves by it that the key works. */
async function saveAndProve(page: Page, file: string): Promise<void> {
  const [kit] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download recovery kit" }).click(),
  ]);
  await kit.saveAs(file);
  await page.getByLabel("Recovery kit file").setInputFiles(file);
  await expect(page.getByText("The kit opened the test text. Your key works.")).toBeVisible();
}

/** The recipient of the key in this state, as the list shows it in full on hover. */
async function recipientOf(page: Page, state: string): Promise<string> {
  const row = page.getByRole("row").filter({ hasText: state });
  return (await row.locator('code[title^="age1"]').getAttribute("title")) ?? "";
}

async function tokenOf({ email, password }: { email: string; password: string }): Promise<string> {
  const made = await fetch(`${runningStack().url}/api/v1/auth/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password, name: "command line" }),
  });
  return ((await made.json()) as { token: string }).token;
}

/** Opens a snapshot with a kit on the command line. Throws with what that said. */
function restore(snapshot: string, { kitFile, out, token }: { kitFile: string; out: string; token: string }): void {
  const args = ["restore", snapshot, "--identity", kitFile, "--target", out];
  execFileSync(join(ROOT, "node_modules/.bin/xvault"), args, {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: runningStack().folder,
      XVAULT_URL: runningStack().url,
      XVAULT_TOKEN: token,
    },
    stdio: "pipe",
  });
}
