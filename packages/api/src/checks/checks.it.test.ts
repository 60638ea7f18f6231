// Checks and drills that come by themselves, what their ends say about copies, and whom they tell; against a real PostgreSQL.
import type { JobResult, Manifest, RestoreProofBody } from "@xvault/contracts";
import { issueCertificate, manifestSha256, signProof } from "@xvault/crypto";
import { generateSigningKey, signBytes, signManifest } from "@xvault/crypto";
import {
  alerts,
  and,
  copies,
  type CopyRow,
  eq,
  isNull,
  jobs,
  type JobRow,
  proofs,
  snapshots,
  storages,
  tenantKeys,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { manualClock, newId, shareToSample } from "@xvault/kernel";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { ServiceDeps } from "../deps.ts";
import { createJobService } from "../jobs/service.ts";
import { createSourceService } from "../sources/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createEnrolment } from "../workers/enrolment.ts";
import { createJobCalls } from "../workers/job-calls.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { createProveCall } from "./prove.ts";
import { createCheckRounds } from "./rounds.ts";
import { createCheckService } from "./service.ts";

const TOKEN = "a token that any worker may enrol with";
const DAY = 24 * 60 * 60_000;
const MIB = 1024 * 1024;
const FINGERPRINT = "f".repeat(32);

let world: ServiceWorld;
let deps: ServiceDeps;
let worker: WorkerRow;
let clock: ReturnType<typeof manualClock>;
let sourceId: string;
const key = generateSigningKey();
const root = generateSigningKey();

beforeAll(async () => {
  world = await startServices();
  // As a hub has them whose root key the test knows.
  clock = manualClock(new Date());
  deps = { ...world.deps, clock, platformKeys: { ...world.deps.platformKeys, rootPublicKeys: [root.publicKey] } };
  const { worker_id } = await createEnrolment(deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
    token: TOKEN,
    name: "w",
    public_key: key.publicKey,
    proof: signBytes(Buffer.from(TOKEN), key.privateKey),
    version: "0",
    capabilities: {},
    storage_base_path: "/nowhere",
    data_url: "http://127.0.0.1:9",
    concurrency: 1,
    free_bytes: null,
  });
  const [row] = await deps.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker_id)));
  worker = row as WorkerRow;
  await inTenant((tx) =>
    tx.insert(tenantKeys).values({
      id: newId(),
      tenantId: world.tenantId,
      holder: "platform",
      recipient: "age1test",
      fingerprint: FINGERPRINT,
      state: "retired",
    }),
  );
});
afterAll(() => world?.stop());
beforeEach(async () => {
  await inTenant(async (tx) => {
    await tx.update(copies).set({ state: "removed" });
    await tx.update(jobs).set({ state: "cancelled" });
    await tx.update(alerts).set({ resolvedAt: clock.now() });
  });
  const service = createSourceService(deps);
  const credential = await service.createCredential(world.caller, { kind: "password", password: "secret" });
  const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const connection = { host: "h.example", port: 22, username: "u", host_key, credential_id: credential.id };
  sourceId = (await service.create(world.caller, { connection, paths: ["/srv"], excludes: [] })).id;
});

const inTenant: <T>(work: Parameters<typeof deps.db.withTenant<T>>[1]) => Promise<T> = (work) =>
  world.db.withTenant(world.tenantId, work);

function certificate() {
  const notBefore = new Date(clock.now().getTime() - DAY);
  const subject = {
    workerId: worker.id,
    publicKey: key.publicKey,
    notBefore,
    notAfter: new Date(notBefore.getTime() + 99 * DAY),
  };
  return issueCertificate(subject, root.privateKey);
}

let sequence = 0;
/** A published snapshot with a copy on each of some storages of its own. */
async function published(where: { kind: "local_fs" | "s3"; bytes?: number }[], keys = [FINGERPRINT]) {
  const { tenantId } = world;
  const [jobId, snapshotId] = [newId(), newId()];
  const now = clock.now();
  sequence += 1;
  const hash = "a".repeat(64);
  const header = { sha256: hash, header_sha256: hash, header_bytes: 1 };
  const manifest: Manifest = signManifest(
    {
      format: 1,
      tenant_id: tenantId,
      source_id: sourceId,
      snapshot_id: snapshotId,
      job_id: jobId,
      worker_id: worker.id,
      attempt: 1,
      engine: "archive",
      started_at: now.toISOString(),
      created_at: now.toISOString(),
      sequence,
      previous: null,
      partial: false,
      artifact: { name: "backup.tar.zst.enc", size_bytes: 10 * MIB, compressed_bytes: 1, tar_bytes: 1, ...header },
      index: { name: "index.zst.enc", size_bytes: 1, ...header },
      blocks: { name: "blocks.bin", block_bytes: MIB, count: 10, root: hash },
      encryption: { algorithm: "age-encryption.org/v1", recipients: keys.map((fingerprint) => ({ fingerprint })) },
      contents: { files: 3, directories: 1, links: 0, plain_bytes: 1000, problems: 0 },
      references: [],
      certificate: certificate(),
    },
    key.privateKey,
  );
  const made: CopyRow[] = [];
  await inTenant(async (tx) => {
    await tx
      .insert(jobs)
      .values({ id: jobId, tenantId, type: "backup", trigger: "manual", state: "success", sourceId });
    await tx.insert(snapshots).values({
      id: snapshotId,
      tenantId,
      sourceId,
      jobId,
      attempt: 1,
      workerId: worker.id,
      state: "complete",
      sequence,
      sizeBytes: 10 * MIB,
      plainBytes: 1000,
      sha256: hash,
      files: 3,
      directories: 1,
      manifest,
      manifestSha256: manifestSha256(manifest),
      keyFingerprints: keys,
      createdAt: now,
    });
    for (const { kind, bytes = 10 * MIB } of where) {
      const storageId = newId();
      const config = kind === "s3" ? { bucket: "bucket" } : { folder: `f${sequence}${made.length}` };
      await tx
        .insert(storages)
        .values({ id: storageId, tenantId, name: storageId, kind, tier: kind === "s3" ? "cold" : "hot", config });
      const [copy] = await tx
        .insert(copies)
        .values({
          id: newId(),
          tenantId,
          snapshotId,
          storageId,
          workerId: kind === "local_fs" ? worker.id : null,
          state: "complete",
          location: "x",
          sizeBytes: bytes,
          checkedAt: now,
          checkedDepth: "whole",
          check: { outcome: "ok", at: now.toISOString() },
          createdAt: now,
        })
        .returning();
      made.push(copy as CopyRow);
    }
  });
  return { snapshotId, manifest, copies: made as [CopyRow, ...CopyRow[]] };
}

const waiting = (type: JobRow["type"]) =>
  inTenant((tx) =>
    tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.type, type), eq(jobs.state, "queued"))),
  );
const openAlerts = () => inTenant((tx) => tx.select().from(alerts).where(isNull(alerts.resolvedAt)));
const copyNow = async (copy: CopyRow) => {
  const [row] = await inTenant((tx) => tx.select().from(copies).where(eq(copies.id, copy.id)));
  return row as CopyRow;
};
/** Takes a job as the worker does, and ends it. */
async function end(
  job: JobRow,
  how: {
    result?: JobResult;
    code?: "ARTIFACT_CORRUPT" | "ARTIFACT_MISSING" | "STORAGE_FAILED";
    data?: Record<string, string>;
  },
) {
  const lease = await createLeaseCall(deps)(worker, { job_id: job.id });
  if (!lease.granted) throw new Error("not granted");
  const held = { job_id: job.id, attempt: lease.attempt, events: [] as never[] };
  const error = how.code
    ? {
        code: how.code,
        message: "It was so.",
        fix: "See to it.",
        retry: false,
        ...(how.data ? { data: how.data } : {}),
      }
    : null;
  const call = createJobCalls(deps);
  await (error
    ? call.complete(worker, { ...held, state: "failed", result: null, error })
    : call.complete(worker, { ...held, state: "success", result: how.result ?? null, error: null }));
  return lease.payload;
}
const goodCheck = (depth: "presence" | "sample" | "whole"): JobResult => ({
  type: "verify",
  depth,
  files: 0,
  bytes: 5,
});
const only = <T>(rows: T[]): T => {
  expect(rows).toHaveLength(1);
  return rows[0] as T;
};

it("every copy is checked within its days, once at a time, by the deepest check that is due", async () => {
  const rounds = createCheckRounds(deps);
  const {
    copies: [copy],
  } = await published([{ kind: "local_fs" }]);
  clock.advance(0.85 * DAY);
  await rounds.checks();
  expect(await waiting("verify")).toEqual([]);
  clock.advance(0.15 * DAY);
  await rounds.checks();
  await rounds.checks();
  const presence = only(await waiting("verify"));
  expect(presence).toMatchObject({
    trigger: "schedule",
    targetWorkerId: worker.id,
    params: { copy_id: copy.id, depth: "presence", earlier: false },
  });
  await end(presence, { result: goodCheck("presence") });
  expect(await copyNow(copy)).toMatchObject({
    state: "complete",
    checkedAt: clock.now(),
    checkedDepth: "presence",
    check: { outcome: "ok" },
  });

  clock.advance(6 * DAY);
  await rounds.checks();
  const sample = only(await waiting("verify"));
  // Of ten blocks that are all there is, nothing less than all will do.
  const share = shareToSample(10, { confidence: 0.999, lostBelow: 0.001 });
  expect(sample.params).toMatchObject({ depth: "sample", share, lost_below: 0.001 });
  const result: JobResult = {
    ...goodCheck("sample"),
    type: "verify",
    depth: "sample",
    files: 0,
    bytes: 5,
    confidence: 0.9991,
    lost_below: 0.001,
  };
  await end(sample, { result });
  expect((await copyNow(copy)).check).toMatchObject({ depth: "sample", confidence: 0.9991, lost_below: 0.001 });

  clock.advance(83 * DAY);
  await rounds.checks();
  expect(only(await waiting("verify")).params).toMatchObject({ depth: "whole", share: 1 });
});

it("rot that a check finds is written down and told, and a shallower look does not take it back (promise 17)", async () => {
  const rounds = createCheckRounds(deps);
  const {
    copies: [copy],
    snapshotId,
  } = await published([{ kind: "local_fs" }]);
  clock.advance(7 * DAY);
  await rounds.checks();
  await end(only(await waiting("verify")), { code: "ARTIFACT_CORRUPT" });
  expect(await copyNow(copy)).toMatchObject({
    state: "corrupt",
    checkedDepth: "sample",
    check: { outcome: "corrupt", code: "ARTIFACT_CORRUPT" },
  });
  const alert = only(await openAlerts());
  expect(alert).toMatchObject({
    kind: "copy_corrupt",
    severity: "critical",
    subjectId: copy.id,
    data: { snapshot_id: snapshotId },
  });
  expect(alert.fix).toContain("no other whole copy");
  expect(await waiting("transfer")).toEqual([]);

  const service = createCheckService(deps, createJobService(deps));
  const look = async (depth: "presence" | "whole") => {
    await service.check(world.caller, { id: snapshotId, depth, copy_id: copy.id });
    await end(only(await waiting("verify")), { result: goodCheck(depth) });
    return (await copyNow(copy)).state;
  };
  expect(await look("presence")).toBe("corrupt");
  expect(await openAlerts()).toHaveLength(1);
  expect(await look("whole")).toBe("complete");
  expect(await openAlerts()).toEqual([]);
});

it("a damaged copy is made anew from a whole one; one that is gone is not, for its disk may only be away", async () => {
  const service = createCheckService(deps, createJobService(deps));
  const {
    copies: [local, far],
    snapshotId,
  } = await published([{ kind: "local_fs" }, { kind: "s3" }]);
  const check = async (copy: CopyRow | undefined, code: "ARTIFACT_CORRUPT" | "ARTIFACT_MISSING") => {
    await service.check(world.caller, { id: snapshotId, depth: "whole", copy_id: copy?.id ?? "" });
    await end(only(await waiting("verify")), { code });
  };
  await check(far, "ARTIFACT_MISSING");
  expect((await copyNow(far as CopyRow)).state).toBe("missing");
  expect(only(await openAlerts())).toMatchObject({ kind: "copy_missing", subjectId: far?.id });
  expect(await waiting("transfer")).toEqual([]);
  await check(far, "ARTIFACT_CORRUPT");
  const repair = only(await waiting("transfer"));
  expect(repair).toMatchObject({
    trigger: "system",
    params: { copy_id: local.id, storage_id: far?.storageId, remove: false },
  });
  const about = (await openAlerts()).find(({ kind }) => kind === "copy_corrupt");
  expect(about?.fix).toContain("is being made anew");
});

it("damage in an earlier snapshot that is needed is told of the copy where it lies", async () => {
  const service = createCheckService(deps, createJobService(deps));
  const first = await published([{ kind: "local_fs" }]);
  const second = await published([]);
  const {
    copies: [base],
  } = first;
  const own = { ...base, id: newId(), snapshotId: second.snapshotId };
  await inTenant((tx) => tx.insert(copies).values(own));
  await service.check(world.caller, { id: second.snapshotId, depth: "whole" });
  await end(only(await waiting("verify")), { code: "ARTIFACT_CORRUPT", data: { snapshot_id: first.snapshotId } });
  expect((await copyNow(base)).state).toBe("corrupt");
  expect(await copyNow(own)).toMatchObject({ state: "corrupt", check: { in_snapshot_id: first.snapshotId } });
  expect(only(await openAlerts()).subjectId).toBe(base.id);
  // Its own bytes are good; it is whole again when the other one is.
  const look = async (id: string, depth: "presence" | "whole", copy_id: string) => {
    await service.check(world.caller, { id, depth, copy_id });
    await end(only(await waiting("verify")), { result: goodCheck(depth) });
  };
  await look(second.snapshotId, "presence", own.id);
  expect((await copyNow(own)).state).toBe("corrupt");
  await look(first.snapshotId, "whole", base.id);
  await look(second.snapshotId, "presence", own.id);
  expect((await copyNow(own)).state).toBe("complete");
});

it("a storage that fails says nothing about the copy", async () => {
  const service = createCheckService(deps, createJobService(deps));
  const {
    copies: [copy],
    snapshotId,
  } = await published([{ kind: "local_fs" }]);
  await service.check(world.caller, { id: snapshotId, depth: "whole" });
  // What is being looked at as deeply need not be looked at twice.
  await service.check(world.caller, { id: snapshotId, depth: "sample" });
  await end(only(await waiting("verify")), { code: "STORAGE_FAILED" });
  expect(await copyNow(copy)).toMatchObject({ state: "complete", check: copy.check });
  expect(await openAlerts()).toEqual([]);
});

it("checks of one workspace stay few at a time, and every copy has its turn", async () => {
  const rounds = createCheckRounds(deps);
  const made = [];
  for (let i = 0; i < 14; i += 1) made.push(await published([{ kind: "local_fs" }]));
  clock.advance(2 * DAY);
  await rounds.checks();
  expect(await waiting("verify")).toHaveLength(10);
  for (const job of await waiting("verify")) await end(job, { result: goodCheck("presence") });
  await rounds.checks();
  expect(await waiting("verify")).toHaveLength(4);
});

/** The statement of a drill's payload, signed as the worker would. */
function statementOf(job: JobRow, manifest: Manifest, change: Partial<RestoreProofBody> = {}) {
  const now = clock.now().toISOString();
  const { tenant_id, source_id, snapshot_id, sequence: number, created_at } = manifest;
  return signProof(
    {
      format: 1,
      kind: "xvault-restore-proof",
      tenant_id,
      source_id,
      snapshot_id,
      job_id: job.id,
      manifest_sha256: manifestSha256(manifest),
      sequence: number,
      created_at,
      storage: { id: null, kind: "local_fs" },
      started_at: now,
      finished_at: now,
      seconds: 2,
      restored: { mode: "sample", files: 2, of_files: 3, bytes: 500, read_bytes: 600 },
      outcome: "passed",
      failure: null,
      keys: [FINGERPRINT],
      versions: { xvault: "0", node: "0", format: 1 },
      signer: { kind: "worker", certificate: certificate() },
      ...change,
    },
    key.privateKey,
  );
}
const passedDrill: JobResult = {
  type: "drill",
  mode: "sample",
  files: 2,
  of_files: 3,
  bytes: 500,
  read_bytes: 600,
  seconds: 2,
  proof_id: newId(),
};

it("a restore of each source's newest snapshot is tried as often as the policy says, where the platform has the key", async () => {
  const rounds = createCheckRounds(deps);
  const {
    snapshotId,
    manifest,
    copies: [copy],
  } = await published([{ kind: "local_fs" }]);
  await rounds.drills();
  expect(await waiting("drill")).toEqual([]);
  clock.advance(1.1 * DAY);
  await rounds.drills();
  await rounds.drills();
  const job = only(await waiting("drill"));
  expect(job).toMatchObject({
    snapshotId,
    trigger: "schedule",
    params: { copy_id: copy.id, mode: "sample", files: 20 },
  });

  const lease = await createLeaseCall(deps)(worker, { job_id: job.id });
  expect(lease).toMatchObject({
    granted: true,
    payload: {
      type: "drill",
      keys: [FINGERPRINT],
      manifest_sha256: manifestSha256(manifest),
      sequence: manifest.sequence,
    },
  });
  const prove = createProveCall(deps);
  const held = { job_id: job.id, attempt: 1 };
  const refused: Partial<RestoreProofBody>[] = [
    { snapshot_id: newId() },
    { source_id: newId() },
    { tenant_id: newId() },
    { job_id: null },
    { manifest_sha256: "b".repeat(64) },
    { outcome: "failed" },
    { signer: { kind: "key_holder", public_key: key.publicKey } },
    { finished_at: new Date(clock.now().getTime() + 200 * DAY).toISOString() },
  ];
  for (const change of refused) {
    await expect(prove(worker, { ...held, proof: statementOf(job, manifest, change) })).rejects.toMatchObject({
      code: "SIGNATURE_INVALID",
    });
  }
  const proof = statementOf(job, manifest);
  await expect(prove(worker, { ...held, proof: { ...proof, seconds: 1 } })).rejects.toMatchObject({
    code: "SIGNATURE_INVALID",
  });
  const { proof_id } = await prove(worker, { ...held, proof });
  expect(await prove(worker, { ...held, proof })).toEqual({ proof_id });
  expect(await inTenant((tx) => tx.select().from(proofs).where(eq(proofs.jobId, job.id)))).toMatchObject([
    { passed: true, statement: proof },
  ]);
  await createJobCalls(deps).complete(worker, {
    ...held,
    state: "success",
    result: { ...passedDrill, proof_id },
    error: null,
    events: [],
  });

  const service = createCheckService(deps, createJobService(deps));
  const status = await service.status(world.caller);
  // 500 bytes in two seconds: a thousand take four.
  expect(status.sources.find((one) => one.source_id === sourceId)).toMatchObject({
    drill: { passed: true, seconds: 2, all_seconds: 4 },
  });
  expect((await service.proof(world.caller, proof_id)).statement).toEqual(proof);
  clock.advance(29 * DAY);
  await rounds.drills();
  expect(await waiting("drill")).toEqual([]);
  clock.advance(1.1 * DAY);
  await rounds.drills();
  const again = only(await waiting("drill"));

  await end(again, { code: "ARTIFACT_CORRUPT" });
  expect((await copyNow(copy)).state).toBe("corrupt");
  expect((await openAlerts()).map(({ kind }) => kind).sort()).toEqual(["copy_corrupt", "drill_failed"]);
});

it("what only the customer can open is not drilled, and says so", async () => {
  const rounds = createCheckRounds(deps);
  const { snapshotId } = await published([{ kind: "local_fs" }], ["e".repeat(32)]);
  clock.advance(2 * DAY);
  await rounds.drills();
  expect(await waiting("drill")).toEqual([]);
  const service = createCheckService(deps, createJobService(deps));
  const drill = service.drill(world.caller, { id: snapshotId, mode: "all", files: 1 });
  await expect(drill).rejects.toMatchObject({
    code: "KEY_CUSTOMER_HELD",
    fix: expect.stringContaining("xvault drill"),
  });
  const deep = service.check(world.caller, { id: snapshotId, depth: "content" });
  await expect(deep).rejects.toMatchObject({ code: "KEY_CUSTOMER_HELD" });
});

it("a policy is changed in part, and stands beside what else the workspace chose", async () => {
  const service = createCheckService(deps, createJobService(deps));
  expect(await service.policy(world.caller)).toMatchObject({
    presence_days: 1,
    sample_days: 7,
    whole_days: 90,
    drill_days: 30,
  });
  await service.setPolicy(world.caller, { sample_days: 3, drill_days: null });
  await service.setPolicy(world.caller, { confidence: 0.99 });
  expect(await service.policy(world.caller)).toMatchObject({
    presence_days: 1,
    sample_days: 3,
    drill_days: null,
    confidence: 0.99,
  });
});
