import type { Manifest, workerProtocol, WorkerOutput } from "@xvault/contracts";
import { headerSha256, manifestSha256, unwrapFileKey, verifyManifest } from "@xvault/crypto";
import { and, eq, inArray, ne, snapshots, sources, type TenantTx, type WorkerRow } from "@xvault/db";
import { isXVaultError, type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditSystem } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { redeemTicket } from "../snapshots/tickets.ts";
import { withHeldJob } from "./held.ts";

type In<C extends keyof typeof workerProtocol> = z.output<(typeof workerProtocol)[C]["input"]>;
type Sealed = In<"unwrap">["sealed"];

/** The calls by which a worker publishes snapshots and gets at the file keys of those that it must read. */
export function createSnapshotCalls(deps: ServiceDeps) {
  const { db, vault, platformKeys, clock } = deps;

  /** The file keys of one snapshot, after a check that the headers are those of the manifest that the hub itself keeps. */
  async function unwrapKeys(tx: TenantTx, tenantId: TenantId, snapshotId: string, sealed: Sealed) {
    const [row] = await tx
      .select()
      .from(snapshots)
      .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, snapshotId), eq(snapshots.state, "complete")));
    if (!row) throw new XVaultError("NOT_FOUND");
    if (manifestSha256(sealed.manifest) !== row.manifestSha256) {
      throw new XVaultError("SIGNATURE_INVALID", "The manifest on the storage is not the one that was published.");
    }
    verifyManifest(sealed.manifest, platformKeys.rootPublicKeys);
    const identities = await vault.identities(tx, tenantId);
    if (identities.length === 0) throw new XVaultError("KEY_CUSTOMER_HELD");
    const open = async (header: string, expected: string) => {
      const bytes = Buffer.from(header, "base64");
      if (headerSha256(bytes) !== expected)
        throw new XVaultError("SIGNATURE_INVALID", "The age header is not the one that was signed.");
      return (await unwrapFileKey(bytes, identities)).toString("base64");
    };
    return {
      artifact: await open(sealed.artifact_header, sealed.manifest.artifact.header_sha256),
      index: await open(sealed.index_header, sealed.manifest.index.header_sha256),
    };
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
        if (!job.snapshotId || (job.type !== "restore" && job.type !== "verify")) throw new XVaultError("NOT_FOUND");
        const keys = await unwrapKeys(tx, tenantId, job.snapshotId, input.sealed);
        await auditSystem(
          tx,
          tenantId,
          { kind: "worker", id: worker.id, label: worker.name },
          "snapshot.unsealed",
          { kind: "snapshot", id: job.snapshotId },
          { job_id: job.id },
        );
        return keys;
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
        if (row.state === "complete") {
          if (row.manifestSha256 !== sha256)
            throw new XVaultError("CONFLICT", "This snapshot was published with another manifest.");
          return { snapshot_id: row.id };
        }
        await tx
          .update(snapshots)
          .set({
            state: "complete",
            localPath: input.local_path,
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
          .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, row.id)));
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
        if (found?.snapshot.workerId !== worker.id) throw new XVaultError("NOT_FOUND");
        const keys =
          claims.kind === "raw" || !input.sealed
            ? null
            : await unwrapKeys(tx, tenantId, claims.snapshot_id, input.sealed);
        const day = found.snapshot.createdAt.toISOString().slice(0, 10);
        const name = (found.source?.name ?? "snapshot").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
        return { claims, keys, filename: `${name}-${day}`, expires_at: expiresAt.toISOString() };
      });
    },
  };
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
