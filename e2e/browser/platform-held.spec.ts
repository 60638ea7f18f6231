import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  allowClipboard,
  confirmHostKey,
  enterAddress,
  expectJobEnd,
  expectJobState,
  openRemoteFolder,
  openSnapshotFolder,
  withPassword,
} from "./support/dashboard.ts";
import { newcomer } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("from sign-up to a restored file, xVault holding the key", async ({
  context,
  page,
  server,
  picture,
}, testInfo) => {
  const ada = newcomer("Sample Works");
  await allowClipboard(context);

  await test.step("sign up, and see the first steps", async () => {
    await page.goto("/");
    await expect(page).toHaveURL(/\/signin$/);
    await page.getByRole("link", { name: "Sign up" }).click();
    await page.getByLabel("Your name").fill(ada.name);
    await page.getByLabel("Workspace name").fill(ada.workspace);
    await page.getByLabel("E-mail").fill(ada.email);
    await page.getByLabel("Password").fill(ada.password);
    await expect(page.getByRole("radio", { name: "xVault holds your restore key" })).toBeChecked();
    await picture(page, "sign-up");
    await page.getByRole("button", { name: "Create workspace" }).click();
    await expect(page.getByText("0 of 4 done")).toBeVisible();
    await expect(page).toHaveTitle("Overview · xVault");
  });

  await test.step("the fingerprint is the server's own, and is confirmed before any login is asked for", async () => {
    await page.getByRole("main").getByRole("link", { name: "Add a source" }).first().click();
    await expect(page).toHaveURL(/\/sources\/new/);
    await enterAddress(page, server);
    const printed = execFileSync("ssh-keygen", ["-lf", join(server.dir, "host_key.pub")], { encoding: "utf8" });
    const [, fingerprint = ""] = printed.split(" ");
    await expect(page.getByLabel("fingerprint", { exact: true })).toHaveText(fingerprint);
    expect(fingerprint).toBe(server.fingerprint);
    await expect(page.getByRole("button", { name: "Confirm and continue" })).toBeDisabled();
    await page.goto("/sources/new?step=login");
    await expect(page).toHaveURL(/step=host-key/);
    await expect(page.getByLabel("User name")).toBeHidden();
    expect(server.log()).not.toMatch(/Accepted|Failed/);
    await picture(page, "host-key");
    await confirmHostKey(page);
  });

  await test.step("a key pair made by xVault works once its line is in authorized_keys", async () => {
    await page.getByLabel("User name").fill(server.username);
    await page.getByRole("button", { name: "Make a key pair" }).click();
    await page.getByRole("button", { name: "Copy line for authorized_keys" }).click();
    const line = await page.evaluate(() => navigator.clipboard.readText());
    expect(line).toMatch(/^ssh-ed25519 AAAA\S+/);
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText("The connection does not work yet.")).toBeVisible();
    await expect(page.getByRole("button", { name: "Continue" })).toBeDisabled();
    appendFileSync(join(server.dir, "authorized_keys"), `${line}\n`);
    await page.getByRole("button", { name: "Test again" }).click();
    await expect(page.getByText("The connection works.")).toBeVisible();
    await picture(page, "connection-test");
    await page.getByRole("button", { name: "Continue" }).click();
  });

  await test.step("pick from the remote tree, and see what a pattern leaves out", async () => {
    const tree = await openRemoteFolder(page, server.home);
    await tree.getByRole("checkbox", { name: server.tree, exact: true }).click();
    await tree.getByRole("button", { name: `Open ${server.tree}`, exact: true }).click();
    await tree.getByRole("button", { name: `Open ${server.tree}/logs`, exact: true }).click();
    await page.getByLabel("Add a pattern").fill("*.log");
    await page.getByRole("button", { name: "Add pattern" }).click();
    const row = tree
      .locator("li")
      .filter({ has: page.getByRole("checkbox", { name: `${server.tree}/logs/access.log` }) });
    await expect(row.last().getByText("left out by *.log")).toBeVisible();
    await expect(tree.getByText("left out by *.log")).toHaveCount(1);
    await expect(page.getByRole("region", { name: "Chosen paths" }).getByText(server.tree)).toBeVisible();
    await picture(page, "paths");
    await page.getByRole("button", { name: "Continue" }).click();
  });

  await test.step("choose when, see the next five runs, review, and back up", async () => {
    await page.getByRole("radio", { name: "Every week" }).click();
    await expect(page.getByRole("heading", { name: "Next five runs" }).locator("..").getByRole("listitem")).toHaveCount(
      5,
    );
    await picture(page, "schedule");
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByRole("img", { name: /After 365 days 366 of 366 backups are there/ })).toBeVisible();
    await picture(page, "how-long");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByLabel("Name").fill("web-01");
    await expect(page.getByText("The connection works.")).toBeVisible();
    await picture(page, "review");
    await page.getByRole("button", { name: "Add and back up now" }).click();
    await expectJobEnd(page, "Success");
    const steps = page.getByRole("list", { name: "Steps" });
    for (const step of ["Connect", "List", "Pull", "Verify", "Publish"]) {
      await expect(steps.getByRole("listitem").filter({ hasText: step })).toContainText("done");
    }
    await expect(page.getByRole("log", { name: "Job log" }).locator("p").nth(3)).toBeVisible();
    await picture(page, "job");
  });

  await test.step("back up once more from the source's page", async () => {
    await page.getByRole("link", { name: "web-01", exact: true }).click();
    await expect(page.getByText("Protected", { exact: true })).toBeVisible();
    await expect(page.getByText(/Every Sunday at 02:00/)).toBeVisible();
    await picture(page, "source");
    await page.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(page, "Success");
    await page.getByRole("link", { name: "Open the snapshot" }).click();
  });

  const sample = readFileSync(join(server.mockData, "sample.txt"));
  await test.step("browse the snapshot and find a file by its name", async () => {
    await expect(page.getByRole("main").getByText("Complete", { exact: true }).first()).toBeVisible();
    await openSnapshotFolder(page, server.mockData);
    await expect(page.getByText("report.json", { exact: true })).toBeVisible();
    await picture(page, "snapshot");
    await page.getByLabel("Find a file by name").fill("sample.txt");
    await expect(page.getByText(join(server.mockData, "sample.txt"), { exact: true })).toBeVisible();
    await page.getByRole("checkbox", { name: "Select sample.txt" }).click();
  });

  const selection = page.getByRole("region", { name: "Selection" });
  await test.step("download one file as it is, and everything as a tar that GNU tar reads", async () => {
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      withPassword(
        page,
        ada.password,
        () => selection.getByRole("button", { name: "Download" }).click(),
        page.getByText("The download has started.", { exact: true }).first(),
      ),
    ]);
    expect(file.suggestedFilename()).toBe("sample.txt");
    expect(readFileSync(await file.path())).toEqual(sample);
    const [tar] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download all" }).click(),
    ]);
    expect(tar.suggestedFilename()).toMatch(/\.tar$/);
    const names = execFileSync("tar", ["-tf", await tar.path()], { encoding: "utf8" });
    expect(names).toContain(`${server.mockData.slice(1)}/sample.txt`);
    expect(names).toContain("logs/readme.txt");
    expect(names).not.toContain("access.log");
  });

  await test.step("restore the file to a place on the server, and find the same bytes there", async () => {
    await selection.getByRole("button", { name: "Restore" }).click();
    await expect(page.getByRole("list", { name: "Entries to restore" }).getByRole("listitem")).toHaveCount(1);
    const target = join(server.home, "restored");
    await page.getByLabel("Directory", { exact: true }).fill(target);
    await expect(page.getByText(`One entry of web-01`)).toContainText(`will be written to web-01, below ${target}.`);
    await picture(page, "restore");
    await withPassword(
      page,
      ada.password,
      () => page.getByRole("button", { name: "Start restore" }).click(),
      page.getByText("Restore to web-01", { exact: true }),
    );
    await expectJobEnd(page, "Success");
    await expectJobState(page, "Entries written");
    expect(readFileSync(join(target, server.mockData, "sample.txt"))).toEqual(sample);
  });

  await test.step("the overview says that all is protected, and the first steps are done", async () => {
    await page.getByRole("link", { name: "Overview", exact: true }).click();
    await expect(page.getByRole("region", { name: "Protection" })).toContainText(/protected/i);
    await expect(page.getByText("First steps")).toBeHidden();
    await picture(page, "overview");
  });
  expect(testInfo.errors).toEqual([]);
});
