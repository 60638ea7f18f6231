import { auditFileName, packageTypeSchema, type WorkerInput } from "@xvault/contracts";
import {
  and,
  asc,
  auditArchives,
  copies,
  eq,
  exists,
  inArray,
  jobs,
  type JobRow,
  ne,
  notExists,
  packages,
  type SnapshotRow,
  snapshots,
  sources,
  sql,
  type StorageRow,
  type TenantTx,
  type WorkerRow,
} from "@xvault/db";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { jobParams } from "../jobs/params.ts";
import { extendLocks, missingBeside } from "../storages/needed.ts";
import { findStorage, placementOf, workerDisks } from "../storages/placement.ts";
import { queueTransfer, recordCopy } from "../storages/queue.ts";
import { manifestOf } from "../snapshots/dto.ts";

interface Published {
  snapshot: SnapshotRow;
  job: JobRow;
  worker: WorkerRow;
  stored: WorkerInput<"publish">["stored"];
  now: Date;
}

/** Writes down what comes with a new snapshot: its copies, longer locks of what it needs, and its package. In the publication's transaction. */
export async function recordPublished(tx: TenantTx, published: Published): Promise<void> {
  const { snapshot, worker, now } = published;
  const needed = manifestOf(snapshot).references.map((reference) => reference.snapshot_id);
  const tiers: string[] = [];
  const written = new Set<string>();
  const later: StorageRow[] = [];
  for (const { storage_id, location, locked_until } of published.stored) {
    const storage =
      storage_id === null
        ? await workerDisks(tx, snapshot.tenantId)
        : (await findStorage(tx, snapshot.tenantId, storage_id)).storage;
    const where = { storageId: storage.id, workerId: storage.kind === "local_fs" ? worker.id : null };
    written.add(storage.id);
    if ((await missingBeside(tx, snapshot.tenantId, needed, where)).length > 0) {
      later.push(storage);
      continue;
    }
    const lockedUntil = locked_until === null ? null : new Date(locked_until);
    await recordCopy(tx, { snapshot, storage, workerId: worker.id, location, lockedUntil, now });
    tiers.push(storage.tier);
    await extendLocks(tx, snapshot, storage.id, lockedUntil);
  }
  if (tiers.length === 0) {
    throw new XVaultError(
      "ARTIFACT_MISSING",
      "No storage that took this run has the earlier snapshots that it builds on.",
      {
        fix: "The next attempt pulls everything anew.",
        retry: true,
      },
    );
  }
  await completeOn(tx, published, later);
  await makeUp(tx, published, written);
  await recordPackage(tx, published, PACKAGE_TIERS.find((tier) => tiers.includes(tier)) ?? "hot");
}

/**
 * A storage that has what the run wrote, and not the earlier snapshots that this uses data of, as one that the source was placed on just now:
 * they are copied to it first. Until then what lies there is no copy.
 */
async function completeOn(tx: TenantTx, { snapshot, worker, now }: Published, storages: readonly StorageRow[]) {
  const by = { trigger: "system", requestedBy: null, now, onWorkerId: worker.id } as const;
  for (const storage of storages) {
    const reason = `'${storage.name}' does not have the earlier snapshots that this one uses data of.`;
    await unlessUnreadable(queueTransfer(tx, snapshot, storage, { ...by, reason }));
  }
}

/** What follows from a publication must never refuse it: a snapshot that no copy can be read of any more is not made up for. */
async function unlessUnreadable(queued: Promise<unknown>): Promise<void> {
  await queued.catch((error: unknown) => {
    if (!isXVaultError(error, "ARTIFACT_MISSING", "NO_WORKER", "CONFLICT")) throw error;
  });
}

/**
 * A storage that was to get the snapshot and failed in the run gets its copy from one that did not. One that took this run is well again: what
 * could not be copied to it before is tried anew.
 */
async function makeUp(tx: TenantTx, { snapshot, now }: Published, written: ReadonlySet<string>): Promise<void> {
  const by = { trigger: "system", requestedBy: null, now } as const;
  for (const { storage } of await placementOf(tx, snapshot.tenantId, snapshot.sourceId)) {
    if (!written.has(storage.id)) {
      const reason = `The run could not write to '${storage.name}'.`;
      await unlessUnreadable(queueTransfer(tx, snapshot, storage, { ...by, reason }));
      continue;
    }
    for (const missed of await missedBy(tx, snapshot, storage.id))
      await unlessUnreadable(
        queueTransfer(tx, missed, storage, { ...by, reason: `'${storage.name}' can be written to again.` }),
      );
  }
}

const MAX_MADE_UP = 50;

/** Snapshots of the source of which a storage was to get a copy, by a transfer that failed for good, and has none. */
async function missedBy(tx: TenantTx, { tenantId, sourceId }: SnapshotRow, storageId: string): Promise<SnapshotRow[]> {
  const transfers = and(
    eq(jobs.tenantId, tenantId),
    eq(jobs.snapshotId, snapshots.id),
    eq(jobs.type, "transfer"),
    sql`${jobs.params}->>'storage_id' = ${storageId}`,
  );
  const there = and(
    eq(copies.tenantId, tenantId),
    eq(copies.snapshotId, snapshots.id),
    eq(copies.storageId, storageId),
    ne(copies.state, "removed"),
  );
  return tx
    .select()
    .from(snapshots)
    .where(
      and(
        eq(snapshots.tenantId, tenantId),
        eq(snapshots.sourceId, sourceId),
        eq(snapshots.state, "complete"),
        exists(
          tx
            .select({ one: sql`1` })
            .from(jobs)
            .where(and(transfers, eq(jobs.state, "failed"))),
        ),
        notExists(
          tx
            .select({ one: sql`1` })
            .from(jobs)
            .where(and(transfers, inArray(jobs.state, ["queued", "running"]))),
        ),
        notExists(
          tx
            .select({ one: sql`1` })
            .from(copies)
            .where(there),
        ),
      ),
    )
    .orderBy(asc(snapshots.sequence))
    .limit(MAX_MADE_UP);
}

const PACKAGE_TIERS = ["hot", "warm", "cold", "offsite"] as const;

/** Every snapshot is a package, as the edge seeds see it; one that an edge client announced has its row already. */
async function recordPackage(
  tx: TenantTx,
  { snapshot, job, now }: Published,
  tier: (typeof PACKAGE_TIERS)[number],
): Promise<void> {
  const [source] = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, snapshot.tenantId), eq(sources.id, snapshot.sourceId)));
  if (!source) throw new XVaultError("NOT_FOUND", "The source was removed.");
  const facts = { snapshotId: snapshot.id, tier, updatedAt: now };
  const file = job.type === "audit_archive" ? await recordArchive(tx, snapshot, job, now) : null;
  const known = await tx
    .update(packages)
    .set(facts)
    .where(and(eq(packages.tenantId, snapshot.tenantId), eq(packages.id, job.id)))
    .returning({ id: packages.id });
  if (known.length > 0) return;
  await tx.insert(packages).values({
    ...facts,
    id: job.id,
    jobId: job.id,
    tenantId: snapshot.tenantId,
    sourceId: source.id,
    path: source.paths.join(", ").slice(0, 4096) || "/",
    packageType: packageTypeSchema.catch("user_data").parse(source.packageType),
    sizeBytes: snapshot.sizeBytes,
    checksum: snapshot.sha256,
    createdAt: now,
    ...file,
  });
}

/** From here on the entries may leave the database. @returns what their package is called */
async function recordArchive(
  tx: TenantTx,
  snapshot: SnapshotRow,
  job: JobRow,
  now: Date,
): Promise<{ path: string; checksum: string }> {
  const { from_seq, through_seq, prev_hash, hash, ...params } = jobParams.audit_archive.parse(job.params);
  await tx.insert(auditArchives).values({
    tenantId: snapshot.tenantId,
    snapshotId: snapshot.id,
    fromSeq: from_seq,
    throughSeq: through_seq,
    prevHash: prev_hash,
    hash,
    firstAt: new Date(params.first_at),
    lastAt: new Date(params.last_at),
    createdAt: now,
  });
  return { path: auditFileName(from_seq, through_seq), checksum: params.checksum };
}
