import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expectFailure, expectJobEnd } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";

test.skip(missing !== null, missing ?? "");

test("a member is added, sees what the role allows as viewer and as operator, becomes admin, and is removed", async ({
  page,
  server,
  newVisitor,
  watch,
  picture,
}) => {
  const ada = await signUpByApi("Team Works", { name: "Ada Owner" });
  const bob = await signUpByApi("Works of Bob", { name: "Bob Member" });
  const source = await addSource(ada, server, { name: "team-01", paths: [server.mockData] });
  const job = await backUp(ada, source);
  await signIn(page, ada);
  await page.goto("/team");
  const row = page.getByRole("row").filter({ hasText: bob.email });
  const dialog = page.getByRole("dialog");

  await test.step("an address without an account is told as such; the right one is a member at once", async () => {
    watch.expectStatus(404);
    await page.getByRole("button", { name: "Add a member" }).click();
    await dialog.getByLabel("E-mail").fill(`nobody-${bob.email}`);
    await dialog.getByRole("radio", { name: "Viewer" }).click();
    await dialog.getByRole("button", { name: "Add member" }).click();
    await expectFailure(dialog, /Nobody has an account with this e-mail address/, "NOT_FOUND");
    expect(await inspect(page, "add a member")).toEqual([]);
    await dialog.getByLabel("E-mail").fill(bob.email);
    await dialog.getByRole("button", { name: "Add member" }).click();
    await expect(dialog).toBeHidden();
    await expect(row.getByRole("combobox", { name: "Role of Bob Member" })).toHaveText("Viewer");
    await picture(page, "team");
  });

  const { page: theirs, watch: watchTheirs } = await newVisitor();
  await signIn(theirs, bob);
  await theirs.getByRole("button", { name: /^Workspace/ }).click();
  await theirs.getByRole("menuitem", { name: new RegExp(ada.workspace) }).click();
  await expect(theirs.getByRole("button", { name: `Workspace ${ada.workspace}, switch` })).toBeVisible();

  await test.step("a viewer looks, and is offered nothing else", async () => {
    await theirs.goto(`/sources/${source.id}`);
    await expect(theirs.getByRole("region", { name: "Connection" })).toBeVisible();
    expect(await actionsOf(theirs)).toEqual(["All snapshots", "All jobs"]);
    await theirs.goto(`/snapshots/${job.snapshot_id}`);
    await expect(theirs.getByRole("table", { name: "Files in the snapshot" }).getByRole("link")).toHaveCount(1);
    expect(await actionsOf(theirs)).toEqual([]);
    await expect(theirs.getByRole("checkbox")).toHaveCount(0);
    await theirs.goto(`/jobs/${job.id}`);
    await expectJobEnd(theirs, "Success");
    expect(await actionsOf(theirs)).toEqual(["Open the snapshot"]);
    await theirs.goto("/sources");
    await expect(theirs.getByRole("link", { name: "team-01" })).toBeVisible();
    expect(await actionsOf(theirs)).toEqual([]);
    for (const [path, words] of [
      ["/restore", "Your role does not allow restoring"],
      ["/sources/new", "Your role does not allow adding sources"],
      ["/keys", "An owner of the workspace can download the kit and change the key."],
      ["/settings", "Owners and admins can rename the workspace."],
    ] as const) {
      await theirs.goto(path);
      await expect(theirs.getByText(words)).toBeVisible();
      expect(await actionsOf(theirs)).toEqual([]);
    }
    await theirs.goto("/team");
    await expect(theirs.getByRole("row").filter({ hasText: bob.email })).toContainText("Viewer");
    expect(await actionsOf(theirs)).toEqual([]);
    await theirs.keyboard.press("Control+k");
    await theirs.getByPlaceholder("Go to a page, source or snapshot…").fill("Add a source");
    await expect(theirs.getByRole("option", { name: "Add a source" })).toHaveCount(0);
    await theirs.keyboard.press("Escape");
  });

  await test.step("an operator backs up and verifies, and neither restores nor downloads", async () => {
    await row.getByRole("combobox", { name: "Role of Bob Member" }).click();
    await page.getByRole("option", { name: "Operator" }).click();
    await expect(page.getByText("Bob Member is an operator now.").first()).toBeVisible();
    await theirs.goto(`/snapshots/${job.snapshot_id}`);
    await expect(theirs.getByRole("button", { name: "Check now" })).toBeVisible();
    await expect(theirs.getByRole("table", { name: "Files in the snapshot" }).getByRole("link")).toHaveCount(1);
    // The menu has what keeps a snapshot and proves it, and neither restores nor removes.
    expect(await actionsOf(theirs)).toEqual(["Check now", "More for this snapshot"]);
    await theirs.getByRole("button", { name: "Check now" }).click();
    await theirs.getByRole("menuitem", { name: /^Check: contents/ }).click();
    await expectJobEnd(theirs, "Success");
    await theirs.goto(`/sources/${source.id}`);
    await theirs.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(theirs, "Success");
  });

  await test.step("an admin restores, but lays no hand on an owner", async () => {
    await row.getByRole("combobox", { name: "Role of Bob Member" }).click();
    await page.getByRole("option", { name: "Admin" }).click();
    await expect(page.getByText("Bob Member is an admin now.").first()).toBeVisible();
    await theirs.goto(`/snapshots/${job.snapshot_id}`);
    await expect(theirs.getByRole("button", { name: "Restore all" })).toBeVisible();
    await expect(theirs.getByRole("button", { name: "Download all" })).toBeVisible();
    await theirs.goto("/team");
    const owner = theirs.getByRole("row").filter({ hasText: ada.email });
    await expect(owner).toContainText("Owner");
    await expect(owner.getByRole("combobox")).toHaveCount(0);
    await expect(owner.getByRole("button")).toHaveCount(0);
    await theirs.getByRole("button", { name: "Add a member" }).click();
    await expect(theirs.getByRole("radio")).toHaveCount(3);
    await expect(theirs.getByRole("radio", { name: "Owner" })).toHaveCount(0);
    await theirs.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  });

  await test.step("removed, after a question that names the person, and nothing is shown any more", async () => {
    await row.getByRole("button", { name: "Remove Bob Member" }).click();
    await expect(dialog).toContainText("Bob Member loses access to this workspace at once.");
    await picture(page, "remove");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await expect(dialog).toBeHidden();
    await expect(row).toBeVisible();
    await row.getByRole("button", { name: "Remove Bob Member" }).click();
    await dialog.getByRole("button", { name: "Remove member" }).click();
    await expect(row).toHaveCount(0);
    for (const status of [403, 404]) watchTheirs.expectStatus(status);
    await theirs.goto(`/sources/${source.id}`);
    await expect(theirs.getByText("There is no such source")).toBeVisible();
    await expect(theirs.getByText(join(server.mockData))).toHaveCount(0);
    await expect(theirs.getByRole("button", { name: `Workspace ${bob.workspace}, switch` })).toBeVisible();
  });
});

/** What the page itself offers to press or to open as a button, but for the links of lists, copy buttons, filters and paths. */
async function actionsOf(page: Page): Promise<string[]> {
  await expect(page.locator(".animate-pulse")).toHaveCount(0);
  const names = await page
    .getByRole("main")
    .locator("button:visible, a:visible")
    .evaluateAll((all) =>
      all
        .filter(
          (one) => !one.matches('.link, [role="combobox"]') && one.closest('nav, [aria-label="breadcrumb"]') === null,
        )
        .map((one) => (one.getAttribute("aria-label") ?? one.textContent).trim()),
    );
  return names.filter((name) => !/^(Copy|Back to|Open sidebar|Close sidebar)/i.test(name));
}
