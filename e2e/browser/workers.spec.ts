import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Worker } from "@xvault/contracts";
import { freePort, type Stack, startStack } from "@xvault/test-kit/stack";
import { expectFailure, expectJobEnd } from "./support/dashboard.ts";
import { inspect } from "./support/inspection.ts";
import { addSource, backUp, signIn, signUpByApi } from "./support/people.ts";
import { missing } from "./support/prerequisites.ts";
import { expect, test } from "./support/servers.ts";
import { announceStack, ROOT, type RunningStack, runningStack } from "./support/stack.ts";

test.skip(missing !== null, missing ?? "");

// Workers are the whole installation's: this journey has one of its own, or it would take the others' worker away.
let stack: Stack;
let shared: RunningStack;
let endSecond = async (): Promise<void> => {};

test.beforeAll(async () => {
  test.setTimeout(300_000);
  shared = runningStack();
  stack = await startStack({
    queue: "postgres",
    workers: 1,
    env: { hub: { XVAULT_WEB_DIR: process.env["XVAULT_WEB_DIR"] ?? join(ROOT, "apps/web/dist") } },
  });
  announceStack({
    url: stack.url,
    dataUrl: stack.workers[0]?.dataUrl ?? "",
    adminEmail: stack.secrets.adminEmail,
    adminPassword: stack.secrets.adminPassword,
    folder: stack.folder,
  });
});
test.afterAll(async () => {
  await endSecond();
  await stack?.stop();
  if (shared) announceStack(shared);
});

test("a second worker by the very command of the dialog; drained, resumed, revoked", async ({
  page,
  server,
  newVisitor,
  picture,
}) => {
  const ada = await signUpByApi("Two Workers");
  const source = await addSource(ada, server, { name: "web-01", paths: [server.mockData] });
  const admin = { email: stack.secrets.adminEmail, password: stack.secrets.adminPassword };
  const workers = async () => (await stack.admin()).query<Worker[]>("admin.workers");
  await signIn(page, admin);
  await page.goto("/admin/workers");
  const dialog = page.getByRole("dialog");
  const row = (name: string) => page.getByRole("row").filter({ hasText: name });
  await expect(row("worker-1")).toContainText("Online");

  await test.step("the token is shown once, and no stray click or key loses it", async () => {
    await page.getByRole("button", { name: "Enrol a worker" }).click();
    await expect(page.getByRole("dialog", { name: "The token of the new worker" })).toBeVisible();
    await page.keyboard.press("Escape");
    await page.mouse.click(5, 5);
    const token = await page.getByLabel("enrolment token", { exact: true }).innerText();
    expect(await inspect(page, "enrol a worker")).toEqual([]);
    await picture(page, "enrol");
    const command = await page.getByLabel("command", { exact: true }).innerText();
    expect(command).toContain(token);

    const home = join(stack.folder, "second");
    mkdirSync(home, { mode: 0o700 });
    const dataPort = await freePort();
    endSecond = runCommand(command.replace("=QUEUE ", `='${stack.databases.queue ?? ""}' `), {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      XVAULT_HOME: home,
      XVAULT_WORKER_NAME: "worker-2",
      XVAULT_DATA_PORT: String(dataPort),
      XVAULT_ALLOWED_RANGES: "127.0.0.0/8",
    });
    await page.getByRole("button", { name: "I have stored it" }).click();
    await expect(page.getByText(token)).toHaveCount(0);
    await expect(row("worker-2")).toContainText("Online");
    await page.reload();
    await expect(row("worker-2")).toContainText("Online");
    await expect(page.getByText(token)).toHaveCount(0);
  });

  let onSecond: string | null = null;
  await test.step("a drained worker takes no job, the other does; resumed it is online again", async () => {
    await page.getByRole("button", { name: "Drain worker-1" }).click();
    await expect(page.getByText("worker-1 takes no new jobs.").first()).toBeVisible();
    await expect(row("worker-1")).toContainText("Draining");
    const [two] = (await workers()).filter(({ name }) => name === "worker-2");
    for (const job of [await backUp(ada, source), await backUp(ada, source)]) {
      expect(job).toMatchObject({ state: "success", worker_id: two?.id });
      onSecond = job.snapshot_id;
    }
    await page.getByRole("button", { name: "Resume worker-1" }).click();
    await expect(row("worker-1")).toContainText("Online");
  });

  await test.step("revoked after a question that says what is lost; its jobs and its snapshots' files are gone with it", async () => {
    await page.getByRole("button", { name: "Revoke worker-2" }).click();
    await expect(dialog).toContainText("worker-2 is locked out at once");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await expect(dialog).toBeHidden();
    await expect(row("worker-2")).toContainText("Online");
    await page.getByRole("button", { name: "Revoke worker-2" }).click();
    expect(await inspect(page, "revoke a worker")).toEqual([]);
    await dialog.getByRole("button", { name: "Revoke worker" }).click();
    await expect(row("worker-2")).toContainText("Revoked");
    await expect(row("worker-2").getByRole("button", { name: /Drain|Resume|Revoke/ })).toHaveCount(0);
    await picture(page, "revoked");
    expect((await workers()).find(({ name }) => name === "worker-2")?.state).toBe("revoked");

    const { page: theirs, watch } = await newVisitor();
    await signIn(theirs, ada);
    await theirs.goto(`/sources/${source.id}`);
    await theirs.getByRole("button", { name: /^Back up now/ }).click();
    await expectJobEnd(theirs, "Success");
    for (const status of [409, 503]) watch.expectStatus(status);
    await theirs.goto(`/snapshots/${onSecond}`);
    await expectFailure(theirs, /The worker that holds this snapshot was revoked/, "NO_WORKER");
    await expect(theirs.getByText("Out of reach", { exact: true })).toBeVisible();
    for (const name of ["Check now", "Restore all", "Download all"]) {
      await expect(theirs.getByRole("button", { name })).toHaveCount(0);
    }
    expect(await inspect(theirs, "a snapshot out of reach")).toEqual([]);
    await picture(theirs, "out-of-reach");
    const target = { source_id: source.id, path: join(server.home, "back") };
    const asked = [
      () => ada.api.post(`/snapshots/${onSecond}/verify`),
      () => ada.api.post("/restores", { snapshot_id: onSecond, target }),
      () => ada.api.remove(`/snapshots/${onSecond}`),
    ];
    for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: "NO_WORKER" });
  });
});

/** Runs what a person would paste into a shell, with all that it starts in a process group of its own; gives what ends them all. */
function runCommand(command: string, env: NodeJS.ProcessEnv): () => Promise<void> {
  const shell: ChildProcess = spawn("sh", ["-c", command], { cwd: ROOT, env, detached: true, stdio: "ignore" });
  const gone = once(shell, "exit");
  const end = () => {
    try {
      process.kill(-(shell.pid ?? 0), "SIGTERM");
    } catch {
      // They are gone already.
    }
  };
  process.once("exit", end);
  return async () => {
    end();
    await gone;
    process.off("exit", end);
  };
}
