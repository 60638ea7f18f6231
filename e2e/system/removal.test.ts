// Snapshots are removed on purpose alone, never the last one, never one that others need; the chain keeps the proof (promise 16).
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry, Job, Snapshot, Source } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, backUp, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = sshdAvailable();

describe.skipIf(missing !== null)(`removal of snapshots${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let source: Source;
  let tree: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1 }), startSshd()]);
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "file"), "content");
    tenant = await stack.signUp();
    source = await addSource(tenant, sshd, { paths: [tree], transport: "sftp" });
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  const full = async () => {
    const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true }));
    return tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
  };
  const remove = (id: string) => tenant.api.remove<Job>(`/snapshots/${id}?reason=${encodeURIComponent("not needed")}`);
  const shown = async () => (await tenant.api.get<{ items: Snapshot[] }>("/snapshots")).items.map((one) => one.id);

  it("removes one that nothing needs, and leaves a tombstone", async () => {
    const [first, second] = [await full(), await full()];
    await expect(remove(second.id)).rejects.toMatchObject({ code: "SNAPSHOT_NEEDED", status: 409 });
    const job = await remove(first.id);
    expect(job).toMatchObject({ type: "expire", source_id: source.id });
    expect(await shown()).toEqual([second.id]);
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", error: null });
    expect(Number(ended.result?.["freed_bytes"])).toBeGreaterThan(first.size_bytes);
    expect(readdirSync(first.locator.local_path ?? "")).toEqual(["tombstone.json"]);
    expect(await tenant.api.get<Snapshot>(`/snapshots/${first.id}`)).toMatchObject({ state: "expired" });
    const target = { source_id: source.id, path: join(sshd.home, "x") };
    const refused = [
      () => tenant.api.post("/restores", { snapshot_id: first.id, target }),
      () => tenant.api.post(`/snapshots/${first.id}/verify`),
      () => tenant.api.post(`/snapshots/${first.id}/browse-ticket`),
      () => tenant.api.post(`/snapshots/${first.id}/download-ticket`, { paths: [], format: "raw" }),
      () => remove(first.id),
    ];
    for (const ask of refused) await expect(ask()).rejects.toMatchObject({ code: "NOT_FOUND" });
    const audit = (await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=100")).items;
    const entry = audit.find((one) => one.action === "snapshot.removed");
    expect(entry).toMatchObject({ target_id: first.id, data: { reason: "not needed" } });
    expect(audit.map((one) => one.action)).toContain("expire.success");
    // What stands there survives a worker's start, and the chain goes on.
    const [worker] = stack.workers;
    await worker?.stop();
    await worker?.start();
    expect(existsSync(join(first.locator.local_path ?? "", "tombstone.json"))).toBe(true);
    expect((await full()).sequence).toBe(3);
  });

  it("keeps what later snapshots build on, until they are gone", async () => {
    writeFileSync(join(tree, "settled"), "long ago");
    for (const name of ["file", "settled"]) utimesSync(join(tree, name), 1_700_000_000, 1_700_000_000);
    const base = await full();
    const next = await backUp(tenant, source);
    expect(next.result).toMatchObject({ unchanged_files: 2 });
    await full();
    await expect(remove(base.id)).rejects.toMatchObject({ code: "SNAPSHOT_NEEDED" });
    await tenant.api.ended(await remove(next.snapshot_id));
    expect(await tenant.api.ended(await remove(base.id))).toMatchObject({ state: "success" });
  });

  it("lets everything of a removed source go", async () => {
    await tenant.api.remove(`/sources/${source.id}`);
    for (const id of await shown())
      expect(await tenant.api.ended(await remove(id))).toMatchObject({ state: "success" });
    expect(await shown()).toEqual([]);
  });

  it("in whatever order they are asked for, removals leave every snapshot that is shown whole (promise 27)", async () => {
    const other = await addSource(tenant, sshd, { paths: [tree], transport: "sftp", name: "in any order" });
    const write = (name: string, text: string, age: number) => {
      writeFileSync(join(tree, name), text);
      utimesSync(join(tree, name), 1_700_000_000 - age, 1_700_000_000 - age);
    };
    let seed = 1;
    const roll = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let removed = 0;
    for (let round = 0; round < 12; round++) {
      for (let n = 0; n < 3; n++) write(`f${roll(8)}`, `round ${round} ${n}`.repeat(roll(40)), round * 100 + n);
      // Now and then a full run, or every artifact would be needed for ever.
      const run = tenant.api.post<Job>(`/sources/${other.id}/backup`, { full: round % 4 === 3 });
      expect(await tenant.api.ended(await run)).toMatchObject({ state: "success" });
      for (const id of (await shown()).filter(() => roll(2) === 0)) {
        const job = await remove(id).catch((error: unknown) => {
          expect(error).toMatchObject({ code: "SNAPSHOT_NEEDED" });
          return null;
        });
        if (!job) continue;
        removed += 1;
        expect(await tenant.api.ended(job)).toMatchObject({ state: "success" });
      }
    }
    expect(removed).toBeGreaterThan(1);
    const left = await shown();
    expect(left.length).toBeGreaterThan(1);
    const checks = left.map((id) => tenant.api.post<Job>(`/snapshots/${id}/verify`));
    for (const check of await Promise.all(checks)) {
      expect(await tenant.api.ended(check)).toMatchObject({ state: "success", result: { depth: "content" } });
    }
  });

  it("needs the right", async () => {
    const { token } = await tenant.web.mutate<{ token: string }>("tokens.create", {
      name: "reader",
      scopes: ["snapshots:read"],
    });
    const answer = await fetch(`${stack.url}/api/v1/snapshots/${source.id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await answer.json()).toMatchObject({ code: "SCOPE_MISSING" });
  });
});
