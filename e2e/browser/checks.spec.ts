import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RestoreProof, Snapshot } from "@xvault/contracts";
import { expectJobEnd } from "./support/dashboard.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a snapshot is checked and its restore proved; damage is shown with its cause; the plan is changed", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("Check Works");
  const source = await addSource(ada, server, { name: "web-01", paths: [server.tree] });
  const job = await backUp(ada, source);
  const snapshot = await ada.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
  await signIn(page, ada);

  await page.goto(`/snapshots/${snapshot.id}`);
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByRole("menuitem", { name: /^Check: sample/ }).click();
  await expectJobEnd(page, "Success");
  await page.goto(`/snapshots/${snapshot.id}`);
  await expect(page.getByText("Certain that nothing is lost").filter({ visible: true })).toBeVisible();
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByRole("menuitem", { name: /^Prove a restore: every file/ }).click();
  await expectJobEnd(page, "Success");

  await page.goto("/checks");
  await expect(page.getByText("1 copy, none known to be damaged.")).toBeVisible();
  const drills = page.getByRole("table", { name: "Restore drills by source" });
  await expect(drills).toContainText("Passed");
  await expect(drills).toContainText("Within the objective");
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save the proof for web-01" }).click();
  const saved = readFileSync(await (await saving).path(), "utf8");
  expect(JSON.parse(saved) as RestoreProof).toMatchObject({ snapshot_id: snapshot.id, outcome: "passed" });
  await picture(page, "checks");

  const artifact = join(snapshot.locator.local_path ?? "", "backup.tar.zst.enc");
  const bytes = readFileSync(artifact);
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  writeFileSync(artifact, bytes);
  await ada.api.ended(await ada.api.post(`/snapshots/${snapshot.id}/verification`, { depth: "whole" }));
  await page.reload();
  await expect(page.getByText("1 of 1 copy damaged or missing.")).toBeVisible();
  const copies = page.getByRole("table", { name: "Copies and their checks" });
  await expect(copies).toContainText("Corrupt");
  await expect(copies).toContainText("does not match its hash");
  await picture(page, "damaged");

  await page.getByLabel("Blocks drawn by chance").fill("3");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Checks follow the new plan.").first()).toBeVisible();
  await expect(page.getByText(/^Every 3 days, samples/)).toBeVisible();
});
