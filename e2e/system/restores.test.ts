// A restore is quoted before it runs, and goes on where it broke off when the link drops.
import { execFile } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Job, JobEvent, RestoreQuote, Source } from "@xvault/contracts";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addMember, addSource, backUp, ROOT, type Stack, startStack, type Tenant, until } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { treeFacts } from "./trees.ts";

const missing = sshdAvailable();
const FILES = 400;

describe.skipIf(missing !== null)(`restores to a server${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let tenant: Tenant;
  let shaky: Source;
  let tree: string;
  let snapshotId: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres" }), startSshd()]);
    proxy = await startProxy({ port: sshd.port });
    tree = join(sshd.home, "tree");
    for (let d = 0; d < 4; d += 1) {
      mkdirSync(join(tree, `d${d}`), { recursive: true });
      for (let f = 0; f < FILES / 4; f += 1) writeFileSync(join(tree, `d${d}/f${f}`), `content ${d} ${f}\n`.repeat(50));
    }
    tenant = await stack.signUp();
    snapshotId = (await backUp(tenant, await addSource(tenant, sshd, { paths: [tree] }))).snapshot_id;
    shaky = await addSource(tenant, { ...sshd, port: proxy.port }, { paths: [tree], name: "shaky" });
  });
  afterAll(async () => {
    await proxy?.stop();
    await sshd?.stop();
    await stack?.stop();
  });

  const quote = (path: string, more: object = {}) =>
    tenant.api.post<RestoreQuote>("/restores/quote", {
      snapshot_id: snapshotId,
      target: { source_id: shaky.id, path },
      ...more,
    });

  it("are quoted: what is read, written and kept, and whether there is room; nothing is written", async () => {
    const path = join(sshd.home, "quoted");
    const first = await quote(path);
    expect(first).toMatchObject({
      files: FILES,
      directories: 5,
      links: 0,
      skipped: 0,
      enough_space: true,
      seconds: null,
    });
    expect(first.write_bytes).toBe(treeBytes(tree));
    expect(first.read_bytes).toBeGreaterThan(0);
    expect(existsSync(path)).toBe(false);

    const restore = { snapshot_id: snapshotId, target: { source_id: shaky.id, path }, verify: true };
    const done = await tenant.api.ended(await tenant.api.post<Job>("/restores", restore));
    expect(done).toMatchObject({ state: "success", result: { written: 405, bytes: first.write_bytes } });
    appendFileSync(join(path + tree, "d0/f0"), "changed");
    const second = await quote(path, { overwrite: "if-changed" });
    expect(second).toMatchObject({ files: 1, skipped: FILES - 1, target_exists: true });
    // Restores to this server have been measured now.
    expect(second.seconds).toBeGreaterThanOrEqual(0);

    const { items } = await tenant.api.get<{ items: Job[] }>("/jobs");
    expect(items.map((job) => job.type)).not.toContain("quote");
    const operator = await addMember(stack.url, tenant, await stack.signUp(), "operator");
    const asked = operator.post("/restores/quote", { snapshot_id: snapshotId, target: { source_id: shaky.id, path } });
    await expect(asked).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("are quoted by the command line", async () => {
    const path = join(sshd.home, "by the command line");
    const args = ["restore", snapshotId, "--to", "shaky", "--target", path, "--dry-run"];
    const { stdout } = await promisify(execFile)("node", [join(ROOT, "apps/cli/src/main.ts"), ...args], {
      env: { ...process.env, XVAULT_URL: stack.url, XVAULT_TOKEN: tenant.token },
    });
    expect(stdout).toMatch(/Would write 400 files, 5 directories, 0 links, .* \(made new\)\./);
    expect(stdout).toMatch(/is free there: enough\./);
    expect(existsSync(path)).toBe(false);
  });

  it("go on where they broke off: what was complete is not written again", async () => {
    const path = join(sshd.home, "resumed");
    proxy.setFaults({ resetAfter: 80_000 });
    const job = await tenant.api.post<Job>("/restores", {
      snapshot_id: snapshotId,
      target: { source_id: shaky.id, path },
    });
    await tenant.api.reaches(job, (now) => now.state === "queued" && now.attempt === 1);
    proxy.setFaults({});
    const written = () =>
      new Map(
        readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && !entry.name.startsWith(".xvault-"))
          .map((entry) => join(entry.parentPath, entry.name))
          .map((file) => [file, statSync(file).ino] as const),
      );
    const before = written();
    expect(before.size).toBeGreaterThan(10);
    expect(before.size).toBeLessThan(FILES);
    await stack.sql`update jobs set run_after = now() where id = ${job.id}`;
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", attempt: 2, result: { written: 405, skipped: 0 } });
    const after = written();
    expect([...before].filter(([file, ino]) => after.get(file) !== ino)).toEqual([]);
    expect(treeFacts(join(path, tree))).toEqual(treeFacts(tree));
    expect(readdirSync(path).filter((name) => name.startsWith(".xvault-"))).toEqual([]);
  });

  it("leave nothing half written behind when they are cancelled", async () => {
    const path = join(sshd.home, "cancelled");
    proxy.setFaults({ delayMs: 300 });
    const job = await tenant.api.post<Job>("/restores", {
      snapshot_id: snapshotId,
      target: { source_id: shaky.id, path },
    });
    await until(() => existsSync(path + tree));
    await tenant.api.post(`/jobs/${job.id}/cancel`);
    expect(await tenant.api.ended(job)).toMatchObject({ state: "cancelled" });
    proxy.setFaults({});
    const left = readdirSync(path, { recursive: true }).map(String);
    expect(left.filter((name) => name.includes(".xvault-"))).toEqual([]);
    const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
    expect(items.map((event) => event.step)).toContain("write");
  });
});

function treeBytes(root: string): number {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
