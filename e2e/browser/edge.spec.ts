import type { Source } from "@xvault/contracts";
import { createHash } from "node:crypto";
import { expectFailure, expectJobState } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/test.ts";

test.skip(missing !== null, missing ?? "");

test("an edge source and its packages: nothing to press that cannot work, live reports, no false promise", async ({
  page,
  watch,
  picture,
}) => {
  const ada = await signUpByApi("Edge Works");
  const source = await ada.api.post<Source>("/sources", { source_id: "site/laptop 7", label: "Ada's laptop" });
  const checksum = createHash("sha256").update("a document").digest("hex");
  const announce = async (path: string, more: object = {}) =>
    (await ada.api.post<{ job_id: string }>("/ingest", { source_id: "site/laptop 7", path, ...more })).job_id;
  const report = (id: string, said: object) => ada.api.patch(`/packages/${id}`, said);
  await signIn(page, ada);
  const main = page.getByRole("main");

  await test.step("its page says that it sends by itself, and offers no connection, login, schedule or backup", async () => {
    await page.goto("/sources");
    const row = page.getByRole("row").filter({ hasText: "Ada's laptop" });
    await expect(row).toContainText("edge · site/laptop 7");
    await expect(row).toContainText("sends by itself");
    await expect(row.getByRole("button")).toHaveCount(0);
    await row.getByRole("link", { name: "Ada's laptop" }).click();
    const card = page.getByRole("region", { name: "Edge source" });
    await expect(card).toContainText("This source sends by itself");
    await expect(card).toContainText("never");
    for (const name of ["Connection", "Schedule", "What is backed up", "Snapshots"]) {
      await expect(page.getByRole("region", { name, exact: true })).toHaveCount(0);
    }
    await expect(page.getByRole("button", { name: /Back up now|Test|Change login|Check host key/ })).toHaveCount(0);
    await page.goto("/");
    await expect(page.getByRole("region", { name: "First steps" })).toContainText("0 of 4 done");
    await expect(page.getByRole("region", { name: "Protection" })).toContainText("Ada's laptop has no backup yet.");
  });

  const document = await announce("home/ada/documents", { size_bytes: 4 * 1024 * 1024, checksum, tier_hint: "warm" });
  await test.step("a package that waits, is worked on and ends is followed live", async () => {
    await page.goto(`/jobs/${document}`);
    await expect(page).toHaveTitle("Package from Ada's laptop · xVault");
    await expect(page.getByText("Waiting for the client to begin.")).toBeVisible();
    const card = page.getByRole("region", { name: "Package" });
    await expect(card).toContainText("home/ada/documents");
    await expect(card).toContainText("4.00 MiB");
    await expect(card).toContainText("Warm");
    await expect(card.getByTitle(checksum)).toBeVisible();
    await report(document, { progress_percent: 50 });
    await expectJobState(page, "Running");
    await expect(page.getByText("2.00 MiB of 4.00 MiB")).toBeVisible();
    await expect(main.getByText("Rate", { exact: true })).toHaveCount(0);
    expect(await inspect(page, "a package under way")).toEqual([]);
    await picture(page, "package-running");
    await report(document, { status: "completed", checksum });
    await expectJobState(page, "Success");
    await expect(page.getByText("xVault has not seen the data")).toBeVisible();
    await expect(main.getByText("Attempt", { exact: true })).toHaveCount(0);
    await expect(page.getByRole("button", { name: "Run again" })).toHaveCount(0);
    await expect(page.getByRole("log", { name: "Job log" })).toContainText("The client says that it is complete.");
  });

  await test.step("a failure is the client's; what waits can be cancelled, and the client is refused then", async () => {
    const mail = await announce("home/ada/mail");
    await report(mail, { status: "failed" });
    await page.goto(`/jobs/${mail}`);
    await expectFailure(page, /The edge client reported that it failed/, "EDGE_FAILED");
    await expect(page.getByRole("region", { name: "Package" })).toContainText("not told");
    const music = await announce("home/ada/music");
    await page.goto(`/jobs/${music}`);
    await page.getByRole("button", { name: "Cancel this job" }).click();
    await expectJobState(page, "Cancelled");
    await expect(page.getByText("The client learns of it with its next report.")).toBeVisible();
    await expect(report(music, { status: "completed" })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  await test.step("the list of jobs knows the kind, and the job leads back to the source", async () => {
    await page.goto("/jobs");
    await page.getByRole("combobox", { name: "Kind" }).click();
    await page.getByRole("option", { name: "Package" }).click();
    await expect(page).toHaveURL(/type=ingest/);
    const rows = page.getByRole("table", { name: "Jobs" }).getByRole("row");
    await expect(rows).toHaveCount(4);
    await expect(rows.filter({ hasText: "home/ada/documents" })).toContainText("Success");
    await page.getByRole("combobox", { name: "State" }).click();
    await page.getByRole("option", { name: "Warning" }).click();
    await expect(page.getByText("No job fits these filters.")).toBeVisible();
    await page.getByRole("link", { name: "Show all" }).click();
    await expect(rows).toHaveCount(4);
    await rows.filter({ hasText: "home/ada/documents" }).getByRole("link", { name: "Package" }).click();
    await page.getByRole("region", { name: "Details" }).getByRole("link", { name: "Ada's laptop" }).click();
    await expect(page.getByRole("region", { name: "Edge source" })).not.toContainText("never");
    const jobs = page.getByRole("region", { name: "Jobs" });
    await expect(jobs.getByRole("link", { name: "Package" })).toHaveCount(3);
    await expect(jobs).toContainText("home/ada/music");
    expect(await inspect(page, "edge source")).toEqual([]);
    await picture(page, "edge-source");
  });

  await test.step("renamed, paused, resumed and removed like any other", async () => {
    await page.getByRole("button", { name: "Rename" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("laptop-07");
    await dialog.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("heading", { name: "laptop-07" })).toBeVisible();
    await page.getByRole("button", { name: "Pause" }).click();
    await expect(page.getByText("packages of it are refused until you resume it").first()).toBeVisible();
    await expect(announce("home/ada/more")).rejects.toMatchObject({ code: "SOURCE_PAUSED" });
    await page.getByRole("button", { name: "Resume" }).click();
    await expect(page.getByRole("button", { name: "Pause" })).toBeVisible();
    watch.expectStatus(404);
    await page.getByRole("button", { name: "Remove" }).click();
    await expect(dialog).toContainText("A package that its client announces later registers it anew.");
    await expect(dialog).not.toContainText("login");
    await dialog.getByRole("button", { name: "Remove source" }).click();
    await expect(page.getByText("No source yet")).toBeVisible();
    await expect(ada.api.get(`/sources/${source.id}`)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

test("a page that does not exist follows the colours of the system while it is open", async ({ page }) => {
  for (const first of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: first });
    await page.goto("/there/is/no/such/page");
    await expect(page.getByText("There is no such page")).toBeVisible();
    expect(await inspect(page, `not found, first ${first}`)).toEqual([]);
  }
});
