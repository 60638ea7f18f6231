// A worker that dies between storing a whole, signed snapshot and telling the hub: what becomes of the snapshot when the worker is back.
import { randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Copy, Job, JobEvent, Snapshot, Source, Storage } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  backUp,
  enrolVoice,
  type GrantedBackup,
  type Stack,
  type StackWorker,
  startStack,
  type Tenant,
  type WorkerVoice,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Calls, startCalls } from "./calls.ts";

const missing = sshdAvailable();

/** Where a made-up snapshot is said to lie. */
const STORED = { storage_id: null, location: "/x", locked_until: null };

describe.skipIf(missing !== null)(
  `a snapshot that was stored and never published${missing === null ? "" : ` (${missing})`}`,
  () => {
    let stack: Stack;
    let sshd: Sshd;
    let calls: Calls;
    let worker: StackWorker;
    let tenant: Tenant;
    let source: Source;
    let tree: string;

    beforeAll(async () => {
      [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 0 }), startSshd()]);
      calls = await startCalls(stack.url);
      worker = await stack.addWorker("worker", { XVAULT_HUB_URL: calls.url });
      tree = join(sshd.home, "tree");
      mkdirSync(tree);
      writeFileSync(join(tree, "file"), "content");
      const other = { name: "other disk", tier: "warm", place: { kind: "local_fs", config: { folder: "other" } } };
      await (await stack.admin()).post("/platform/storages", { ...other, offered: true });
      tenant = await stack.signUp();
    });
    afterAll(async () => {
      await calls?.stop();
      await sshd?.stop();
      await stack?.stop();
    });
    beforeEach(async () => {
      source = await addSource(tenant, sshd, { paths: [tree] });
      await stack.sql`update sources set worker_id = ${worker.id} where id = ${source.id}`;
    });

    const folder = () => join(worker.home, "backups", tenant.workspaceId, source.id);
    const stored = () => (existsSync(folder()) ? readdirSync(folder()) : []);
    const receipts = () => readdirSync(join(worker.home, "receipts"));

    /** A backup whose worker dies when all is stored, before the hub has heard of it. The worker is down afterwards. */
    async function dieBeforePublishing(): Promise<{ job: Job; orphan: string }> {
      const before = new Set(stored());
      const reached = calls.stopAt("publish", "before");
      const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
      await reached;
      await worker.kill();
      calls.letGo();
      const [orphan = ""] = stored().filter((id) => !before.has(id));
      expect(readdirSync(join(folder(), orphan))).toContain("manifest.json");
      return { job, orphan };
    }
    /** What the reaper does when a lease has expired. */
    const reap = ({ id }: Job) => stack.sql`update jobs set state = 'queued', lease_expires_at = null where id = ${id}`;

    it.each([
      ["at once", false],
      ["after its lease was taken back", true],
    ])("is handed in when the worker comes back %s, and is a link of the chain like any other", async (_, reaped) => {
      const first = await backUp(tenant, source);
      const { job, orphan } = await dieBeforePublishing();
      if (reaped) await reap(job);
      await worker.start();
      const ended = await tenant.api.ended(job);
      expect(ended).toMatchObject({ state: "success", attempt: 1, snapshot_id: orphan, error: null });
      expect(ended.result).toMatchObject({ type: "backup", files: 1 });
      const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
      expect(items.at(-1)?.message).toContain("found whole");
      const third = await backUp(tenant, source);
      const chain = (await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${source.id}`)).items;
      expect(chain.map(({ id, sequence }) => [id, sequence])).toEqual([
        [third.snapshot_id, 3],
        [orphan, 2],
        [first.snapshot_id, 1],
      ]);
      for (const id of stored()) {
        const check = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${id}/verify`));
        expect(check.state).toBe("success");
      }
      expect(stored().toSorted()).toEqual(chain.map(({ id }) => id).toSorted());
    });

    it("is handed in from every storage that it lies on, by the receipt that the worker has kept", async () => {
      const items = (await tenant.api.get<{ items: Storage[] }>("/storages")).items;
      const [disks, other] = ["Worker disks", "other disk"].map((name) => items.find((one) => one.name === name)?.id);
      for (const storage_ids of [[other], [other, disks]]) {
        await tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, { storage_ids });
        const reached = calls.stopAt("publish", "before");
        const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
        await reached;
        await worker.kill();
        calls.letGo();
        expect(receipts()).toHaveLength(1);
        await worker.start();
        const ended = await tenant.api.ended(job);
        expect(ended).toMatchObject({ state: "success", attempt: 1, error: null });
        expect(receipts()).toEqual([]);
        const copies = async () => {
          const { all_copies } = await tenant.api.get<{ all_copies: Copy[] }>(`/snapshots/${ended.snapshot_id}`);
          return all_copies.map(({ storage_id, state }) => `${storage_id} ${state}`).toSorted();
        };
        // Where the disks do not have what the run built on, that is copied to them first.
        await expect.poll(copies, { timeout: 60_000 }).toEqual(storage_ids.map((id) => `${id} complete`).toSorted());
        const check = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${ended.snapshot_id}/verify`));
        expect(check).toMatchObject({ state: "success", error: null });
      }
      // Control: one whose hub has answered keeps none.
      await backUp(tenant, source);
      expect(receipts()).toEqual([]);
    });

    it("is not handed in by a receipt when somebody else has taken the job", async () => {
      const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
      const storage_ids = items.filter(({ name }) => name === "other disk").map(({ id }) => id);
      await tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, { storage_ids });
      const reached = calls.stopAt("publish", "before");
      const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
      await reached;
      await worker.kill();
      calls.letGo();
      const voice = await enrolVoice(stack, `another ${job.id}`);
      await reap(job);
      await stack.sql`update jobs set target_worker_id = ${voice.id} where id = ${job.id}`;
      expect(await voice.call("lease", { job_id: job.id })).toMatchObject({ granted: true, attempt: 2 });
      await worker.start();
      expect(receipts()).toEqual([]);
      expect(await stack.sql`select id from snapshots where job_id = ${job.id} and state <> 'pending'`).toEqual([]);
      const end = { job_id: job.id, attempt: 2, result: null, error: null, events: [] };
      await voice.call("complete", { ...end, state: "cancelled" });
    });

    it("is removed when somebody else has taken the job, unless something on the storage builds on it", async () => {
      const { job, orphan } = await dieBeforePublishing();
      const voice = await enrolVoice(stack, `other ${job.id}`);
      await reap(job);
      await stack.sql`update jobs set target_worker_id = ${voice.id} where id = ${job.id}`;
      expect(await voice.call("lease", { job_id: job.id })).toMatchObject({ granted: true, attempt: 2 });

      // As it is when the hub's database was set back: a later snapshot, which this hub has never heard of, names it.
      const later = randomUUID();
      mkdirSync(join(folder(), later));
      const manifest = JSON.parse(readFileSync(join(folder(), orphan, "manifest.json"), "utf8")) as object;
      const previous = { snapshot_id: orphan, manifest_sha256: "0".repeat(64) };
      writeFileSync(
        join(folder(), later, "manifest.json"),
        JSON.stringify({ ...manifest, snapshot_id: later, previous }),
      );
      await worker.start();
      expect(stored().toSorted()).toEqual([orphan, later].toSorted());
      expect(worker.log()).toContain("another one builds on it");

      await worker.stop();
      rmSync(join(folder(), later), { recursive: true });
      await worker.start();
      expect(stored()).toEqual([]);
      const end = { job_id: job.id, attempt: 2, result: null, error: null, events: [] };
      await voice.call("complete", { ...end, state: "cancelled" });
    });

    it("is removed when the job was cancelled while the worker was away", async () => {
      const { job } = await dieBeforePublishing();
      await tenant.api.post(`/jobs/${job.id}/cancel`);
      await worker.start();
      expect(await tenant.api.ended(job)).toMatchObject({ state: "cancelled", snapshot_id: null });
      expect(stored()).toEqual([]);
      expect(await stack.sql`select id from snapshots where job_id = ${job.id}`).toEqual([]);
    });

    it("is left alone when the hub has never heard of its job: it may be what the hub is recovered from", async () => {
      const { job, orphan } = await dieBeforePublishing();
      await stack.sql`delete from snapshots where job_id = ${job.id}`;
      await stack.sql`delete from jobs where id = ${job.id}`;
      await worker.start();
      expect(stored()).toEqual([orphan]);
      expect(worker.log()).toContain("that the hub does not know; it is left alone");
    });

    it("is left alone when it is damaged, and the job is done anew", async () => {
      const { job, orphan } = await dieBeforePublishing();
      writeFileSync(join(folder(), orphan, "index.zst.enc"), "x");
      await worker.start();
      await stack.sql`update jobs set lease_expires_at = now() - interval '1 hour' where id = ${job.id}`;
      const ended = await tenant.api.ended(job);
      expect(ended).toMatchObject({ state: "success", attempt: 2 });
      expect(stored().toSorted()).toEqual([orphan, ended.snapshot_id ?? ""].toSorted());
    });

    it("is not the only thing that goes: what an attempt left before it had finished one object is removed", async () => {
      await backUp(tenant, source);
      const kept = stored();
      const half = randomUUID();
      mkdirSync(join(folder(), half));
      cpSync(join(folder(), kept[0] ?? "", "backup.tar.zst.enc"), join(folder(), half, `.part-${randomUUID()}`));
      await worker.stop();
      await worker.start();
      expect(stored()).toEqual(kept);
    });

    describe("as the hub decides", () => {
      let a: WorkerVoice;
      let b: WorkerVoice;
      const lease = async (voice: WorkerVoice): Promise<GrantedBackup> => {
        await stack.sql`update sources set worker_id = ${voice.id} where id = ${source.id}`;
        const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
        const granted = await voice.call("lease", { job_id: job.id });
        if (!granted.granted || granted.payload.type !== "backup") throw new Error("not granted");
        return { ...granted, payload: granted.payload };
      };
      beforeAll(async () => {
        [a, b] = await Promise.all([enrolVoice(stack, "voice-a"), enrolVoice(stack, "voice-b")]);
      });

      it("nobody hands in for another worker, nor with a manifest that was changed, nor for an attempt that the hub has not seen", async () => {
        const held = await lease(a);
        const manifest = await a.manifest(held);
        const stored = [STORED];
        expect(await b.call("adopt", { manifest, stored })).toEqual({ outcome: "waiting" });
        const changed = { ...manifest, partial: true };
        await expect(a.call("adopt", { manifest: changed, stored })).rejects.toMatchObject({
          code: "SIGNATURE_INVALID",
        });
        const ahead = await a.manifest({ ...held, attempt: 2 });
        expect(await a.call("adopt", { manifest: ahead, stored })).toEqual({ outcome: "unknown" });
        expect(await stack.sql`select state from snapshots where job_id = ${held.job_id}`).toEqual([
          { state: "pending" },
        ]);
        // Control: its own is taken, and taking it again changes nothing.
        expect(await a.call("adopt", { manifest, stored })).toEqual({ outcome: "published" });
        expect(await a.call("adopt", { manifest, stored })).toEqual({ outcome: "published" });
        expect(await tenant.api.get(`/jobs/${held.job_id}`)).toMatchObject({ state: "success", attempt: 1 });
      });

      it("nothing is handed in whose place in the chain is taken", async () => {
        const held = await lease(a);
        const manifest = await a.manifest(held);
        await stack.sql`update jobs set state = 'queued', lease_expires_at = null where id = ${held.job_id}`;
        const other = await lease(b);
        await b.call("publish", {
          job_id: other.job_id,
          attempt: 1,
          manifest: await b.manifest(other),
          stored: [STORED],
        });
        // While the other still runs, and when it is done.
        expect(await a.call("adopt", { manifest, stored: [STORED] })).toEqual({ outcome: "abandoned" });
        await b.call("complete", {
          job_id: other.job_id,
          attempt: 1,
          state: "success",
          result: null,
          error: null,
          events: [],
        });
        expect(await a.call("adopt", { manifest, stored: [STORED] })).toEqual({ outcome: "abandoned" });
        const chain = (await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${source.id}`)).items;
        expect(chain.map(({ id }) => id)).toEqual([other.payload.snapshot_id]);
      });

      it("while another job of the source is at work, it waits", async () => {
        const held = await lease(a);
        const manifest = await a.manifest(held);
        await stack.sql`update jobs set state = 'queued', lease_expires_at = null where id = ${held.job_id}`;
        const other = await lease(b);
        expect(await a.call("adopt", { manifest, stored: [STORED] })).toEqual({ outcome: "waiting" });
        await b.call("complete", {
          job_id: other.job_id,
          attempt: 1,
          state: "cancelled",
          result: null,
          error: null,
          events: [],
        });
        expect(await a.call("adopt", { manifest, stored: [STORED] })).toEqual({ outcome: "published" });
      });
    });
  },
);
