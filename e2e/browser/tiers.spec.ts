import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expectBaseline } from "./support/baselines.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { ROOT } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

interface MockFile {
  path: string;
  size_bytes: number;
  checksum: string;
  tier_hint: string;
}
const MANIFEST = readFileSync(join(ROOT, "e2e/fixtures/mock-data/MANIFEST.json"), "utf8");
const { files } = JSON.parse(MANIFEST) as { files: MockFile[] };

test("packages in their tiers, the train, rules that are changed, and a snapshot that is pinned", async ({
  page,
  server,
  watch,
  picture,
}) => {
  const ada = await signUpByApi("Tier Works");
  for (const { path, size_bytes, checksum, tier_hint } of files) {
    const said = { source_id: "edge-01", path, size_bytes, checksum, tier_hint };
    const { job_id } = await ada.api.post<{ job_id: string }>("/ingest", said);
    await ada.api.patch(`/packages/${job_id}`, { status: "completed", checksum });
  }
  const source = await addSource(ada, server, { name: "web-01", paths: [server.mockData] });
  await signIn(page, ada);
  const table = page.getByRole("table", { name: "Packages" });
  const train = page.getByRole("list", { name: "Clients and tiers" });

  await test.step("the mock data, as a client reports it, each in its tier", async () => {
    await page.goto("/packages");
    for (const { path, tier_hint } of files) {
      const row = table.getByRole("row").filter({ has: page.getByRole("link", { name: path, exact: true }) });
      await expect(row).toContainText(tier_hint, { ignoreCase: true });
      await expect(row).toContainText("Reported only");
    }
    expect(await inspect(page, "packages")).toEqual([]);
    await expectBaseline(page, page.locator("#content"), "packages");
  });

  await test.step("the train shows what is where", async () => {
    await page.goto("/");
    await expect(train.getByRole("link", { name: /Hot/ })).toContainText("2 packages");
    await expectBaseline(page, page.getByRole("region", { name: "The way of the data" }), "train");
  });

  await test.step("rules are changed with their picture beside them; wrong ones are refused in place", async () => {
    await page.goto("/retention");
    const rules = page.getByRole("table", { name: "Rules by kind of data" });
    const row = rules.getByRole("row").filter({ hasText: "User data" });
    await expect(row).toContainText("7 days");
    await expect(page.getByRole("img", { name: /After 365 days 366 of 366 backups are there/ })).toBeVisible();
    await page.getByRole("button", { name: "Change the rules for user data" }).click();
    const dialog = page.getByRole("dialog");
    watch.expectStatus(400);
    await dialog.getByLabel("Hot", { exact: true }).fill("40");
    await expect(dialog.getByText(/warm_days \(30\) is not above hot_days \(40\)/)).toBeVisible();
    await dialog.getByLabel("Hot", { exact: true }).fill("3");
    await dialog.getByLabel("Days", { exact: true }).fill("14");
    await expect(
      dialog.getByRole("img", { name: /After 365 days 14 of 366 backups are there: 3 hot, 11 warm/ }),
    ).toBeVisible();
    expect(await inspect(page, "rules")).toEqual([]);
    await dialog.getByRole("heading").first().click();
    await expectBaseline(page, dialog, "rules");
    await dialog.getByRole("button", { name: "Save" }).click();
    await expect(row).toContainText("3 days");
    await expect(row).toContainText("days 14");
    await page.getByRole("button", { name: "Use this preset: On premises" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Use it" }).click();
    await expect(rules.getByRole("row").filter({ hasText: "Cache" })).toContainText("14 days");
    await expect(page.getByText("The preset was changed.", { exact: true })).toHaveCount(0);
    expect(await inspect(page, "retention")).toEqual([]);
    await expectBaseline(page, page.locator("#content"), "retention");
  });

  const backup = await backUp(ada, source);
  await test.step("what is pulled stands beside it, and in what happens next", async () => {
    await page.goto("/packages");
    const pulled = table.getByRole("row").filter({ hasText: server.mockData });
    await expect(pulled).toContainText("Hot");
    await expect(pulled).toContainText("Stored");
    await page.goto("/retention");
    await expect(page.getByRole("region", { name: "What happens next" })).toContainText("web-01");
  });

  await test.step("the train leads to a tier's packages", async () => {
    await page.goto("/");
    await expect(train.getByRole("link", { name: /Clients/ })).toContainText("2 sources");
    await expect(train.getByRole("link", { name: /Hot/ })).toContainText("3 packages");
    await expect(train.getByRole("link", { name: /Cold/ })).toContainText("1 package");
    expect(await inspect(page, "overview with the train")).toEqual([]);
    await picture(page, "overview");
    await train.getByRole("link", { name: /Warm/ }).click();
    await expect(page).toHaveURL(/\/packages\?bucket=warm/);
    await expect(table.getByRole("row")).toHaveCount(3);
  });

  await test.step("a snapshot is pinned, put on hold, and let go again", async () => {
    await page.goto(`/snapshots/${backup.snapshot_id}`);
    const menu = async (item: RegExp) => {
      await page.getByRole("button", { name: "More for this snapshot" }).click();
      await page.getByRole("menuitem", { name: item }).click();
    };
    const main = page.getByRole("main");
    await menu(/^Pin/);
    await expect(main.getByText("Pinned", { exact: true })).toBeVisible();
    await menu(/^Put on hold/);
    await page.getByRole("dialog").getByRole("button", { name: "Put on hold" }).click();
    await expect(main.getByText(/On hold until/)).toBeVisible();
    expect(await inspect(page, "a pinned snapshot")).toEqual([]);
    await picture(page, "pinned");
    await menu(/^Lift the hold/);
    await expect(main.getByText(/On hold until/)).toHaveCount(0);
    await menu(/^Unpin/);
    await expect(main.getByText("Pinned", { exact: true })).toHaveCount(0);
  });
});
