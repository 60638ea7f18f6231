import type { Page } from "@playwright/test";
import type { Webhook } from "@xvault/contracts";
import { confirmHostKey, enterAddress, openRemoteFolder } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, newcomer, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");
test.describe.configure({ mode: "parallel" });

/** Goes to a page and waits until its content is there. */
async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
}

async function inspectAll(page: Page, paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    await open(page, path);
    found.push(...(await inspect(page, path)));
  }
  return found;
}

test("overview, sources, jobs, snapshots and restore: axe in light and dark, and a phone's width", async ({
  page,
  server,
}) => {
  const person = await signUpByApi("Every Page Works");
  const whole = await addSource(person, server, { name: "web-01", paths: [server.tree] });
  const partial = await addSource(person, server, { name: "web-02", paths: [server.mockData, `${server.home}/gone`] });
  const broken = await addSource(person, server, { name: "web-03", paths: [`${server.home}/gone`] });
  const [good, warning, failed] = await Promise.all([whole, partial, broken].map((one) => backUp(person, one)));
  await signIn(page, person);
  const found = await inspectAll(page, [
    "/",
    "/notifications",
    "/sources",
    `/sources/${whole.id}`,
    "/jobs",
    `/jobs/${warning?.id}`,
    `/jobs/${failed?.id}`,
    "/snapshots",
    "/packages",
    "/retention",
    "/checks",
    `/snapshots/${good?.snapshot_id}`,
    "/restore",
    `/restore?snapshot=${good?.snapshot_id}`,
    "/storage",
  ]);
  expect(found).toEqual([]);
});

test("keys, team, tokens, notifications, audit log, settings and the platform's pages: axe in light and dark, and a phone's width", async ({
  page,
  newVisitor,
}) => {
  const person = await signUpByApi("Every Setting Works");
  await signIn(page, person);
  const { webhook } = await person.api.post<{ webhook: Webhook }>("/webhooks", {
    name: "on-call chat",
    url: "https://10.0.0.1/a/rather/long/address/with-a-key-in-it/0123456789abcdef0123456789abcdef",
    events: ["alert.opened", "alert.resolved", "backup.failed"],
  });
  await person.api.post(`/webhooks/${webhook.id}/test`);
  const notices = ["/notifications", `/notifications/webhooks/${webhook.id}`];
  expect(await inspectAll(page, ["/keys", "/team", "/tokens", ...notices, "/audit", "/settings"])).toEqual([]);
  const { adminEmail: email, adminPassword: password } = runningStack();
  const { page: admins } = await newVisitor();
  await signIn(admins, { email, password });
  const pages = ["/admin/workers", "/admin/tenants", "/admin/storages", "/admin/jobs", "/admin/restore"];
  expect(await inspectAll(admins, pages)).toEqual([]);
});

test("the API's reference, a call open: axe in light and dark, and a phone's width", async ({ page }) => {
  await signIn(page, await signUpByApi("Reference Reads"));
  expect(await inspectAll(page, ["/api-reference", "/api-reference?call=packages-ingest"])).toEqual([]);
});

test("the pages before sign-in: axe in light and dark, and a phone's width", async ({ page }) => {
  const found = await inspectAll(page, ["/signin", "/signup"]);
  const ada = newcomer("Key Page Works");
  await page.getByLabel("Your name").fill(ada.name);
  await page.getByLabel("Workspace name").fill(ada.workspace);
  await page.getByLabel("E-mail").fill(ada.email);
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("radio", { name: "You hold it" }).click();
  await page.getByRole("button", { name: "Continue to your key" }).click();
  await expect(page.getByRole("button", { name: "Download recovery kit" })).toBeVisible();
  found.push(...(await inspect(page, "restore key")));
  expect(found).toEqual([]);
});

test("the stepper: axe in light and dark, and a phone's width", async ({ page, server }) => {
  const person = await signUpByApi("Every Step Works");
  await signIn(page, person);
  const found: string[] = [];
  const onwards = () => page.getByRole("button", { name: "Continue" }).click();

  await open(page, "/sources/new");
  found.push(...(await inspect(page, "address")));
  await enterAddress(page, server);
  await expect(page.getByText(server.fingerprint)).toBeVisible();
  found.push(...(await inspect(page, "host key")));
  await confirmHostKey(page);
  await page.getByLabel("User name").fill(server.username);
  await page.getByRole("radio", { name: "A private key of your own" }).click();
  await page.getByRole("textbox", { name: "Private key" }).fill(server.privateKey);
  found.push(...(await inspect(page, "login")));
  await page.getByRole("button", { name: "Store this key" }).click();
  await onwards();
  await expect(page.getByText("The connection works.")).toBeVisible();
  found.push(...(await inspect(page, "test")));
  await onwards();
  const tree = await openRemoteFolder(page, server.home);
  await tree.getByRole("checkbox", { name: server.tree, exact: true }).click();
  found.push(...(await inspect(page, "files")));
  await page.getByRole("button", { name: /^Options: sizes, ages/ }).click();
  await page.getByRole("button", { name: "Add a time of the week" }).click();
  found.push(...(await inspect(page, "options")));
  await onwards();
  await expect(page.getByRole("heading", { name: "Next five runs" })).toBeVisible();
  found.push(...(await inspect(page, "schedule")));
  await onwards();
  await expect(page.getByRole("img", { name: /After 365 days/ })).toBeVisible();
  found.push(...(await inspect(page, "how long")));
  await onwards();
  await expect(page.getByText("The connection works.")).toBeVisible();
  found.push(...(await inspect(page, "review")));
  expect(found).toEqual([]);
});

test("dialogs, the empty overview and the command palette: axe in light and dark, and a phone's width", async ({
  page,
}) => {
  const person = await signUpByApi("Every Dialog Works");
  await signIn(page, person);
  const found: string[] = [];
  await open(page, "/");
  found.push(...(await inspect(page, "empty overview")));
  await open(page, "/tokens");
  await page.getByRole("button", { name: "Create a token" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  found.push(...(await inspect(page, "token dialog")));
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await open(page, "/notifications");
  await page.getByRole("button", { name: "Add a webhook" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  found.push(...(await inspect(page, "webhook dialog")));
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.keyboard.press("Control+k");
  await expect(page.getByPlaceholder("Go to a page, source or snapshot…")).toBeVisible();
  found.push(...(await inspect(page, "command palette")));
  expect(found).toEqual([]);
});

test("by keyboard alone: sign in, open a source, and go on by the command palette", async ({ page, server }) => {
  const person = await signUpByApi("Keyboard Works");
  const source = await addSource(person, server, { name: "web-01", paths: [server.mockData] });
  await page.goto("/signin?next=/sources");
  await expect(page.getByLabel("E-mail")).toBeFocused();
  await page.keyboard.type(person.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(person.password);
  await page.keyboard.press("Enter");
  const link = page.getByRole("link", { name: "web-01", exact: true });
  await expect(link).toBeVisible();
  await tabTo(page, "web-01");
  await expect(link).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/sources/${source.id}$`));

  await page.keyboard.press("Control+k");
  const palette = page.getByPlaceholder("Go to a page, source or snapshot…");
  await expect(palette).toBeFocused();
  await page.keyboard.type("audit");
  await expect(page.getByRole("option").first()).toHaveAccessibleName(/Audit log/);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/audit$/);
  await page.keyboard.press("Control+k");
  await expect(palette).toBeFocused();
  await page.keyboard.type("web-01");
  await expect(page.getByRole("option").first()).toHaveAccessibleName(/web-01/);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/sources/${source.id}$`));
});

/** Presses Tab until what has the focus reads `name`. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(() => document.activeElement?.textContent?.trim())) === name) return;
  }
  throw new Error(`60 times Tab did not lead to '${name}'`);
}

test("at 390 px the main actions are there and the navigation opens", async ({ page, server, picture }) => {
  const person = await signUpByApi("Phone Works");
  const source = await addSource(person, server, { name: "web-01", paths: [server.mockData] });
  const job = await backUp(person, source);
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page, person);
  await picture(page, "overview");
  await page
    .getByRole("button", { name: /sidebar|navigation/i })
    .first()
    .click();
  const menu = page.getByRole("dialog");
  await menu.getByRole("link", { name: "Sources", exact: true }).click();
  await expect(page.getByRole("link", { name: "Add a source" })).toBeInViewport({ ratio: 1 });
  await page.getByRole("link", { name: "web-01", exact: true }).click();
  await expect(page.getByRole("button", { name: /^Back up now/ })).toBeInViewport({ ratio: 1 });
  await picture(page, "source");
  await page.goto(`/snapshots/${job.snapshot_id}`);
  await expect(page.getByRole("button", { name: "Restore all" })).toBeInViewport({ ratio: 1 });
  await picture(page, "snapshot");
  await page.getByRole("button", { name: "Restore all" }).click();
  const start = page.getByRole("button", { name: "Start restore" });
  await start.scrollIntoViewIfNeeded();
  await expect(start).toBeInViewport({ ratio: 1 });
});
