import type { Page } from "@playwright/test";
import type { Storage } from "@xvault/contracts";
import { type Radosgw, radosgwAvailable, startRadosgw } from "@xvault/test-kit/s3";
import { confirmHostKey, enterAddress, enterPrivateKey, expectJobEnd } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

const because = missing ?? radosgwAvailable();
test.skip(because !== null, because ?? "");

let gateway: Radosgw;
test.beforeAll(async () => {
  gateway = await startRadosgw();
  await gateway.createBucket("acme-backups");
});
test.afterAll(() => gateway.stop());

test("a bucket is added, a wrong secret told and put right; a source is placed on it, and its snapshot copied to the worker's disk", async ({
  page,
  server,
  picture,
}) => {
  const [user] = gateway.users;
  const ada = await signUpByApi("Storage Works");
  const source = await addSource(ada, server, { name: "web-01", paths: [server.mockData] });
  await signIn(page, ada);
  await page.getByRole("link", { name: "Storage", exact: true }).click();
  const table = page.getByRole("table", { name: "Storages" });
  await expect(table.getByRole("link", { name: "Worker disks" })).toBeVisible();

  await page.getByRole("button", { name: "Add storage" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Offsite bucket");
  await dialog.getByRole("combobox", { name: "Provider" }).click();
  await page.getByRole("option", { name: "Ceph or MinIO" }).click();
  await dialog.getByRole("textbox", { name: "Bucket" }).fill("acme-backups");
  await dialog.getByLabel("Access key").fill(user.accessKeyId);
  await dialog.getByLabel("Secret key").fill("not-the-secret");
  await dialog.getByRole("button", { name: "Add and test" }).click();
  await expect(dialog.getByText("Give the server's address.")).toBeVisible();
  await dialog.getByLabel("Endpoint").fill(gateway.endpoint);
  await picture(page, "form");
  await dialog.getByRole("button", { name: "Add and test" }).click();
  await expect(dialog.getByText("The storage does not work yet.")).toBeVisible();
  const checks = dialog.getByRole("list", { name: "Checks" });
  await expect(checks.getByRole("listitem").first()).toContainText("Failed");
  await expect(checks.getByRole("listitem").first()).toContainText("What to do: Correct the secret key");
  await picture(page, "wrong-secret");
  await dialog.getByRole("link", { name: "Open its page" }).click();

  // What was wrong is put right there, and is tried again by itself.
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await dialog.getByRole("switch", { name: "New credentials" }).click();
  await dialog.getByLabel("Access key").fill(user.accessKeyId);
  await dialog.getByLabel("Secret key").fill(user.secretAccessKey);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("The storage works.")).toBeVisible();
  await expect(checksOf(page).first()).toContainText("OK");
  await picture(page, "storage");

  await page.goto(`/sources/${source.id}`);
  const card = page.getByRole("region", { name: "Where it is stored" });
  await expect(card.getByRole("link", { name: "Worker disks" })).toBeVisible();
  await card.getByRole("button", { name: "Change where it is stored" }).click();
  await dialog.getByRole("button", { name: "Take Worker disks out" }).click();
  await dialog.getByRole("button", { name: "Add Offsite bucket" }).click();
  await picture(page, "placement");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(card.getByRole("listitem")).toHaveCount(1);
  await expect(card.getByRole("link", { name: "Offsite bucket" })).toBeVisible();

  await page.getByRole("button", { name: /^Back up now/ }).click();
  await expectJobEnd(page, "Success");
  await page.getByRole("link", { name: "Open the snapshot" }).click();
  const copies = page.getByRole("table", { name: "Copies" });
  await expect(copies.getByRole("row")).toHaveCount(2);
  await expect(copies.getByRole("row").nth(1)).toContainText("Complete");
  await expect(page.getByText(/^s3:\/\/acme-backups\/backups\//).first()).toBeVisible();
  await picture(page, "snapshot");
  const address = page.url();
  await page.getByRole("button", { name: "Copy to…" }).click();
  await dialog.getByRole("button", { name: "Copy", exact: true }).click();
  await expectJobEnd(page, "Success");
  await page.goto(address);
  await expect(copies.getByRole("row")).toHaveCount(3);
  await expect(copies.getByRole("row").filter({ hasText: "Worker disks" })).toContainText("Complete");
  const { items } = await ada.api.get<{ items: Storage[] }>("/storages");
  expect(items.map(({ name, copies: n }) => [name, n])).toEqual([
    ["Worker disks", 1],
    ["Offsite bucket", 1],
  ]);

  // In use it stays.
  await page.getByRole("link", { name: "Storage", exact: true }).click();
  await picture(page, "storages");
  await table.getByRole("link", { name: "Offsite bucket" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await expect(dialog).toContainText("is in use: 1 copy");

  // Another source is placed while it is added.
  await enterAddress(page, server);
  await confirmHostKey(page);
  await enterPrivateKey(page, server);
  await page.getByLabel("Add a path").fill(server.mockData);
  await page.getByRole("button", { name: "Add path" }).click();
  for (const step of ["When", "How long", "Where"]) {
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByRole("heading", { name: step, exact: true })).toBeVisible();
  }
  const chosen = page.getByRole("list", { name: "Chosen storages" }).getByRole("listitem");
  await expect(chosen).toHaveCount(1);
  await expect(chosen).toContainText("Worker disks");
  await page.getByRole("button", { name: "Add Offsite bucket" }).click();
  await expect(chosen).toHaveCount(2);
  expect(await inspect(page, "where a new source is stored")).toEqual([]);
  await picture(page, "where");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("Worker disks, Offsite bucket")).toBeVisible();
  await page.getByLabel("Name").fill("web-02");
  await page.getByRole("button", { name: "Add and back up now" }).click();
  await expectJobEnd(page, "Success");
  await page.getByRole("link", { name: "Open the snapshot" }).click();
  await expect(copies.getByRole("row")).toHaveCount(3);
  for (const name of ["Worker disks", "Offsite bucket"])
    await expect(copies.getByRole("row").filter({ hasText: name })).toContainText("Complete");
});

function checksOf(page: Page) {
  return page.getByRole("list", { name: "Checks" }).getByRole("listitem");
}
