// A second run pulls what changed, on whichever worker has the first; whatever is read of it comes from both artifacts.
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, JobEvent, Snapshot, Source } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, backUp, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree, treeFacts } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing !== null)(`incremental runs${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let source: Source;
  let tree: string;
  let first: Job & { snapshot_id: string };
  let second: Job & { snapshot_id: string };

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 2 }), startSshd()]);
    tree = join(sshd.home, "tree");
    makeTree(tree);
    mkdirSync(join(tree, "many"));
    for (let i = 0; i < 50; i++) writeFileSync(join(tree, `many/${i}`), `file ${i}\n`);
    // SFTP tells whole seconds and no change times: what is an hour old is settled.
    execFileSync("find", [tree, "-exec", "touch", "-h", "-d", "1 hour ago", "{}", "+"]);
    tenant = await stack.signUp();
    source = await addSource(tenant, sshd, { paths: [tree], transport: "sftp" });
    first = await backUp(tenant, source);
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  const restored = async (snapshot: string, name: string) => {
    const path = join(sshd.home, name);
    const target = { source_id: source.id, path };
    const job = await tenant.api.ended(await tenant.api.post<Job>("/restores", { snapshot_id: snapshot, target }));
    expect(job).toMatchObject({ state: "success", error: null });
    return treeFacts(join(path, tree));
  };

  it("pulls what changed, on the worker that has the first run", async () => {
    const before = treeFacts(tree);
    appendFileSync(join(tree, "many/7"), "more\n");
    rmSync(join(tree, "many/8"));
    writeFileSync(join(tree, "many/new"), "new\n");
    second = await backUp(tenant, source);
    expect(second.worker_id).toBe(first.worker_id);
    expect(second.result).toMatchObject({ unchanged_files: 52, files: 54 });
    const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${second.id}/events`);
    expect(items.map((event) => event.message)).toContain("54 files found, 2 of them new or changed.");
    const [old, young] = await Promise.all(
      [first, second].map((job) => tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`)),
    );
    expect(young?.size_bytes).toBeLessThan((old?.size_bytes ?? 0) / 50);
    expect(young?.files).toBe(54);
    expect(await restored(second.snapshot_id, "second")).toEqual(treeFacts(tree));
    expect(await restored(first.snapshot_id, "first")).toEqual(before);
  });

  it("gives one unchanged file and the whole tree, and verifies every byte that it needs", async () => {
    const ticket = (paths: string[], format: string) =>
      tenant.api.post<{ url: string }>(`/snapshots/${second.snapshot_id}/download-ticket`, { paths, format });
    const file = await ticket([join(tree, "many/3")], "file");
    expect(await (await fetch(file.url)).text()).toBe("file 3\n");
    const tar = await ticket([], "tar");
    const out = join(sshd.dir, "untarred");
    mkdirSync(out);
    execFileSync("tar", ["-xpf", "-", "-C", out], {
      input: Buffer.from(await (await fetch(tar.url)).arrayBuffer()),
    });
    expect(treeFacts(join(out, tree))).toEqual(treeFacts(tree));
    const check = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${second.snapshot_id}/verify`));
    expect(check).toMatchObject({ state: "success", result: { depth: "content", files: 54 } });
  });

  it("pulls everything when asked to, and when the first run's worker is not there", async () => {
    const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true }));
    expect(job).toMatchObject({ state: "success", result: { unchanged_files: 0 } });
    const holder = stack.workers.find((worker) => worker.id === job.worker_id);
    await holder?.stop();
    await stack.sql`update workers set last_seen_at = now() - interval '5 minutes' where id = ${job.worker_id}`;
    const other = await backUp(tenant, source);
    expect(other.worker_id).not.toBe(job.worker_id);
    expect(other.result).toMatchObject({ unchanged_files: 0 });
    await holder?.start();
  });

  it("finds a first run's artifact that was changed, through the snapshots that need it", async () => {
    const { locator } = await tenant.api.get<Snapshot>(`/snapshots/${first.snapshot_id}`);
    const artifact = join(locator.local_path ?? "", "backup.tar.zst.enc");
    expect(existsSync(artifact)).toBe(true);
    execFileSync("sh", ["-c", `printf x | dd of="$1" bs=1 seek=300000 conv=notrunc status=none`, "sh", artifact]);
    utimesSync(artifact, new Date(), new Date());
    const check = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${second.snapshot_id}/verify`));
    expect(check).toMatchObject({ state: "failed", error: { code: "ARTIFACT_CORRUPT" } });
  });
});
