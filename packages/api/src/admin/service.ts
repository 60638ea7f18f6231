import type { Worker } from "@xvault/contracts";
import { STATES_OF_STATUS } from "@xvault/contracts";
import { newOpaqueToken } from "@xvault/crypto";
import {
  and,
  appendAudit,
  count,
  desc,
  eq,
  inArray,
  jobs,
  lt,
  memberships,
  ne,
  or,
  PLATFORM_TENANT,
  snapshots,
  sources,
  sum,
  tenants,
  type TenantTx,
  users,
  workerEnrollments,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { newId, type Id, type TenantId, XVaultError } from "@xvault/kernel";
import type { Actor } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { toJob } from "../jobs/dto.ts";
import { insertRestore } from "../jobs/restore.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { AdminService } from "../services.ts";
import { keyHolders, toSnapshot } from "../snapshots/dto.ts";
import { copiesOf } from "../storages/copies.ts";
import { createOwnKeys } from "../storages/own-keys.ts";
import { createPlatformStorages } from "../storages/platform.ts";
import { readSources } from "../sources/read.ts";

/** A worker that was not heard of for this long counts as offline, in milliseconds. */
const OFFLINE_AFTER = 45_000;
/** How long a one-time enrolment token may be used, in milliseconds. */
const ENROLLMENT_TTL = 10 * 60_000;

export function createAdminService(deps: ServiceDeps): AdminService {
  const { db, clock } = deps;
  const platform = createPlatformStorages(deps);
  const ownKeys = createOwnKeys(deps);

  const auditPlatform = (
    tx: Parameters<typeof appendAudit>[0],
    actor: Actor,
    action: string,
    target: { kind: string; id: string },
    requestId: string,
  ) =>
    appendAudit(tx, {
      tenantId: PLATFORM_TENANT,
      actor: { kind: "admin", id: actor.userId, label: actor.email },
      action,
      target,
      data: {},
      requestId,
    });

  /** Into the workspace's own log, so that its people see what the operator did. */
  const auditKey =
    (actor: Actor, action: string, requestId: string) => (tx: TenantTx, tenantId: TenantId, storageId: string) =>
      appendAudit(tx, {
        tenantId,
        actor: { kind: "admin", id: actor.userId, label: actor.email },
        action,
        target: { kind: "storage", id: storageId },
        data: {},
        requestId,
      });

  const toWorker = (row: WorkerRow, running: number): Worker => {
    const seen = row.lastSeenAt?.getTime() ?? 0;
    const online = clock.now().getTime() - seen < OFFLINE_AFTER;
    return {
      id: row.id,
      name: row.name,
      state:
        row.state === "revoked" ? "revoked" : !online ? "offline" : row.state === "draining" ? "draining" : "online",
      version: row.version,
      capabilities: row.capabilities,
      storage_base_path: row.storageBasePath,
      data_url: row.dataUrl,
      concurrency: row.concurrency,
      running_jobs: running,
      free_bytes: (row.disk as { free_bytes?: number | null } | null)?.free_bytes ?? null,
      enrolled_at: row.enrolledAt.toISOString(),
      last_seen_at: row.lastSeenAt?.toISOString() ?? null,
    };
  };

  const readWorkers = () =>
    db.withSystem(async (tx) => {
      const rows = await tx.select().from(workers).orderBy(workers.enrolledAt);
      const running = await tx
        .select({ workerId: jobs.workerId, n: count() })
        .from(jobs)
        .where(eq(jobs.state, "running"))
        .groupBy(jobs.workerId);
      return rows.map((row) => toWorker(row, running.find((one) => one.workerId === row.id)?.n ?? 0));
    });

  return {
    tenants: () =>
      db.withSystem(async (tx) => {
        const rows = await tx.select().from(tenants).orderBy(desc(tenants.createdAt));
        const owners = await tx
          .select({ tenantId: memberships.tenantId, email: users.email })
          .from(memberships)
          .innerJoin(users, eq(users.id, memberships.userId))
          .where(eq(memberships.role, "owner"));
        const sourceCounts = await tx
          .select({ tenantId: sources.tenantId, n: count() })
          .from(sources)
          .where(ne(sources.kind, "audit"))
          .groupBy(sources.tenantId);
        const stored = await tx
          .select({ tenantId: snapshots.tenantId, n: count(), bytes: sum(snapshots.sizeBytes) })
          .from(snapshots)
          .where(eq(snapshots.state, "complete"))
          .groupBy(snapshots.tenantId);
        return rows.map((row) => {
          const kept = stored.find((one) => one.tenantId === row.id);
          return {
            id: row.id,
            name: row.name,
            key_mode: row.keyMode,
            owner_email: owners.find((one) => one.tenantId === row.id)?.email ?? null,
            sources: sourceCounts.find((one) => one.tenantId === row.id)?.n ?? 0,
            snapshots: kept?.n ?? 0,
            stored_bytes: Number(kept?.bytes ?? 0),
            created_at: row.createdAt.toISOString(),
          };
        });
      }),

    workers: readWorkers,

    jobs: (input) =>
      db.withSystem(async (tx) => {
        const filters = [input.type ? eq(jobs.type, input.type) : inArray(jobs.type, ["backup", "restore", "verify"])];
        if (input.state) filters.push(eq(jobs.state, input.state));
        if (input.status) filters.push(inArray(jobs.state, STATES_OF_STATUS[input.status]));
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const older = or(lt(jobs.createdAt, at), and(eq(jobs.createdAt, at), lt(jobs.id, id)));
          if (older) filters.push(older);
        }
        const rows = await tx
          .select({ row: jobs, source: sources, tenant: tenants })
          .from(jobs)
          .innerJoin(tenants, eq(tenants.id, jobs.tenantId))
          .leftJoin(sources, and(eq(sources.tenantId, jobs.tenantId), eq(sources.id, jobs.sourceId)))
          .where(and(...filters))
          .orderBy(desc(jobs.createdAt), desc(jobs.id))
          .limit(input.limit + 1);
        return toPage(
          rows,
          input.limit,
          ({ row, source, tenant }) => ({ ...toJob(row, source), tenant_id: tenant.id, tenant_name: tenant.name }),
          ({ row }) => ({ at: row.createdAt, id: row.id }),
        );
      }),

    sources: (tenantId) =>
      db.withTenant(tenantId as TenantId, (tx) => readSources(tx, tenantId as TenantId, clock.now())),

    snapshots: (tenantId) =>
      db.withTenant(tenantId as TenantId, async (tx) => {
        const rows = await tx
          .select({ row: snapshots, source: sources })
          .from(snapshots)
          .leftJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
          .where(and(eq(snapshots.tenantId, tenantId), ne(snapshots.state, "pending")))
          .orderBy(desc(snapshots.createdAt))
          .limit(200);
        const holders = await keyHolders(tx, tenantId as TenantId);
        const ids = rows.map(({ row }) => row.id);
        const all = await copiesOf(tx, tenantId, ids);
        return rows.map(({ row, source }) => {
          const own = all.filter(({ copy }) => copy.snapshotId === row.id);
          return toSnapshot(row, source, holders, own);
        });
      }),

    createEnrollment: (actor, requestId) =>
      db.withSystem(async (tx) => {
        const { token, hash } = newOpaqueToken("xve_");
        const id = newId<Id<"enrollment">>();
        const expiresAt = new Date(clock.now().getTime() + ENROLLMENT_TTL);
        await tx.insert(workerEnrollments).values({ id, tokenHash: hash, createdBy: actor.userId, expiresAt });
        await auditPlatform(tx, actor, "worker.enrollment_created", { kind: "enrollment", id }, requestId);
        return { token, expires_at: expiresAt.toISOString() };
      }),

    setDraining: async (actor, workerId, draining, requestId) => {
      await db.withSystem(async (tx) => {
        const [row] = await tx
          .update(workers)
          .set({ state: draining ? "draining" : "active" })
          .where(and(eq(workers.id, workerId), ne(workers.state, "revoked")))
          .returning();
        if (!row) throw new XVaultError("NOT_FOUND");
        await auditPlatform(
          tx,
          actor,
          draining ? "worker.draining" : "worker.resumed",
          { kind: "worker", id: workerId },
          requestId,
        );
      });
      const worker = (await readWorkers()).find((one) => one.id === workerId);
      if (!worker) throw new XVaultError("NOT_FOUND");
      return worker;
    },

    revokeWorker: (actor, workerId, requestId) =>
      db.withSystem(async (tx) => {
        const [row] = await tx
          .update(workers)
          .set({ state: "revoked", revokedAt: clock.now() })
          .where(and(eq(workers.id, workerId), ne(workers.state, "revoked")))
          .returning();
        if (!row) throw new XVaultError("NOT_FOUND");
        // Jobs that no other worker may take would wait for ever.
        const error = new XVaultError("NO_WORKER", "The one worker that could have done this was revoked.");
        await tx
          .update(jobs)
          .set({ state: "failed", error: { ...error.report() }, finishedAt: clock.now() })
          .where(and(eq(jobs.targetWorkerId, workerId), eq(jobs.state, "queued")));
        await auditPlatform(tx, actor, "worker.revoked", { kind: "worker", id: workerId }, requestId);
      }),

    storages: () => platform.list(),
    createStorage: (actor, input, requestId) =>
      platform.create(input, (tx, id) =>
        auditPlatform(tx, actor, "platform_storage.created", { kind: "storage", id }, requestId),
      ),
    retireStorage: (actor, id, requestId) =>
      platform.retire(id, (tx) =>
        auditPlatform(tx, actor, "platform_storage.retired", { kind: "storage", id }, requestId),
      ),

    updateStorage: (actor, input, requestId) =>
      platform.update(input, (tx, id) =>
        auditPlatform(tx, actor, "platform_storage.updated", { kind: "storage", id }, requestId),
      ),
    storageKeys: (id) => ownKeys.list(id),
    setStorageKey: (actor, input, requestId) => ownKeys.set(input, auditKey(actor, "storage.key_set", requestId)),
    removeStorageKey: (actor, input, requestId) =>
      ownKeys.remove(input, auditKey(actor, "storage.key_removed", requestId)),

    restore: async (actor, input, requestId) => {
      const tenantId = input.tenant_id as TenantId;
      const { row, job } = await db.withTenant(tenantId, async (tx) => {
        const made = await insertRestore(deps, tx, tenantId, input, { trigger: "admin", requestedBy: actor.userId });
        await appendAudit(tx, {
          tenantId,
          actor: { kind: "admin", id: actor.userId, label: actor.email },
          action: "restore.requested_by_platform",
          target: { kind: "snapshot", id: input.snapshot_id },
          data: {
            reason: input.reason,
            job_id: made.id,
            target_source_id: input.target.source_id,
            target_path: input.target.path,
          },
          requestId,
        });
        const [source] = await tx
          .select()
          .from(sources)
          .where(and(eq(sources.tenantId, tenantId), eq(sources.id, made.sourceId ?? "")));
        return { row: made, job: toJob(made, source ?? null) };
      });
      await announceJob(deps, row);
      return job;
    },
  };
}
