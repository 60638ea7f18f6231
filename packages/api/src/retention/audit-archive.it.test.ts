// The audit log leaves the database for the cold tier: nothing is deleted before a whole copy of it is stored, and then all of it is; on real PostgreSQL.
import { createHash } from "node:crypto";
import type { Manifest } from "@xvault/contracts";
import { createAuditWalk, generateSigningKey, recipientFingerprint, signBytes, signManifest } from "@xvault/crypto";
import {
  alerts,
  and,
  auditLog,
  copies,
  count,
  eq,
  isNull,
  jobs,
  openDatabase,
  packages,
  sources,
  sql,
  verifyAuditChain,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { manualClock } from "@xvault/kernel";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuditService } from "../accounts/audit-service.ts";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { createSnapshotService } from "../snapshots/service.ts";
import { createSourceService } from "../sources/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createAuditCall } from "../workers/audit-calls.ts";
import { createEnrolment } from "../workers/enrolment.ts";
import { createJobCalls } from "../workers/job-calls.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { createSnapshotCalls } from "../workers/snapshot-calls.ts";
import { DAY } from "./ages.ts";
import { createRetentionService } from "./service.ts";
import { createSweeper } from "./sweep.ts";
import { tieredWorld } from "./test/world.ts";

const TOKEN = "a token that any worker may enrol with";
const SYSTEM = { kind: "system", id: null, label: "x" } as const;
/** More than a page has. */
const ENTRIES = 700;

let world: ServiceWorld;
let deps: ServiceDeps;
let worker: WorkerRow;
let coldId: string;
const key = generateSigningKey();
/** Forty days on: what is written before that is old. */
const later = manualClock(new Date(Date.now() + 40 * DAY));

beforeAll(async () => {
  world = await startServices();
  coldId = (await tieredWorld(world)).storageIds.get("cold") ?? "";
  worker = await enrol();
  await createRetentionService(world.deps, { version: null }).updateConfig(world.caller, {
    retention: { audit_days: 30 },
  });
  await write(ENTRIES);
  deps = { ...world.deps, clock: later };
});
afterAll(async () => {
  await world?.stop();
});

const inTenant = <T>(work: Parameters<typeof world.db.withTenant<T>>[1]) => world.db.withTenant(world.tenantId, work);
const write = (entries: number) =>
  inTenant(async (tx) => {
    const what = { kind: "x", id: "x" };
    for (let at = 0; at < entries; at += 1) await auditSystem(tx, world.tenantId, SYSTEM, "x.y", what, { at });
  });
/** Turns of a hub that has just been started. */
const turn = () => createSweeper(deps).step(world.tenantId);
const firstSeq = async () => {
  const [row] = await inTenant((tx) => tx.select({ n: sql<number>`min(seq)::int` }).from(auditLog));
  return row?.n;
};
const archiveJobs = () => inTenant((tx) => tx.select().from(jobs).where(eq(jobs.type, "audit_archive")));
const openAlerts = () =>
  inTenant((tx) =>
    tx
      .select()
      .from(alerts)
      .where(and(eq(alerts.kind, "audit_archive_failed"), isNull(alerts.resolvedAt))),
  );

async function enrol(): Promise<WorkerRow> {
  const { worker_id } = await createEnrolment(world.deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
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
  const [row] = await world.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker_id)));
  if (!row) throw new Error("the worker was not enrolled");
  return row;
}

async function lease() {
  const [job] = await inTenant((tx) =>
    tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.type, "audit_archive"), eq(jobs.state, "queued"))),
  );
  const granted = await createLeaseCall(deps)(worker, { job_id: job?.id ?? "" });
  if (!granted.granted || granted.payload.type !== "audit_archive") throw new Error("not granted");
  return { held: { job_id: granted.job_id, attempt: granted.attempt }, payload: granted.payload };
}

/** All that a worker gets of the log for a job. */
async function fetched(held: { job_id: string; attempt: number }) {
  const pages: string[] = [];
  for (let after: number | null = 0; after !== null;) {
    const page: { lines: string; next_after: number | null } = await createAuditCall(deps)(worker, {
      ...held,
      after_seq: after,
    });
    pages.push(page.lines);
    after = page.next_after;
  }
  return { pages: pages.length, text: pages.join("") };
}

async function publish({ held, payload }: Awaited<ReturnType<typeof lease>>) {
  const hash = "0".repeat(64);
  const now = later.now().toISOString();
  const header = { header_sha256: hash, header_bytes: 1 };
  const recipients = payload.recipients.map(async (one) => ({ fingerprint: await recipientFingerprint(one) }));
  const manifest: Manifest = signManifest(
    {
      format: 1,
      tenant_id: world.tenantId,
      source_id: payload.source_id,
      snapshot_id: payload.snapshot_id,
      ...held,
      worker_id: worker.id,
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
      encryption: { algorithm: "age-encryption.org/v1", recipients: await Promise.all(recipients) },
      contents: { files: 1, directories: 0, links: 0, plain_bytes: 9, problems: 0 },
      references: [],
      certificate: worker.certificate,
    },
    key.privateKey,
  );
  const stored = payload.storages.map(({ id }) => ({ storage_id: id, location: "/x", locked_until: null }));
  await createSnapshotCalls(deps).publish(worker, { ...held, manifest, stored });
}

const complete = (held: { job_id: string; attempt: number }, state: "success" | "failed") =>
  createJobCalls(deps).complete(worker, {
    ...held,
    state,
    result: state === "success" ? { type: "ingest", plain_bytes: 9, size_bytes: 7 } : null,
    error:
      state === "failed" ? { code: "NO_WORKER", message: "The disk is full.", fix: "Free some.", retry: false } : null,
    events: [],
  });

it("gives what is old to a worker, and deletes nothing before", async () => {
  await turn();
  await turn();
  expect(await firstSeq()).toBe(1);
  expect(await archiveJobs()).toMatchObject([{ state: "queued", trigger: "system" }]);

  const { held, payload } = await lease();
  expect(payload.storages.map(({ id }) => id)).toEqual([coldId]);
  const { pages, text } = await fetched(held);
  expect(pages).toBeGreaterThan(1);
  expect(Buffer.byteLength(text)).toBe(payload.size_bytes);
  expect(createHash("sha256").update(text).digest("hex")).toBe(payload.checksum);
  const walk = createAuditWalk();
  for (const line of text.trimEnd().split("\n")) walk.take(line);
  expect(walk.walked()).toMatchObject({ tenantId: world.tenantId, first: { seq: 1 } });
  expect(walk.walked()?.entries).toBeGreaterThan(ENTRIES);
  // Who does not hold the job gets nothing.
  const stale = createAuditCall(deps)(worker, { ...held, attempt: held.attempt + 1, after_seq: 0 });
  await expect(stale).rejects.toMatchObject({ code: "LEASE_LOST" });

  await complete(held, "failed");
  await turn();
  expect(await firstSeq()).toBe(1);
  expect(await openAlerts()).toMatchObject([{ severity: "warning" }]);
  expect(await archiveJobs()).toHaveLength(1);
});

it("deletes what lies whole in a published snapshot, and the rest is still a chain", async () => {
  later.advance(7 * 60 * 60_000);
  await turn();
  const leased = await lease();
  await publish(leased);
  await complete(leased.held, "success");
  expect(await openAlerts()).toEqual([]);
  expect(await firstSeq()).toBe(1);

  // A copy that is not there any more is no archive.
  const ofCopy = eq(copies.storageId, coldId);
  await inTenant((tx) => tx.update(copies).set({ state: "missing" }).where(ofCopy));
  await turn();
  expect(await firstSeq()).toBe(1);
  await inTenant((tx) => tx.update(copies).set({ state: "complete" }).where(ofCopy));
  // A job that was queued meanwhile is not needed, and harmless.
  await inTenant((tx) => tx.update(jobs).set({ state: "cancelled" }).where(eq(jobs.state, "queued")));

  await turn();
  const [archive] = (await createAuditService(world).archives(world.caller, { limit: 10 })).items;
  const { begins } = await createAuditService(world).archives(world.caller, { limit: 10 });
  expect(archive).toMatchObject({ from_seq: 1, state: "kept", snapshot_id: leased.payload.snapshot_id });
  expect(begins).toMatchObject({ seq: (archive?.through_seq ?? 0) + 1, prev_hash: archive?.hash });
  expect(await inTenant((tx) => verifyAuditChain(tx, world.tenantId))).toMatchObject({ ok: true });
  const [pruned] = await inTenant((tx) => tx.select().from(auditLog).where(eq(auditLog.action, "audit.pruned")));
  expect(pruned).toMatchObject({
    targetId: leased.payload.snapshot_id,
    data: { through_seq: archive?.through_seq, through_hash: archive?.hash },
  });
  const [shown] = await inTenant((tx) => tx.select().from(packages).where(eq(packages.packageType, "audit_logs")));
  expect(shown).toMatchObject({ path: leased.payload.path, tier: "cold", checksum: leased.payload.checksum });
});

it("is a source that nobody lists, changes or removes, and nothing of it is removed by hand", async () => {
  const [source] = await inTenant((tx) => tx.select().from(sources).where(eq(sources.kind, "audit")));
  const service = createSourceService(deps);
  expect((await service.list(world.caller)).map(({ id }) => id)).not.toContain(source?.id);
  const { id = "" } = source ?? {};
  await expect(service.remove(world.caller, id)).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(service.setPaused(world.caller, id, true)).rejects.toMatchObject({ code: "CONFLICT" });
  const [archive] = (await createAuditService(world).archives(world.caller, { limit: 1 })).items;
  const removal = createSnapshotService(deps).remove(world.caller, { id: archive?.snapshot_id ?? "", reason: "x" });
  await expect(removal).rejects.toMatchObject({ code: "SNAPSHOT_NEEDED" });
});

it("neither archives nor deletes a log that is not what was written", async () => {
  later.advance(45 * DAY);
  const counted = () => inTenant((tx) => tx.select({ n: count() }).from(auditLog));
  const before = await counted();
  const owner = openDatabase({ appUrl: world.ownerUrl, systemUrl: world.ownerUrl }, { max: 1 });
  const forge = (label: string) =>
    owner.withSystem((tx) =>
      tx.execute(sql`update audit_log set actor_label = ${label} where tenant_id = ${world.tenantId}
        and seq = (select min(seq) + 1 from audit_log where tenant_id = ${world.tenantId})`),
    );
  try {
    await forge("somebody else");
    const made = (await archiveJobs()).length;
    await turn();
    expect(await openAlerts()).toMatchObject([{ severity: "critical" }]);
    expect(await archiveJobs()).toHaveLength(made);
    expect(await counted()).toEqual(before);
  } finally {
    await owner.close();
  }
});
