import type { Manifest, workerProtocol, WorkerOutput } from "@xvault/contracts";
import { manifestSha256, verifyManifest } from "@xvault/crypto";
import {
  and,
  eq,
  inArray,
  type JobRow,
  ne,
  type SnapshotRow,
  snapshots,
  sources,
  type TenantTx,
  type WorkerRow,
} from "@xvault/db";
import { isXVaultError, type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { manifestOf } from "../snapshots/dto.ts";
import { redeemTicket } from "../snapshots/tickets.ts";
import type { PlacedCopy } from "../storages/copies.ts";
import { openStorageSecret, storageRef } from "../storages/refs.ts";
import { copiesToRead, nearest } from "./copy-payloads.ts";
import { createFileKeys } from "./file-keys.ts";
import { withHeldJob } from "./held.ts";
import { recordPublished } from "./record-published.ts";

type In<C extends keyof typeof workerProtocol> = z.output<(typeof workerProtocol)[C]["input"]>;

/** The calls by which a worker publishes snapshots and gets at the file keys of those that it must read. */
export function createSnapshotCalls(deps: ServiceDeps) {
  const { db, platformKeys, clock } = deps;
  const keys = createFileKeys(deps);

  /** A new manifest may refer to what was published of the same source, and to nothing else. */
  async function checkReferences(tx: TenantTx, manifest: Manifest): Promise<void> {
    if (manifest.references.length === 0) return;
    const ids = manifest.references.map((one) => one.snapshot_id);
    const rows = await tx
      .select({ id: snapshots.id, sourceId: snapshots.sourceId, sha256: snapshots.manifestSha256 })
      .from(snapshots)
      .where(
        and(eq(snapshots.tenantId, manifest.tenant_id), inArray(snapshots.id, ids), eq(snapshots.state, "complete")),
      );
    const known = new Map(rows.map((row) => [row.id, row]));
    for (const { snapshot_id, manifest_sha256 } of manifest.references) {
      const row = known.get(snapshot_id);
      if (row?.sourceId !== manifest.source_id || snapshot_id === manifest.snapshot_id) {
        throw new XVaultError("MANIFEST_TENANT_MISMATCH", "The manifest refers to a snapshot that its source has not.");
      }
      if (row.sha256 !== manifest_sha256) {
        throw new XVaultError("SIGNATURE_INVALID", "The manifest refers to another snapshot than the one published.");
      }
    }
  }

  async function wasPublished(worker: WorkerRow, input: In<"publish">, sha256: string): Promise<boolean> {
    const rows = await db.withSystem((tx) =>
      tx
        .select({ id: snapshots.id })
        .from(snapshots)
        .where(
          and(
            eq(snapshots.id, input.manifest.snapshot_id),
            eq(snapshots.jobId, input.job_id),
            eq(snapshots.attempt, input.attempt),
            eq(snapshots.workerId, worker.id),
            ne(snapshots.state, "pending"),
            eq(snapshots.manifestSha256, sha256),
          ),
        ),
    );
    return rows.length > 0;
  }

  return {
    unwrap: (worker: WorkerRow, input: In<"unwrap">): Promise<WorkerOutput<"unwrap">> =>
      withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        const snapshotId = readBy(job);
        const unwrapped = await keys.unwrap(tx, tenantId, snapshotId, input.sealed);
        await auditUnsealed(tx, worker, job, snapshotId);
        return unwrapped;
      }),

    unwrap_earlier: (worker: WorkerRow, input: In<"unwrap_earlier">): Promise<WorkerOutput<"unwrap_earlier">> =>
      withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        const key = await keys.unwrapEarlier(tx, tenantId, readBy(job), input.sealed);
        await auditUnsealed(tx, worker, job, input.sealed.manifest.snapshot_id);
        return key;
      }),

    publish: async (worker: WorkerRow, input: In<"publish">): Promise<WorkerOutput<"publish">> => {
      const { manifest } = input;
      const sha256 = manifestSha256(manifest);
      const publish = withHeldJob(db, worker, input, async (tx, job, tenantId) => {
        const [row] = await tx
          .select()
          .from(snapshots)
          .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.jobId, job.id), eq(snapshots.attempt, job.attempt)))
          .for("update");
        if (!row) throw new XVaultError("LEASE_LOST");
        verifyManifest(manifest, platformKeys.rootPublicKeys);
        checkManifest(manifest, worker, { ...row, jobId: job.id, attempt: job.attempt });
        await checkReferences(tx, manifest);
        if (row.state === "complete") {
          if (row.manifestSha256 !== sha256)
            throw new XVaultError("CONFLICT", "This snapshot was published with another manifest.");
          return { snapshot_id: row.id };
        }
        const [published] = await tx
          .update(snapshots)
          .set({
            state: "complete",
            sizeBytes: manifest.artifact.size_bytes,
            plainBytes: manifest.contents.plain_bytes,
            tarBytes: manifest.artifact.tar_bytes,
            sha256: manifest.artifact.sha256,
            files: manifest.contents.files,
            directories: manifest.contents.directories,
            problems: manifest.contents.problems,
            manifest,
            manifestSha256: sha256,
            previousSnapshotId: manifest.previous?.snapshot_id ?? null,
            keyFingerprints: manifest.encryption.recipients.map((recipient) => recipient.fingerprint),
            partial: manifest.partial,
            createdAt: clock.now(),
          })
          .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, row.id)))
          .returning();
        if (!published) throw new XVaultError("LEASE_LOST");
        await recordPublished(tx, { snapshot: published, job, worker, stored: input.stored, now: clock.now() });
        await auditSystem(
          tx,
          tenantId,
          { kind: "worker", id: worker.id, label: worker.name },
          "snapshot.published",
          { kind: "snapshot", id: row.id },
          { job_id: job.id, manifest_sha256: sha256 },
        );
        return { snapshot_id: row.id };
      });
      return publish.catch(async (error: unknown) => {
        // A worker whose first answer was lost asks again, perhaps when its lease is gone: it must hear the same, or it removes the files.
        if (isXVaultError(error, "LEASE_LOST") && (await wasPublished(worker, input, sha256)))
          return { snapshot_id: manifest.snapshot_id };
        throw error;
      });
    },

    reconcile: async (worker: WorkerRow, input: In<"reconcile">): Promise<WorkerOutput<"reconcile">> => {
      if (input.snapshot_ids.length === 0) return { known: [], pending: [] };
      const rows = await db.withSystem((tx) =>
        tx
          .select({ id: snapshots.id, state: snapshots.state, workerId: snapshots.workerId })
          .from(snapshots)
          .where(inArray(snapshots.id, input.snapshot_ids)),
      );
      const known = rows.filter((row) => row.state !== "pending");
      // The caller has just started, so whatever it was writing itself is lost; another worker on the same storage may be at work.
      const pending = rows.filter((row) => row.state === "pending" && row.workerId !== worker.id);
      return { known: known.map((row) => row.id), pending: pending.map((row) => row.id) };
    },

    redeem: async (worker: WorkerRow, input: In<"redeem">): Promise<WorkerOutput<"redeem">> => {
      const { claims, expiresAt } = await redeemTicket(deps, input.ticket, worker.id);
      const tenantId = claims.tenant_id as TenantId;
      return db.withTenant(tenantId, async (tx) => {
        const [found] = await tx
          .select({ snapshot: snapshots, source: sources })
          .from(snapshots)
          .leftJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
          .where(
            and(
              eq(snapshots.tenantId, tenantId),
              eq(snapshots.id, claims.snapshot_id),
              eq(snapshots.state, "complete"),
            ),
          );
        if (!found) throw new XVaultError("NOT_FOUND");
        const { storage, platform } = await copyFor(tx, found.snapshot, worker);
        const earlier = manifestOf(found.snapshot).references.map((one) => one.snapshot_id);
        const unwrapped =
          claims.kind === "raw" || !input.sealed
            ? null
            : await keys.unwrap(tx, tenantId, claims.snapshot_id, input.sealed);
        const day = found.snapshot.createdAt.toISOString().slice(0, 10);
        const name = (found.source?.name ?? "snapshot").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
        return {
          claims,
          keys: unwrapped,
          earlier,
          storage: storageRef(storage, platform),
          storage_secret: await openStorageSecret(deps, tx, tenantId, storage.id),
          filename: `${name}-${day}`,
          expires_at: expiresAt.toISOString(),
        };
      });
    },

    redeem_earlier: async (worker: WorkerRow, input: In<"redeem_earlier">): Promise<WorkerOutput<"redeem_earlier">> => {
      const { claims } = await redeemTicket(deps, input.ticket, worker.id);
      if (claims.kind !== "tar" && claims.kind !== "file") throw new XVaultError("TOKEN_INVALID");
      const tenantId = claims.tenant_id as TenantId;
      return db.withTenant(tenantId, async (tx) => {
        const row = await keys.publishedRow(tx, tenantId, claims.snapshot_id);
        await copyFor(tx, row, worker);
        return keys.unwrapEarlier(tx, tenantId, claims.snapshot_id, input.sealed);
      });
    },
  };
}

/** The copy by which a worker serves a snapshot under a ticket. @throws NOT_FOUND where it reaches none */
async function copyFor(tx: TenantTx, snapshot: SnapshotRow, worker: WorkerRow): Promise<PlacedCopy> {
  const near = nearest(await copiesToRead(tx, snapshot.tenantId, snapshot.id), worker);
  if (!near) throw new XVaultError("NOT_FOUND");
  return near;
}

const READING_TYPES: readonly JobRow["type"][] = ["restore", "verify", "drill", "quote"];

/** The snapshot that a job reads. @throws NOT_FOUND for one that reads none */
function readBy(job: JobRow): string {
  if (!job.snapshotId || !READING_TYPES.includes(job.type)) throw new XVaultError("NOT_FOUND");
  return job.snapshotId;
}

function auditUnsealed(tx: TenantTx, worker: WorkerRow, job: JobRow, snapshotId: string): Promise<void> {
  return auditSystem(
    tx,
    job.tenantId as TenantId,
    { kind: "worker", id: worker.id, label: worker.name },
    "snapshot.unsealed",
    { kind: "snapshot", id: snapshotId },
    { job_id: job.id },
  );
}

function checkManifestIds(
  manifest: Manifest,
  row: { id: string; tenantId: string; sourceId: string; jobId: string; attempt: number },
): boolean {
  return (
    manifest.snapshot_id === row.id &&
    manifest.tenant_id === row.tenantId &&
    manifest.source_id === row.sourceId &&
    manifest.job_id === row.jobId &&
    manifest.attempt === row.attempt
  );
}

/** A manifest is taken only for the snapshot that was leased, in the name of the worker that leased it, to the recipients that were given. */
function checkManifest(
  manifest: Manifest,
  worker: WorkerRow,
  row: {
    id: string;
    tenantId: string;
    sourceId: string;
    jobId: string;
    attempt: number;
    sequence: number | null;
    keyFingerprints: string[];
  },
): void {
  if (!checkManifestIds(manifest, row) || manifest.sequence !== row.sequence)
    throw new XVaultError("MANIFEST_TENANT_MISMATCH");
  if (manifest.worker_id !== worker.id || manifest.certificate.public_key !== worker.publicKey)
    throw new XVaultError("SIGNATURE_INVALID");
  const given = new Set(row.keyFingerprints);
  const used = manifest.encryption.recipients.map((recipient) => recipient.fingerprint);
  if (used.length !== given.size || !used.every((fingerprint) => given.has(fingerprint))) {
    throw new XVaultError("KEY_MISMATCH", "The snapshot was not encrypted to the workspace's recipients.");
  }
}
