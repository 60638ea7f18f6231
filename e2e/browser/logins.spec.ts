import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import type { Credential, Source } from "@xvault/contracts";
import { passwordSshdAvailable } from "@xvault/test-kit/ssh";
import { confirmHostKey, enterAddress, expectFailure, expectJobEnd, openRemoteFolder } from "./support/dashboard.ts";
import { signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, type Server, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a source by a private key of one's own, with a passphrase, then by one without", async ({
  page,
  server,
  watch,
  picture,
}) => {
  watch.expectStatus(400);
  const ada = await signUpByApi("Own Key Login Works");
  const passphrase = "a passphrase for this key";
  const { locked, fingerprint } = lockKey(server, passphrase);
  await signIn(page, ada);

  await test.step("what is wrong with the key or its passphrase is said beside the fields, which keep what was typed", async () => {
    await enterAddress(page, server);
    await confirmHostKey(page);
    await page.getByLabel("User name").fill(server.username);
    await page.getByRole("radio", { name: "A private key of your own" }).click();
    const key = page.getByRole("textbox", { name: "Private key" });
    const store = page.getByRole("button", { name: "Store this key" });
    await expect(store).toBeDisabled();
    await key.fill(readFileSync(join(server.dir, "user_key.pub"), "utf8"));
    await store.click();
    await expectFailure(page, /public key, not a private one/, "KEY_INVALID");
    await expect(key).toHaveAttribute("aria-invalid", "true");
    await key.fill(locked);
    await store.click();
    await expectFailure(page, /passphrase/, "KEY_PASSPHRASE_REQUIRED");
    const words = page.getByLabel("Passphrase");
    await words.fill("not this one");
    await store.click();
    await expectFailure(page, /The passphrase does not open the private key/, "KEY_PASSPHRASE_REQUIRED");
    await expect(words).toHaveAttribute("aria-invalid", "true");
    await expect(key).toHaveValue(locked);
    await picture(page, "wrong-passphrase");
    await words.fill(passphrase);
    await store.click();
    await expect(page.getByText("The key is stored, encrypted.")).toBeVisible();
    await expect(page.getByText(fingerprint, { exact: true })).toBeVisible();
  });

  const source = await finishAndBackUp(page, server);

  await test.step("another key, without a passphrase, by 'Change login'", async () => {
    await page.getByRole("button", { name: "Change login" }).click();
    const dialog = page.getByRole("dialog", { name: "Change address or login" });
    await dialog.getByRole("button", { name: "Use another" }).click();
    await dialog.getByRole("radio", { name: "A private key of your own" }).click();
    await dialog.getByRole("textbox", { name: "Private key" }).fill(server.privateKey);
    await dialog.getByRole("button", { name: "Store this key" }).click();
    await dialog.getByRole("button", { name: "Save" }).click();
    await expect(dialog).toBeHidden();
    await page.getByRole("button", { name: "Test", exact: true }).click();
    await expect(page.getByRole("dialog").getByText("The connection works.")).toBeVisible();
  });

  await test.step("neither secret ever comes back", async () => {
    const answer = await ada.api.send("GET", `/api/v1/sources/${source}`);
    expect((answer.body as Source).connection?.credential).toMatchObject({ kind: "private_key", fingerprint });
    expect(answer.text).not.toContain(passphrase);
    expect(answer.text).not.toContain("PRIVATE KEY");
  });
});

test("a source by password: a wrong one is told by the test, the right one backs up, and another server never gets it", async ({
  page,
  newServer,
  watch,
}) => {
  const unable = passwordSshdAvailable();
  test.skip(unable !== null, unable ?? "");
  const password = "four words and one more";
  const server = await newServer("by-password", { password });
  const ada = await signUpByApi("Password Login Works");
  await signIn(page, ada);
  await enterAddress(page, server);
  await confirmHostKey(page);
  await page.getByLabel("User name").fill(server.username);

  const give = async (words: string) => {
    await page.getByRole("radio", { name: "A password" }).click();
    await page.getByLabel(`Password of ${server.username}`).fill(words);
    await page.getByRole("button", { name: "Store this password" }).click();
    await expect(page.getByText("The password is stored, encrypted.")).toBeVisible();
  };
  await give("not this one");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("The connection does not work yet.")).toBeVisible();
  await expect(page.getByRole("list", { name: "Checks" })).toContainText("refused");
  await expect(page.getByRole("button", { name: "Continue" })).toBeDisabled();
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await page.getByRole("button", { name: "Use another" }).click();
  await give(password);
  const source = await finishAndBackUp(page, server);

  await expect(page.getByRole("region", { name: "Connection" }).getByText("Password", { exact: true })).toBeVisible();
  const { body } = await ada.api.send("GET", `/api/v1/sources/${source}`);
  const credential = (body as Source).connection?.credential as Credential;
  expect(credential).toMatchObject({ kind: "password", public_key: null });

  // Whoever may edit the source could otherwise have the password sent to a server of theirs.
  watch.expectStatus(403);
  const other = await newServer("elsewhere");
  await page.getByRole("button", { name: "Change login" }).click();
  const dialog = page.getByRole("dialog", { name: "Change address or login" });
  await dialog.getByLabel("SSH port").fill(String(other.port));
  await dialog.getByRole("button", { name: "Ask for its host key" }).click();
  await dialog.getByRole("checkbox", { name: "The fingerprint is that of my server" }).click();
  await dialog.getByRole("button", { name: "Save" }).click();
  await expectFailure(dialog, /This password was given for another server/, "FORBIDDEN");
});

/** From a login that is there to a backup that is done: the rest of the stepper. Gives the source's id. */
async function finishAndBackUp(page: Page, server: Server): Promise<string> {
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("The connection works.")).toBeVisible();
  await page.getByRole("button", { name: "Continue" }).click();
  const tree = await openRemoteFolder(page, server.home);
  await tree.getByRole("checkbox", { name: server.tree, exact: true }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("The connection works.")).toBeVisible();
  await page.getByRole("button", { name: "Add and back up now" }).click();
  await expectJobEnd(page, "Success");
  await page.getByRole("region", { name: "Details" }).getByRole("link", { name: server.host }).click();
  await expect(page).toHaveURL(/\/sources\/[0-9a-f-]{36}$/);
  return page.url().split("/").at(-1) ?? "";
}

/** The server's key under a passphrase, by ssh-keygen, and its fingerprint as ssh-keygen prints it. */
function lockKey(server: Server, passphrase: string): { locked: string; fingerprint: string } {
  const file = join(server.dir, "locked_key");
  writeFileSync(file, server.privateKey);
  chmodSync(file, 0o600);
  execFileSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", passphrase, "-f", file], { stdio: "pipe" });
  const printed = execFileSync("ssh-keygen", ["-l", "-f", join(server.dir, "user_key.pub")], { encoding: "utf8" });
  return { locked: readFileSync(file, "utf8"), fingerprint: printed.split(" ")[1] ?? "" };
}
