import { type BrowserContext, expect, type Locator, type Page } from "@playwright/test";
import type { Sshd } from "@xvault/test-kit/ssh";

/** The state that a job's page shows, beside the words that say it. */
export async function expectJobState(page: Page, word: string): Promise<void> {
  await expect(page.getByRole("main").getByText(word, { exact: true }).first()).toBeVisible();
}

/** Waits on a job's page until it is over, and expects this end. */
export async function expectJobEnd(page: Page, word: "Success" | "Warning" | "Failed" | "Cancelled"): Promise<void> {
  await expect(page).toHaveURL(/\/jobs\/[0-9a-f-]{36}$/);
  await expect(page.getByRole("button", { name: "Cancel this job" })).toBeHidden();
  await expectJobState(page, word);
}

/** The failure that a page shows, with its cause, its code and what to do. */
export async function expectFailure(scope: Page | Locator, cause: RegExp, code: string): Promise<Locator> {
  const alert = scope.getByRole("alert").filter({ hasText: cause });
  await expect(alert).toBeVisible();
  await expect(alert.getByText("What to do:")).toBeVisible();
  await expect(alert.getByText(code, { exact: true })).toBeVisible();
  return alert;
}

/** The stepper's first two steps: address, and the host key that must be the server's own. */
export async function enterAddress(page: Page, server: Pick<Sshd, "host" | "port">): Promise<void> {
  await page.goto("/sources/new");
  await page.getByLabel("Host name or IP address").fill(server.host);
  await page.getByLabel("SSH port").fill(String(server.port));
  await page.getByRole("button", { name: "Continue" }).click();
}

/** Confirms the fingerprint that is shown, and goes on to the login. */
export async function confirmHostKey(page: Page): Promise<void> {
  await page.getByRole("checkbox", { name: "The fingerprint is that of my server" }).click();
  await page.getByRole("button", { name: "Confirm and continue" }).click();
}

/** Logs in by the server's own key, sees the connection work, and goes on to what is backed up. */
export async function enterPrivateKey(page: Page, server: Pick<Sshd, "username" | "privateKey">): Promise<void> {
  await page.getByLabel("User name").fill(server.username);
  await page.getByRole("radio", { name: "A private key of your own" }).click();
  await page.getByRole("textbox", { name: "Private key" }).fill(server.privateKey);
  await page.getByRole("button", { name: "Store this key" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("The connection works.")).toBeVisible();
  await page.getByRole("button", { name: "Continue" }).click();
}

/** Opens the remote tree folder by folder down to `path`. */
export async function openRemoteFolder(page: Page, path: string): Promise<Locator> {
  const tree = page.getByRole("region", { name: "Files on the server" });
  const names = path.split("/").filter(Boolean);
  for (const depth of names.keys()) {
    const folder = `/${names.slice(0, depth + 1).join("/")}`;
    await tree.getByRole("button", { name: `Open ${folder}`, exact: true }).click();
  }
  return tree;
}

/** Opens folders of a snapshot one after another down to `path`. */
export async function openSnapshotFolder(page: Page, path: string): Promise<void> {
  const table = page.getByRole("table", { name: "Files in the snapshot" });
  for (const name of path.split("/").filter(Boolean)) {
    await table.getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("navigation", { name: "breadcrumb" }).getByText(name, { exact: true })).toBeVisible();
  }
}

/** Does `action`; where the dashboard wants the password again for it, gives it. Ends when `done` is true of the page. */
export async function withPassword(
  page: Page,
  password: string,
  action: () => Promise<void>,
  done: Locator,
): Promise<void> {
  await action();
  const dialog = page.getByRole("dialog", { name: "Confirm your password" });
  await expect(dialog.or(done).first()).toBeVisible();
  if (!(await dialog.isVisible())) return;
  await dialog.getByLabel("Password").fill(password);
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await expect(done).toBeVisible();
}

/** Lets pages read what a copy button put into the clipboard. */
export async function allowClipboard(context: BrowserContext): Promise<void> {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
}
