import type { Page } from "@playwright/test";
import { signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/test.ts";

test.skip(missing !== null, missing ?? "");

const dashboard = (page: Page) => page.getByRole("heading", { name: "Overview", level: 1 });

test("two tabs renew their session at the same time and both stay; signing out ends both", async ({
  context,
  page,
  watch,
}) => {
  const ada = await signUpByApi("Tabs Works");
  await signIn(page, ada);
  const other = await context.newPage();
  await other.goto("/");
  await expect(dashboard(other)).toBeVisible();
  for (let round = 0; round < 3; round += 1) {
    await Promise.all([page.reload(), other.reload()]);
    await Promise.all([expect(dashboard(page)).toBeVisible(), expect(dashboard(other)).toBeVisible()]);
  }
  await expect(page.getByText("Nothing is backed up yet.")).toBeVisible();
  await expect(other.getByText("Nothing is backed up yet.")).toBeVisible();

  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/signin/);
  await expect(other).toHaveURL(/\/signin/);
  await other.goto("/keys");
  await expect(other).toHaveURL(/\/signin/);
  expect(watch.complaints()).toEqual([]);
});

test("a session that ends behind a page's back leads to the sign-in page, and from there back again", async ({
  page,
  watch,
}) => {
  const ada = await signUpByApi("Revoked Works");
  await signIn(page, ada);
  // A page that asks for nothing by itself: what meets the ended session is the click below.
  await page.goto("/settings");
  await expect(page.getByText(/^Version /)).toBeVisible();
  // As another device of the same person would do it: the page itself hears nothing.
  watch.expectStatus(401);
  const ended = await page.request.post("/trpc/auth.signOut", { data: {} });
  expect(ended.ok()).toBe(true);
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await expect(page).toHaveURL(/\/signin\?next=/);
  await page.getByLabel("E-mail").fill(ada.email);
  await page.getByLabel("Password").fill(ada.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/keys$/);
  await expect(page.getByText("xVault holds the restore key of this workspace.")).toBeVisible();
});
