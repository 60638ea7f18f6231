// What becomes of jobs whose workers fall silent, hand back or ask twice; against a real PostgreSQL, with the queue on it.
import type { Manifest } from "@xvault/contracts";
import { generateSigningKey, recipientFingerprint } from "@xvault/crypto";
import { signBytes, signManifest, signToken, verifyCertificate } from "@xvault/crypto";
import { and, type Database, eq, jobs, snapshots, sources, sql } from "@xvault/db";
import { type WorkerRow, workers } from "@xvault/db";
import { manualClock, type TenantId } from "@xvault/kernel";
import express from "express";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startServices } from "../test/services.ts";
import { createAdminService } from "../admin/service.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { insertJob } from "../jobs/enqueue.ts";
import { createScheduler } from "../jobs/scheduler.ts";
import { createScheduleService } from "../schedules/service.ts";
import { createSourceService } from "../sources/service.ts";
import { createEnrolment } from "./enrolment.ts";
import { createJobCalls } from "./job-calls.ts";
import { createLeaseCall } from "./lease.ts";
import { createSnapshotService } from "../snapshots/service.ts";
import { redeemTicket } from "../snapshots/tickets.ts";
import { createWorkerRouter } from "./protocol.ts";
import { createSnapshotCalls } from "./snapshot-calls.ts";

const TOKEN = "a token that any worker may enrol with";

let stop: () => Promise<void>;
let db: Database;
let deps: ServiceDeps;
let worker: WorkerRow;
let tenantId: TenantId;
const key = generateSigningKey();
let caller: Caller;
let sourceId: string;

beforeAll(async () => {
  const world = await startServices();
  ({ db, deps, tenantId, caller, stop } = world);
  worker = await enrol();
});
afterAll(async () => {
  await stop?.();
});
beforeEach(async () => {
  const service = createSourceService(deps);
  const credential = await service.createCredential(caller, { kind: "password", password: "secret" });
  const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const connection = { host: "h.example", port: 22, username: "u", host_key, credential_id: credential.id };
  sourceId = (await service.create(caller, { connection, paths: ["/srv"], excludes: [] })).id;
});

async function enrol(): Promise<WorkerRow> {
  const { publicKey, privateKey } = worker === undefined ? key : generateSigningKey();
  const { worker_id } = await createEnrolment(deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
    token: TOKEN,
    name: "w",
    public_key: publicKey,
    proof: signBytes(Buffer.from(TOKEN), privateKey),
    version: "0",
    capabilities: {},
    storage_base_path: "/nowhere",
    data_url: "http://127.0.0.1:9",
    concurrency: 1,
    free_bytes: null,
  });
  const [row] = await db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker_id)));
  if (!row) throw new Error("the worker was not enrolled");
  return row;
}

const queueBackup = (targetWorkerId: string | null = null) =>
  db.withTenant(tenantId, (tx) =>
    insertJob(tx, {
      tenantId,
      type: "backup",
      trigger: "manual",
      params: { paths: ["/srv"] },
      sourceId,
      targetWorkerId,
      now: new Date(),
    }),
  );
const jobOf = async (id: string) => {
  const [row] = await db.withTenant(tenantId, (tx) => tx.select().from(jobs).where(eq(jobs.id, id)));
  return row;
};

async function lease() {
  const { id } = await queueBackup();
  const granted = await createLeaseCall(deps)(worker, { job_id: id });
  if (!granted.granted || granted.payload.type !== "backup") throw new Error("not granted");
  const { payload } = granted;
  const held = { job_id: id, attempt: granted.attempt };
  const hash = "0".repeat(64);
  const now = new Date().toISOString();
  const header = { header_sha256: hash, header_bytes: 1 };
  const manifest: Manifest = signManifest(
    {
      format: 1,
      tenant_id: tenantId,
      source_id: sourceId,
      snapshot_id: payload.snapshot_id,
      job_id: id,
      worker_id: worker.id,
      attempt: granted.attempt,
      engine: "archive",
      started_at: now,
      created_at: now,
      sequence: payload.sequence,
      previous: payload.previous,
      partial: false,
      artifact: {
        name: "backup.tar.zst.enc",
        size_bytes: 7,
        sha256: hash,
        ...header,
        compressed_bytes: 1,
        tar_bytes: 1,
      },
      index: { name: "index.zst.enc", size_bytes: 1, sha256: hash, ...header },
      blocks: { name: "blocks.bin", block_bytes: 1, count: 1, root: hash },
      encryption: {
        algorithm: "age-encryption.org/v1",
        recipients: await Promise.all(
          payload.recipients.map(async (one) => ({ fingerprint: await recipientFingerprint(one) })),
        ),
      },
      contents: { files: 3, directories: 0, links: 0, plain_bytes: 9, problems: 0 },
      references: [],
      certificate: worker.certificate,
    },
    key.privateKey,
  );
  return {
    held,
    manifest,
    publish: { ...held, manifest, stored: [{ storage_id: null, location: "/x", locked_until: null }] },
  };
}

const expire = (id: string) =>
  db.withTenant(tenantId, (tx) =>
    tx
      .update(jobs)
      .set({ leaseExpiresAt: sql`now() - interval '1 hour'` })
      .where(eq(jobs.id, id)),
  );
const requestCancel = (id: string) =>
  db.withTenant(tenantId, (tx) => tx.update(jobs).set({ cancelRequestedAt: new Date() }).where(eq(jobs.id, id)));

describe("a publication whose answer was lost", () => {
  it("is confirmed when the worker asks again after its lease was taken, so that it keeps the files", async () => {
    const calls = createSnapshotCalls(deps);
    const { held, manifest, publish } = await lease();
    const first = await calls.publish(worker, publish);
    await expire(held.job_id);
    await createScheduler(deps).reapExpiredLeases();
    expect(await calls.publish(worker, publish)).toEqual(first);
    // Control: another manifest for the same snapshot is not confirmed.
    const other = signManifest({ ...manifest, partial: true }, key.privateKey);
    await expect(calls.publish(worker, { ...publish, manifest: other })).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it("is refused when somebody else took the job before anything was published", async () => {
    const { held, publish } = await lease();
    await expire(held.job_id);
    await createScheduler(deps).reapExpiredLeases();
    const taken = await createLeaseCall(deps)(await enrol(), { job_id: held.job_id });
    expect(taken.granted).toBe(true);
    const again = createSnapshotCalls(deps).publish(worker, publish);
    await expect(again).rejects.toMatchObject({ code: "LEASE_LOST" });
    const beat = createJobCalls(deps).heartbeat(worker, { ...held, progress: null, events: [] });
    await expect(beat).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it("counts when the worker was silent for longer than its lease and nobody took the job (promise 23)", async () => {
    const { held, publish } = await lease();
    await expire(held.job_id);
    await createScheduler(deps).reapExpiredLeases();
    await createJobCalls(deps).heartbeat(worker, { ...held, progress: null, events: [] });
    expect(await createSnapshotCalls(deps).publish(worker, publish)).toHaveProperty("snapshot_id");
    // It holds the job again: nobody else gets it.
    expect(await createLeaseCall(deps)(await enrol(), { job_id: held.job_id })).toEqual({ granted: false });
  });
});

describe("a worker that dies, hands back or gives up between publishing and completing", () => {
  const ends = {
    reaped: async (held: { job_id: string }) => {
      await expire(held.job_id);
      await createScheduler(deps).reapExpiredLeases();
    },
    released: async (held: { job_id: string; attempt: number }) =>
      void (await createJobCalls(deps).release(worker, held)),
    "completed as failed": async (held: { job_id: string; attempt: number }) => {
      const error = { code: "UNAVAILABLE", message: "", fix: "", retry: true } as const;
      await createJobCalls(deps).complete(worker, { ...held, state: "failed", result: null, error, events: [] });
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    it(`leaves a job that succeeded and does not run again: ${how}`, async () => {
      const { held, publish } = await lease();
      const { snapshot_id } = await createSnapshotCalls(deps).publish(worker, publish);
      await end(held);
      expect(await jobOf(held.job_id)).toMatchObject({
        state: "success",
        snapshotId: snapshot_id,
        error: null,
        result: { type: "backup", files: 3, plain_bytes: 9, size_bytes: 7, problems: 0 },
      });
    });
  }
});

describe("a job never waits for ever", () => {
  it("is cancelled when it is handed back after somebody asked to cancel it", async () => {
    const { held } = await lease();
    await requestCancel(held.job_id);
    await createJobCalls(deps).release(worker, held);
    expect((await jobOf(held.job_id))?.state).toBe("cancelled");
    // Control: without that it waits for another attempt.
    const next = await lease();
    await createJobCalls(deps).release(worker, next.held);
    expect((await jobOf(next.held.job_id))?.state).toBe("queued");
  });

  it("fails when what it needs is gone, instead of being offered again and again", async () => {
    const { id } = await queueBackup();
    await db.withTenant(tenantId, (tx) =>
      tx
        .update(sources)
        .set({ credentialId: null })
        .where(and(eq(sources.tenantId, tenantId), eq(sources.id, sourceId))),
    );
    expect(await createLeaseCall(deps)(worker, { job_id: id })).toEqual({ granted: false });
    expect(await jobOf(id)).toMatchObject({ state: "failed", attempt: 0, error: { code: "INPUT_INVALID" } });
    const left = await db.withTenant(tenantId, (tx) => tx.select().from(snapshots).where(eq(snapshots.jobId, id)));
    expect(left).toEqual([]);
  });

  it("is cancelled when its source is removed", async () => {
    const { id } = await queueBackup();
    await createSourceService(deps).remove(caller, sourceId);
    expect((await jobOf(id))?.state).toBe("cancelled");
  });

  it("fails when the one worker that may take it is revoked", async () => {
    const other = await enrol();
    const { id } = await queueBackup(other.id);
    const free = await queueBackup();
    await createAdminService(deps).revokeWorker(caller.actor, other.id, "test");
    expect(await jobOf(id)).toMatchObject({ state: "failed", error: { code: "NO_WORKER" } });
    expect((await jobOf(free.id))?.state).toBe("queued");
  });
});

it("an id names the source that has it, whatever another source is called", async () => {
  const service = createSourceService(deps);
  for (let i = 0; i < 3; i += 1) {
    const impostor = await service.create(caller, { source_id: sourceId, paths: [], excludes: [] });
    expect((await service.get(caller, sourceId)).id).toBe(sourceId);
    await service.remove(caller, impostor.id);
  }
});

describe("what strangers send", () => {
  it("is not read as a worker's call before it is known who calls", async () => {
    const app = express();
    app.use("/worker/v1", createWorkerRouter(deps, { presetToken: TOKEN, webOrigins: [] }));
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/worker/v1`;
    const send = async (call: string, body: string, more: Record<string, string> = {}) => {
      const headers = { "content-type": "application/json", "x-xvault-protocol": "1", ...more };
      const answer = await fetch(`${base}/${call}`, { method: "POST", headers, body });
      return ((await answer.json()) as { code: string }).code;
    };
    try {
      // What is not JSON would be INPUT_INVALID, had it been read.
      expect(await send("hello", "{")).toBe("UNAUTHENTICATED");
      expect(await send("hello", "{", { authorization: "Bearer x", "x-xvault-worker": worker.id })).toBe(
        "TOKEN_INVALID",
      );
      expect(await send("enrol", JSON.stringify({ token: "x".repeat(100_000) }))).toBe("BODY_TOO_LARGE");
      // Control: of a worker it is read.
      const signed = { audience: "xvault-worker", issuer: worker.id, subject: worker.id, keyId: worker.id };
      const token = await signToken({ ...signed, expiresInSeconds: 60, privateKey: key.privateKey });
      const own = { authorization: `Bearer ${token}`, "x-xvault-worker": worker.id };
      expect(await send("hello", "{", own)).toBe("INPUT_INVALID");
    } finally {
      server.close();
    }
  });

  it("is their mistake, not ours, when no column can hold it", async () => {
    const service = createSourceService(deps);
    const named = service.create(caller, { source_id: "a\0b", paths: [], excludes: [] });
    await expect(named).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(service.get(caller, "a\0b")).rejects.toMatchObject({ code: "INPUT_INVALID" });
  });

  it("has no key when it names one that every object seems to have", async () => {
    const signed = { audience: "xvault-data", issuer: "xvault-hub", subject: "x", expiresInSeconds: 60 };
    for (const keyId of ["constructor", "__proto__", "toString"]) {
      const ticket = await signToken({ ...signed, keyId, privateKey: key.privateKey });
      await expect(redeemTicket(deps, ticket, worker.id)).rejects.toMatchObject({ code: "TOKEN_KEY_UNKNOWN" });
    }
  });

  it("names no snapshot when it is no ending of an id", async () => {
    const { held, publish } = await lease();
    const { snapshot_id } = await createSnapshotCalls(deps).publish(worker, publish);
    await createJobCalls(deps).release(worker, held);
    const service = createSnapshotService(deps);
    expect((await service.get(caller, snapshot_id.slice(-10))).id).toBe(snapshot_id);
    await expect(service.get(caller, "zzzz")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

it("a certificate that a clock which was ahead has issued is exchanged, so that what is signed counts (promise 28)", async () => {
  const facts = { version: "0", capabilities: {}, storage_base_path: "/nowhere", data_url: "http://127.0.0.1:9" };
  const clock = manualClock(new Date());
  const hello = async () => {
    const [row] = await db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker.id)));
    if (!row) throw new Error("the worker is gone");
    const options = { presetToken: TOKEN, webOrigins: [] };
    const said = createEnrolment({ ...deps, clock }, options).hello(row, {
      ...facts,
      concurrency: 1,
      free_bytes: null,
    });
    return (await said).certificate;
  };
  const first = await hello();
  clock.advance(365 * 24 * 60 * 60_000);
  const ahead = await hello();
  expect(Date.parse(ahead.not_before)).toBeGreaterThan(Date.parse(first.not_after));
  clock.advance(-365 * 24 * 60 * 60_000);
  const now = await hello();
  expect(() => verifyCertificate(now, deps.platformKeys.rootPublicKeys, clock.now())).not.toThrow();
  expect(await hello()).toEqual(now);
});

it("a clock that was set a year ahead and back keeps no schedule from running (promise 28)", async () => {
  const clock = manualClock(new Date());
  const later = { ...deps, clock };
  const scheduler = createScheduler(later);
  const jobsOf = () =>
    db.withTenant(tenantId, (tx) => tx.select({ id: jobs.id }).from(jobs).where(eq(jobs.sourceId, sourceId)));
  const made = { source_id: sourceId, cron: "0 3 * * *", timezone: "UTC", enabled: true };
  const schedule = await createScheduleService(later).create(caller, made);
  const begin = clock.now().getTime();
  const day = 24 * 60 * 60_000;
  clock.advance(365 * day);
  await scheduler.runDueSchedules();
  expect(await jobsOf()).toHaveLength(1);
  await db.withTenant(tenantId, (tx) =>
    tx.update(jobs).set({ state: "cancelled", finishedAt: new Date() }).where(eq(jobs.sourceId, sourceId)),
  );
  clock.advance(-365 * day);
  expect(clock.now().getTime()).toBe(begin);
  await scheduler.runDueSchedules();
  const next = (await createScheduleService(later).list(caller)).find((one) => one.id === schedule.id)?.next_run_at;
  expect(Date.parse(next ?? "") - begin).toBeLessThanOrEqual(day);
  expect(await jobsOf()).toHaveLength(1);
  clock.advance(day);
  await scheduler.runDueSchedules();
  expect(await jobsOf()).toHaveLength(2);
});
