import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expectJobEnd, withPassword } from "./support/dashboard.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

test("a platform admin restores for a tenant with a reason, which the tenant reads in its audit log", async ({
  page,
  server,
  newVisitor,
  picture,
}) => {
  const tenant = await signUpByApi("Tenant Works");
  const source = await addSource(tenant, server, { name: "erp-01", paths: [server.mockData] });
  expect((await backUp(tenant, source)).state).toBe("success");
  const { adminEmail: email, adminPassword: password } = runningStack();
  const reason = `Ticket 4711 of ${tenant.name}: the report is lost`;
  const target = join(server.home, "restored");

  await test.step("sees workers, tenants and all jobs", async () => {
    await signIn(page, { email, password });
    await page.goto("/admin/workers");
    const workers = page.getByRole("table", { name: "Workers" });
    await expect(workers.getByText("Online", { exact: true })).toHaveCount(1);
    await picture(page, "workers");
    await page.getByRole("link", { name: "All jobs", exact: true }).click();
    const jobs = page.getByRole("table", { name: "Jobs" });
    await expect(jobs.getByRole("row").filter({ hasText: tenant.workspace })).toContainText("Success");
    await picture(page, "jobs");
    await page.getByRole("link", { name: "Tenants", exact: true }).click();
    await page.getByLabel("Search tenants").fill(tenant.email);
    const row = page.getByRole("table", { name: "Tenants" }).getByRole("row").filter({ hasText: tenant.email });
    await expect(row).toContainText(tenant.workspace);
    await picture(page, "tenants");
    await row.getByRole("link", { name: /^Restore/ }).click();
  });

  await test.step("restores for the tenant, not without a reason", async () => {
    await expect(
      page.getByRole("button", { name: "Tenant", exact: false }).filter({ hasText: tenant.workspace }),
    ).toBeVisible();
    await page.getByLabel("Snapshot").click();
    await page.getByRole("option", { name: /erp-01/ }).click();
    await expect(page.getByRole("listbox")).toBeHidden();
    await page.getByLabel("Directory", { exact: true }).fill(target);
    await page.getByLabel("Entries").fill(join(server.mockData, "report.json"));
    const start = page.getByRole("button", { name: "Start restore" });
    await expect(start).toBeDisabled();
    await page.getByLabel("Reason").fill(reason);
    await picture(page, "restore");
    await withPassword(page, password, () => start.click(), page.getByText("Started. See all jobs"));
    await page.getByRole("link", { name: "See all jobs" }).click();
    const restore = page.getByRole("row").filter({ hasText: tenant.workspace }).filter({ hasText: "Restore" });
    await expect(restore).toContainText("Success");
    const name = join(server.mockData, "report.json");
    expect(readFileSync(join(target, name))).toEqual(readFileSync(name));
  });

  await test.step("the tenant sees who did it and why, in a chain that verifies", async () => {
    const { page: theirs } = await newVisitor();
    await signIn(theirs, tenant);
    await theirs.goto("/audit");
    const entry = theirs.getByRole("row").filter({ hasText: reason });
    await expect(entry).toContainText(email);
    await theirs.getByRole("button", { name: "Verify chain" }).click();
    await expect(theirs.getByText("The chain is whole")).toBeVisible();
    await picture(theirs, "audit-log");
    await theirs.goto("/jobs?type=restore");
    const jobs = theirs.getByRole("table", { name: "Jobs" });
    await jobs.getByRole("link", { name: "Restore", exact: true }).click();
    await expectJobEnd(theirs, "Success");
    await expect(theirs.getByText("by a platform admin")).toBeVisible();
  });

  await test.step("a tenant has no part in the platform's pages", async () => {
    const { page: theirs, watch } = await newVisitor();
    watch.expectStatus(404);
    await signIn(theirs, tenant);
    await expect(theirs.getByRole("link", { name: "Tenants" })).toBeHidden();
    await theirs.goto("/admin/tenants");
    await expect(theirs.getByRole("alert").filter({ hasText: "NOT_FOUND" })).toBeVisible();
  });
});
