import { startReceiver } from "../system/receiver.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a failed backup's alert is seen to and resolved; a webhook is made, tested, and its deliveries sent again", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("Notice Works");
  const receiver = await startReceiver();
  const source = await addSource(ada, server, { name: "mail-01", paths: [`${server.home}/gone`] });
  await signIn(page, ada);
  await page.goto("/notifications");
  await expect(page.getByText("Nothing to see to")).toBeVisible();

  // A webhook: its events are proposed, its secret is shown this once.
  await page.getByRole("button", { name: "Add a webhook" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("on-call chat");
  await dialog.getByLabel("Address").fill(receiver.url);
  await expect(dialog.getByRole("checkbox", { name: "Backup failed" })).toBeChecked();
  await expect(dialog.getByRole("checkbox", { name: "Backup succeeded" })).not.toBeChecked();
  await dialog.getByRole("checkbox", { name: "Backup started" }).click();
  await picture(page, "form");
  await dialog.getByRole("button", { name: "Add webhook" }).click();
  const secret = await page.getByLabel("webhook secret", { exact: true }).innerText();
  expect(secret).toMatch(/^xvwh_/);
  await page.getByRole("button", { name: "I have stored it" }).click();
  await expect(page.getByText(secret)).toBeHidden();

  await page.getByRole("link", { name: "on-call chat" }).click();
  const log = page.getByRole("table", { name: "Delivery log" });
  await expect(log.getByText("Nothing sent yet")).toBeVisible();
  receiver.status = 410;
  await page.getByRole("button", { name: "Send test" }).click();
  await expect(page.getByText("The test did not arrive")).toBeVisible();
  await expect(page.getByRole("status").getByText("The receiver answered with status 410.")).toBeVisible();
  receiver.status = 200;
  await page.getByRole("button", { name: "Send test" }).click();
  await expect(page.getByText("The test arrived")).toBeVisible();
  expect(receiver.arrived.map(({ event }) => event)).toEqual(["test", "test"]);
  expect(receiver.arrived.every((one) => one.isGenuine(secret))).toBe(true);
  await expect(log.getByRole("row").filter({ hasText: "Test" })).toHaveCount(2);

  // What goes wrong from here on arrives there, and is an alert here.
  const failed = await backUp(ada, source);
  expect(failed.state).toBe("failed");
  const row = log.getByRole("row").filter({ hasText: "Backup failed" });
  await expect(row).toContainText("Delivered");
  await row.getByRole("button", { name: /^Show/ }).click();
  await expect(page.getByRole("dialog").getByText('"backup.failed"')).toBeVisible();
  await page.keyboard.press("Escape");
  const first = receiver.arrived.filter(({ event }) => event === "backup.failed");
  await row.getByRole("button", { name: /^Send again/ }).click();
  await expect(row).toHaveCount(2);
  await expect.poll(() => receiver.arrived.filter(({ event }) => event === "backup.failed").length).toBe(2);
  expect(receiver.arrived.at(-1)?.payload.id).toBe(first[0]?.payload.id);
  await expect(row.first()).toContainText("Delivered");
  await picture(page, "webhook");

  await page.getByRole("link", { name: "Overview", exact: true }).click();
  const strip = page.getByRole("region", { name: "Open alerts" });
  await expect(strip).toContainText("The backup of mail-01 failed");
  await picture(page, "overview");
  await strip.getByRole("link", { name: "See the alerts" }).click();
  await picture(page, "alerts");
  const alert = page.getByRole("listitem", { name: /The backup of mail-01 failed/ });
  await expect(alert.getByText("What to do:")).toBeVisible();
  await expect(alert.getByRole("link", { name: "Open the source" })).toHaveAttribute("href", `/sources/${source.id}`);
  await expect(page.getByLabel("1 open alert")).toBeVisible();
  await alert.getByRole("button", { name: /^Resolve/ }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("That folder is gone on purpose.");
  await page.getByRole("dialog").getByRole("button", { name: "Resolve", exact: true }).click();
  await expect(page.getByText("Nothing to see to")).toBeVisible();
  await page.getByRole("combobox", { name: "Alerts" }).click();
  await page.getByRole("option", { name: "All alerts" }).click();
  await expect(alert).toContainText("That folder is gone on purpose.");
  await expect(alert).toContainText("Resolved");
  await receiver.close();
});
