import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Snapshot, Source } from "@xvault/contracts";
import { freePort, startGate, until } from "@xvault/test-kit/stack";
import { confirmHostKey, enterAddress, expectFailure, expectJobEnd, expectJobState } from "./support/dashboard.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");
test.describe.configure({ mode: "parallel" });

test("a wrong password is told, and the right one then works", async ({ page, watch }) => {
  watch.expectStatus(401);
  const ada = await signUpByApi("Password Works");
  await page.goto("/signin?next=/keys");
  await page.getByLabel("E-mail").fill(ada.email);
  await page.getByLabel("Password").fill(`${ada.password}x`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expectFailure(page, /password is wrong/, "CREDENTIALS_INVALID");
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/keys$/);
});

test("adding a source: unreachable, login refused, path missing, each with its cause and what to do", async ({
  page,
  server,
  watch,
  picture,
}) => {
  const ada = await signUpByApi("Stepper Works");
  await signIn(page, ada);

  await test.step("nothing listens at the address", async () => {
    watch.expectStatus(502);
    await enterAddress(page, { host: server.host, port: await freePort() });
    await expectFailure(page, /The server could not be reached/, "HOST_UNREACHABLE");
    await picture(page, "unreachable");
  });

  await test.step("the server takes no such key", async () => {
    await enterAddress(page, server);
    await confirmHostKey(page);
    await page.getByLabel("User name").fill(server.username);
    const foreign = join(server.dir, "foreign");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", foreign]);
    await page.getByRole("radio", { name: "A private key of your own" }).click();
    await page.getByRole("textbox", { name: "Private key" }).fill(readFileSync(foreign, "utf8"));
    await page.getByRole("button", { name: "Store this key" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText("The connection does not work yet.")).toBeVisible();
    const failed = page.getByRole("list", { name: "Checks" }).getByRole("listitem").filter({ hasText: "Failed" });
    await expect(failed).toHaveCount(1);
    await expect(failed).toContainText("What to do:");
    await expect(page.getByRole("button", { name: "Continue" })).toBeDisabled();
    await picture(page, "refused");
  });

  await test.step("the right key, but a path that is not there", async () => {
    await page.getByRole("button", { name: "Back", exact: true }).click();
    await page.getByRole("button", { name: "Use another" }).click();
    await page.getByRole("textbox", { name: "Private key" }).fill(server.privateKey);
    await page.getByRole("button", { name: "Store this key" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText("The connection works.")).toBeVisible();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByLabel("Add a path").fill("../etc");
    await page.getByRole("button", { name: "Add path" }).click();
    await expect(page.getByText("Use an absolute path without '..'")).toBeVisible();
    await page.getByLabel("Add a path").fill(join(server.home, "gone"));
    await page.getByRole("button", { name: "Add path" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("radio", { name: "No schedule, by hand only" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
    const missingPath = page.getByRole("list", { name: "Checks" }).getByRole("listitem").filter({ hasText: "gone" });
    await expect(missingPath).toContainText("Failed");
    await expect(missingPath).toContainText("What to do:");
    await picture(page, "missing-path");
  });
});

test("a changed host key stops the backup before the login, and the button beside the cause mends it", async ({
  page,
  server,
  picture,
}) => {
  const ada = await signUpByApi("Host Key Works");
  const source = await addSource(ada, server, { name: "mail-01", paths: [server.mockData] });
  const { fingerprint } = server;
  await server.rotateHostKey();
  const before = server.log().length;
  await signIn(page, ada);
  await page.goto(`/sources/${source.id}`);
  await page.getByRole("button", { name: /^Back up now/ }).click();
  await expectJobEnd(page, "Failed");
  const alert = await expectFailure(page, /The backup failed/, "HOST_KEY_CHANGED");
  expect(server.log().slice(before)).not.toMatch(/Accepted|Failed publickey/);
  await picture(page, "host-key-changed");

  await alert.getByRole("link", { name: "Check the host key" }).click();
  const dialog = page.getByRole("dialog", { name: "Check the host key" });
  await expect(dialog.getByText("This is not the key that was confirmed before")).toBeVisible();
  await expect(dialog.getByLabel("fingerprint", { exact: true })).toHaveText(server.fingerprint);
  await expect(dialog.getByText(fingerprint)).toBeVisible();
  await dialog.getByRole("checkbox", { name: "The fingerprint is that of my server" }).click();
  await dialog.getByRole("button", { name: "Confirm this key" }).click();
  await expect(dialog).toBeHidden();
  await page.getByRole("button", { name: /^Back up now/ }).click();
  await expectJobEnd(page, "Success");
});

test("a running backup is watched live, and cancelled", async ({ page, server, picture }) => {
  const ada = await signUpByApi("Cancel Works");
  const gate = await startGate(server.port);
  try {
    const source = await addSource(
      ada,
      { ...server, port: gate.port, hostKey: server.hostKey },
      {
        name: "files-01",
        paths: [server.tree],
      },
    );
    await signIn(page, ada);
    await page.goto(`/sources/${source.id}`);
    gate.hold(64 * 1024);
    await page.getByRole("button", { name: /^Back up now/ }).click();
    await expect(page).toHaveURL(/\/jobs\//);
    await until(() => gate.holding());
    await expectJobState(page, "Running");
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
    await expect(page.getByText("Rate", { exact: true })).toBeVisible();
    await picture(page, "running");
    await page.getByRole("button", { name: "Cancel this job" }).click();
    await expectJobEnd(page, "Cancelled");
    await expect(page.getByRole("link", { name: "Open the snapshot" })).toBeHidden();
    await picture(page, "cancelled");
    expect((await ada.api.get<{ items: Snapshot[] }>("/snapshots")).items).toEqual([]);
  } finally {
    gate.cut();
    await gate.stop();
  }
});

test("a backup that misses a path is a warning everywhere and green nowhere", async ({ page, server, picture }) => {
  const ada = await signUpByApi("Partial Works");
  const gone = join(server.home, "gone");
  const source = await addSource(ada, server, { name: "shop-01", paths: [server.mockData, gone] });
  await signIn(page, ada);
  await page.goto(`/sources/${source.id}`);
  await page.getByRole("button", { name: /^Back up now/ }).click();
  await expectJobEnd(page, "Warning");
  await expect(page.getByRole("main").getByText("Success", { exact: true })).toHaveCount(0);
  await expect(page.getByRole("log", { name: "Job log" })).toContainText(gone);
  await picture(page, "job");
  await page.getByRole("link", { name: "Open the snapshot" }).click();
  await expect(page.getByText("Partial", { exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Sources", exact: true }).click();
  await expect(page.getByText("Partly protected", { exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  const sentence = page.getByRole("region", { name: "Protection" });
  await expect(sentence).toContainText("shop-01");
  await expect(sentence.locator(".text-success")).toHaveCount(0);
  await picture(page, "overview");
});

test("a backup of which nothing is there fails, and its page leads to what is backed up", async ({ page, server }) => {
  const ada = await signUpByApi("Missing Works");
  const source: Source = await addSource(ada, server, { name: "old-01", paths: [join(server.home, "gone")] });
  const job = await backUp(ada, source);
  await signIn(page, ada);
  await page.goto(`/jobs/${job.id}`);
  await expectJobEnd(page, "Failed");
  const alert = await expectFailure(page, /The backup failed/, job.error?.code ?? "");
  await alert.getByRole("link", { name: "Change what is backed up" }).click();
  const dialog = page.getByRole("dialog", { name: "What is backed up" });
  await expect(dialog.getByText(join(server.home, "gone"))).toBeVisible();
});
