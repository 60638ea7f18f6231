// Promise 12: a worker sees only the secrets of jobs that it holds a lease on. Promise 24: nobody publishes twice.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, Snapshot, Source, WorkerInput } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  backUp,
  enrolVoice,
  type Gate,
  type GrantedBackup,
  type Stack,
  startGate,
  startStack,
  type Tenant,
  until,
  type WorkerVoice,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing !== null)(`leases${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let gate: Gate;
  let tenant: Tenant;
  let tree: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 2 }), startSshd()]);
    gate = await startGate(sshd.port);
    tree = join(sshd.home, "tree");
    makeTree(tree);
    tenant = await stack.signUp();
  });
  afterAll(async () => {
    await gate?.stop();
    await sshd?.stop();
    await stack?.stop();
  });

  describe("a worker sees only what belongs to a lease that it holds (promise 12)", () => {
    let a: WorkerVoice;
    let b: WorkerVoice;
    let source: Source;
    let sealed: SealedHeaders;

    beforeAll(async () => {
      [a, b] = await Promise.all([enrolVoice(stack, "voice-a"), enrolVoice(stack, "voice-b")]);
      source = await addSource(tenant, sshd, { paths: [tree], name: "for the voices" });
      const { snapshot_id } = await backUp(tenant, source);
      const snapshot = await tenant.api.get<Snapshot & { manifest: SealedHeaders["manifest"] }>(
        `/snapshots/${snapshot_id}`,
      );
      const head = (name: string, bytes: number) =>
        readFileSync(join(snapshot.locator.local_path ?? "", name))
          .subarray(0, bytes)
          .toString("base64");
      const { manifest } = snapshot;
      sealed = {
        manifest,
        artifact_header: head(manifest.artifact.name, manifest.artifact.header_bytes),
        index_header: head(manifest.index.name, manifest.index.header_bytes),
      };
      // From here on worker A alone may take this source's jobs, and it holds the snapshot.
      await stack.sql`update sources set worker_id = ${a.id} where id = ${source.id}`;
      await stack.sql`update snapshots set worker_id = ${a.id} where id = ${snapshot_id}`;
      await stack.sql`update copies set worker_id = ${a.id} where snapshot_id = ${snapshot_id}`;
    });

    /** Every call that needs a lease, as `voice` says it of a job and attempt: what each was answered, by its code. */
    async function codes(voice: WorkerVoice, held: { job_id: string; attempt: number }, backup: GrantedBackup) {
      const outcome = (call: Promise<unknown>) =>
        call.then(
          () => "granted",
          (refusal: { code: string }) => refusal.code,
        );
      return {
        heartbeat: await outcome(voice.call("heartbeat", { ...held, progress: null, events: [] })),
        credentials: await outcome(voice.call("credentials", held)),
        unwrap: await outcome(voice.call("unwrap", { ...held, sealed })),
        publish: await outcome(
          voice.call("publish", {
            ...held,
            manifest: await voice.manifest({ ...backup, ...held }),
            stored: [{ storage_id: null, location: "/x", locked_until: null }],
          }),
        ),
        complete: await outcome(
          voice.call("complete", { ...held, state: "failed", result: null, error: null, events: [] }),
        ),
        release: await outcome(voice.call("release", held)),
      };
    }
    const ALL_LOST = {
      heartbeat: "LEASE_LOST",
      credentials: "LEASE_LOST",
      unwrap: "LEASE_LOST",
      publish: "LEASE_LOST",
      complete: "LEASE_LOST",
      release: "LEASE_LOST",
    };
    const grant = async (voice: WorkerVoice, job: { id: string }): Promise<GrantedBackup> => {
      const lease = await voice.call("lease", { job_id: job.id });
      if (!lease.granted || lease.payload.type !== "backup") throw new Error("the lease of a backup was not granted");
      return { ...lease, payload: lease.payload };
    };

    it("refuses the wrong worker, an attempt that is not, an old attempt after the lease was given anew, and a job that is over", async () => {
      const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
      expect(await b.call("lease", { job_id: job.id })).toEqual({ granted: false });
      const first = await grant(a, job);
      expect(first.attempt).toBe(1);
      const held = { job_id: job.id, attempt: 1 };

      expect(await codes(b, held, first)).toEqual(ALL_LOST);
      expect(await codes(a, { ...held, attempt: 2 }, first)).toEqual(ALL_LOST);
      expect(await codes(a, { ...held, job_id: source.id }, first)).toEqual(ALL_LOST);
      // Control: the holder gets all of it.
      expect(await a.call("heartbeat", { ...held, progress: null, events: [] })).toEqual({ cancel: false });
      expect(await a.call("credentials", held)).toEqual({ kind: "key", private_key: sshd.privateKey });

      // What the reaper does with an expired lease, and the lease goes to B.
      await stack.sql`delete from snapshots where job_id = ${job.id} and state = 'pending'`;
      await stack.sql`update jobs set state = 'queued', lease_expires_at = null, target_worker_id = ${b.id} where id = ${job.id}`;
      expect(await codes(a, held, first)).toEqual(ALL_LOST);
      const second = await grant(b, job);
      expect(second.attempt).toBe(2);
      expect(second.payload.snapshot_id).not.toBe(first.payload.snapshot_id);
      expect(await codes(a, held, first)).toEqual(ALL_LOST);
      expect(await codes(a, { ...held, attempt: 2 }, first)).toEqual(ALL_LOST);

      const now = { job_id: job.id, attempt: 2 };
      const manifest = await b.manifest(second);
      // B holds the lease, but not with a manifest of the attempt before, nor with one of A's.
      await expect(
        b.call("publish", {
          ...now,
          manifest: await b.manifest(first),
          stored: [{ storage_id: null, location: "/x", locked_until: null }],
        }),
      ).rejects.toMatchObject({
        code: "MANIFEST_TENANT_MISMATCH",
      });
      await expect(
        b.call("publish", {
          ...now,
          manifest: await a.manifest(second),
          stored: [{ storage_id: null, location: "/x", locked_until: null }],
        }),
      ).rejects.toMatchObject({
        code: "SIGNATURE_INVALID",
      });
      const published = { snapshot_id: second.payload.snapshot_id };
      expect(
        await b.call("publish", {
          ...now,
          manifest,
          stored: [{ storage_id: null, location: "/x", locked_until: null }],
        }),
      ).toEqual(published);
      expect(
        await b.call("publish", {
          ...now,
          manifest,
          stored: [{ storage_id: null, location: "/x", locked_until: null }],
        }),
      ).toEqual(published);
      await b.call("complete", { ...now, state: "success", result: null, error: null, events: [] });
      expect(await tenant.api.get(`/jobs/${job.id}`)).toMatchObject({ state: "success", attempt: 2, ...published });
      expect(await codes(b, now, second)).toEqual(ALL_LOST);
      // An answer that was lost is given again: what was published is published.
      expect(
        await b.call("publish", {
          ...now,
          manifest,
          stored: [{ storage_id: null, location: "/x", locked_until: null }],
        }),
      ).toEqual(published);
      const made = await stack.sql`select id from snapshots where job_id = ${job.id}`;
      expect(made).toEqual([{ id: second.payload.snapshot_id }]);
    });

    it("unwraps the file keys of the snapshot that a held job reads, and of no other", async () => {
      const { snapshot_id } = sealed.manifest;
      const job = await tenant.api.post<Job>(`/snapshots/${snapshot_id}/verify`);
      const lease = await a.call("lease", { job_id: job.id });
      expect(lease).toMatchObject({ granted: true, attempt: 1 });
      const held = { job_id: job.id, attempt: 1 };
      await expect(b.call("unwrap", { ...held, sealed })).rejects.toMatchObject({ code: "LEASE_LOST" });
      await expect(a.call("unwrap", { ...held, attempt: 2, sealed })).rejects.toMatchObject({ code: "LEASE_LOST" });
      // Headers of another artifact under this manifest: nothing is unwrapped but what was signed.
      const swapped = { ...sealed, artifact_header: sealed.index_header };
      await expect(a.call("unwrap", { ...held, sealed: swapped })).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
      const keys = await a.call("unwrap", { ...held, sealed });
      expect([keys.artifact, keys.index].map((key) => Buffer.from(key, "base64").length)).toEqual([16, 16]);
      expect(keys.artifact).not.toBe(keys.index);
      await a.call("complete", { ...held, state: "cancelled", result: null, error: null, events: [] });
      await expect(a.call("unwrap", { ...held, sealed })).rejects.toMatchObject({ code: "LEASE_LOST" });
    });

    it("takes no worker for another: a name without its key says nothing", async () => {
      const response = await fetch(`${stack.url}/worker/v1/hello`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-xvault-protocol": "1", "x-xvault-worker": a.id },
        body: "{}",
      });
      expect(response.status).toBe(401);
    });
  });

  it("a worker that was paused past its lease cannot publish what another has finished (promise 24)", async () => {
    const source = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree], name: "paused" });
    gate.hold(256 * 1024);
    const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
    const begun = await tenant.api.reaches(job, (now) => now.state === "running");
    await until(() => gate.holding());
    const paused = stack.workers.find((worker) => worker.id === begun.worker_id);
    if (!paused) throw new Error("no worker of the stack runs the job");
    const [loser] = await stack.sql<{ id: string }>`select id from snapshots where job_id = ${job.id}`;
    const leftovers = join(paused.home, "backups", tenant.workspaceId, source.id, loser?.id ?? "");
    expect(existsSync(leftovers)).toBe(true);

    paused.signal("SIGSTOP");
    try {
      gate.release();
      await stack.sql`update jobs set lease_expires_at = now() - interval '1 hour' where id = ${job.id}`;
      const ended = await tenant.api.ended(job);
      expect(ended).toMatchObject({ state: "success", attempt: 2 });
      expect(ended.worker_id).not.toBe(paused.id);
    } finally {
      paused.signal("SIGCONT");
    }
    await until(() => paused.log().includes("the lease was lost; the attempt was dropped"));
    await until(() => !existsSync(leftovers));
    const { items } = await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${source.id}`);
    expect(items).toHaveLength(1);
    expect(items[0]?.locator.worker_id).not.toBe(paused.id);
    const rows = await stack.sql`select state, attempt from snapshots where job_id = ${job.id}`;
    expect(rows).toEqual([{ state: "complete", attempt: 2 }]);
    // Control: the worker that was paused works on.
    await stack.sql`update sources set worker_id = ${paused.id} where id = ${source.id}`;
    expect(await backUp(tenant, source)).toMatchObject({ worker_id: paused.id, attempt: 1 });
  });
});

type SealedHeaders = WorkerInput<"unwrap">["sealed"];
