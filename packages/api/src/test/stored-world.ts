// Workers and published snapshots with copies in any state, over a real PostgreSQL: for tests of which copy is read.
import type { JobResult, Manifest } from "@xvault/contracts";
import { generateSigningKey, issueCertificate, manifestSha256, signBytes, signManifest } from "@xvault/crypto";
import {
  copies,
  type CopyRow,
  eq,
  inArray,
  jobs,
  type JobRow,
  snapshots,
  storages,
  tenantKeys,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { type ErrorCode, newId } from "@xvault/kernel";
import { createSourceService } from "../sources/service.ts";
import { createEnrolment } from "../workers/enrolment.ts";
import { createJobCalls } from "../workers/job-calls.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { startServices } from "./services.ts";

const TOKEN = "a token that any worker may enrol with";
const FINGERPRINT = "f".repeat(32);
const HASH = "a".repeat(64);

/** Where a copy lies: on a worker's disk, or without one in a bucket; how it is. */
interface At {
  worker?: WorkerRow;
  state?: CopyRow["state"];
}

export type StoredWorld = Awaited<ReturnType<typeof startStoredWorld>>;

/** A workspace whose key the platform holds, with one source. */
export async function startStoredWorld() {
  const world = await startServices();
  const { deps, tenantId } = world;
  const root = generateSigningKey();
  const inTenant: <T>(work: Parameters<typeof world.db.withTenant<T>>[1]) => Promise<T> = (work) =>
    world.db.withTenant(tenantId, work);
  await inTenant((tx) =>
    tx.insert(tenantKeys).values({
      id: newId(),
      tenantId,
      holder: "platform",
      recipient: "age1test",
      fingerprint: FINGERPRINT,
      state: "retired",
    }),
  );
  const service = createSourceService(deps);
  const credential = await service.createCredential(world.caller, { kind: "password", password: "secret" });
  const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const connection = { host: "h.example", port: 22, username: "u", host_key, credential_id: credential.id };
  const source = await service.create(world.caller, { connection, paths: ["/srv"], excludes: [] });
  let sequence = 0;

  async function enrol(name: string): Promise<WorkerRow> {
    const key = generateSigningKey();
    const { worker_id } = await createEnrolment(deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
      token: TOKEN,
      name,
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
    return row as WorkerRow;
  }

  function manifestOf(snapshotId: string, jobId: string): Manifest {
    const { publicKey, privateKey } = generateSigningKey();
    const now = new Date();
    const workerId = newId();
    const until = new Date(now.getTime() + 3_600_000);
    const certificate = { workerId, publicKey, notBefore: new Date(now.getTime() - 1000), notAfter: until };
    const header = { sha256: HASH, header_sha256: HASH, header_bytes: 1 };
    return signManifest(
      {
        format: 1,
        tenant_id: tenantId,
        source_id: source.id,
        snapshot_id: snapshotId,
        job_id: jobId,
        worker_id: workerId,
        attempt: 1,
        engine: "archive",
        started_at: now.toISOString(),
        created_at: now.toISOString(),
        sequence,
        previous: null,
        partial: false,
        artifact: { name: "backup.tar.zst.enc", size_bytes: 1, compressed_bytes: 1, tar_bytes: 1, ...header },
        index: { name: "index.zst.enc", size_bytes: 1, ...header },
        blocks: { name: "blocks.bin", block_bytes: 1024 * 1024, count: 1, root: HASH },
        encryption: { algorithm: "age-encryption.org/v1", recipients: [{ fingerprint: FINGERPRINT }] },
        contents: { files: 1, directories: 0, links: 0, plain_bytes: 1, problems: 0 },
        references: [],
        certificate: issueCertificate(certificate, root.privateKey),
      },
      privateKey,
    );
  }

  const maker = await enrol("maker");

  /** A published snapshot with these copies, each on a storage of its own; with `beside` on the storages where those copies lie. */
  async function published<A extends At[]>(at: [...A], beside: CopyRow[] = []) {
    const [jobId, id] = [newId(), newId()];
    sequence += 1;
    const manifest = manifestOf(id, jobId);
    const made: CopyRow[] = [];
    await inTenant(async (tx) => {
      await tx
        .insert(jobs)
        .values({ id: jobId, tenantId, type: "backup", trigger: "manual", state: "success", sourceId: source.id });
      await tx.insert(snapshots).values({
        id,
        tenantId,
        sourceId: source.id,
        jobId,
        attempt: 1,
        workerId: maker.id,
        state: "complete",
        sequence,
        sizeBytes: 1,
        plainBytes: 1,
        sha256: HASH,
        files: 1,
        directories: 0,
        manifest,
        manifestSha256: manifestSha256(manifest),
        keyFingerprints: [FINGERPRINT],
      });
      for (const [index, { worker, state = "complete" }] of at.entries()) {
        const storageId = beside[index]?.storageId ?? newId();
        if (!beside[index]) {
          const kind = worker ? "local_fs" : "s3";
          const config = worker ? { folder: storageId } : { bucket: "bucket" };
          const tier = worker ? "hot" : "cold";
          await tx.insert(storages).values({ id: storageId, tenantId, name: storageId, kind, tier, config });
        }
        const [copy] = await tx
          .insert(copies)
          .values({
            id: newId(),
            tenantId,
            snapshotId: id,
            storageId,
            workerId: worker?.id ?? null,
            state,
            location: "x",
            sizeBytes: 1,
          })
          .returning();
        made.push(copy as CopyRow);
      }
    });
    return { id, copies: made as { [I in keyof A]: CopyRow } };
  }

  const jobNow = async (id: string): Promise<JobRow> => {
    const [row] = await inTenant((tx) => tx.select().from(jobs).where(eq(jobs.id, id)));
    return row as JobRow;
  };
  /** The storage where a worker is to read what a job is about; null where it does not get the job. */
  const take = async (worker: WorkerRow, job: { id: string }): Promise<string | null> => {
    const lease = await createLeaseCall(deps)(worker, { job_id: job.id });
    if (!lease.granted) return null;
    const payload = lease.payload as { storage?: { id: string }; from?: { id: string } };
    return (payload.storage ?? payload.from)?.id ?? "";
  };
  /** Ends a job that a worker took. */
  const end = async (
    worker: WorkerRow,
    job: { id: string },
    how: ErrorCode | JobResult,
    data?: { snapshot_id: string },
  ) => {
    const { attempt } = await jobNow(job.id);
    const held = { job_id: job.id, attempt, events: [] };
    const calls = createJobCalls(deps);
    if (typeof how !== "string") {
      return calls.complete(worker, { ...held, state: "success", result: how, error: null });
    }
    const error = { code: how, message: "It was so.", fix: "See to it.", retry: false, ...(data ? { data } : {}) };
    return calls.complete(worker, { ...held, state: "failed", result: null, error });
  };
  const copyNow = async ({ id }: CopyRow): Promise<CopyRow> => {
    const [row] = await inTenant((tx) => tx.select().from(copies).where(eq(copies.id, id)));
    return row as CopyRow;
  };
  const setState = ({ id }: CopyRow, state: CopyRow["state"]) =>
    inTenant((tx) => tx.update(copies).set({ state }).where(eq(copies.id, id)));
  const setJob = ({ id }: { id: string }, change: Partial<JobRow>) =>
    inTenant((tx) => tx.update(jobs).set(change).where(eq(jobs.id, id)));
  /** Ends what waits or runs: of one source only one restore runs at a time. */
  const clearJobs = () =>
    inTenant((tx) =>
      tx
        .update(jobs)
        .set({ state: "cancelled" })
        .where(inArray(jobs.state, ["queued", "running"])),
    );

  return {
    ...world,
    source,
    connection,
    inTenant,
    enrol,
    published,
    jobNow,
    take,
    end,
    copyNow,
    setState,
    setJob,
    clearJobs,
  };
}
