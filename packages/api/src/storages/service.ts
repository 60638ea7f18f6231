import type { Storage, StoragePlace, StorageSecret } from "@xvault/contracts";
import { storageCheckSchema } from "@xvault/contracts";
import {
  and,
  copies,
  eq,
  inArray,
  isNull,
  isUniqueViolation,
  placements,
  sources,
  sql,
  storages,
  type TenantTx,
} from "@xvault/db";
import { newId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { toJob } from "../jobs/dto.ts";
import { ask } from "../jobs/interactive.ts";
import type { StorageService } from "../services.ts";
import { findSource } from "../sources/find.ts";
import { migrate } from "./migrate.ts";
import { activeStorages, findStorage, findTarget, place, type PlacedStorage, placementOf } from "./placement.ts";
import { isNeededOn } from "./needed.ts";
import { queueTransfer, snapshotById } from "./queue.ts";
import { hasKey, locationOf, placeOf, secretPlace } from "./refs.ts";

interface StorageOptions {
  /** Workspaces may add rclone remotes of their own, which no address policy can hold. */
  workspaceRclone: boolean;
}

export function createStorageService(deps: ServiceDeps, options: StorageOptions): StorageService {
  const { db, clock, vault } = deps;

  async function show(tx: TenantTx, tenantId: string, rows: PlacedStorage[]): Promise<Storage[]> {
    const used = await tx
      .select({
        storageId: copies.storageId,
        n: sql<number>`count(*)::int`,
        bytes: sql<string>`sum(${copies.sizeBytes})`,
      })
      .from(copies)
      .where(and(eq(copies.tenantId, tenantId), inArray(copies.state, ["complete", "corrupt", "removing"])))
      .groupBy(copies.storageId);
    const named = await tx
      .select({ storageId: placements.storageId, name: sources.name })
      .from(placements)
      .innerJoin(sources, and(eq(sources.tenantId, placements.tenantId), eq(sources.id, placements.sourceId)))
      .where(and(eq(placements.tenantId, tenantId), isNull(sources.deletedAt)));
    return rows.map(({ storage, platform }): Storage => {
      const place = placeOf(storage, platform);
      const own = used.find((one) => one.storageId === storage.id);
      const asked = place.kind === "s3" && place.config.lock !== null;
      return {
        id: storage.id,
        name: storage.name,
        kind: storage.kind,
        tier: storage.tier,
        owner: storage.platformStorageId === null && storage.kind !== "local_fs" ? "workspace" : "platform",
        config: place.config,
        location: locationOf(place),
        state: storage.state,
        lock: !asked ? "none" : storage.lockProvenAt === null ? "unproven" : "enforced",
        tested_at: storage.testedAt?.toISOString() ?? null,
        test: storageCheckSchema.array().nullable().catch(null).parse(storage.test),
        copies: own?.n ?? 0,
        bytes: Number(own?.bytes ?? 0),
        sources: named.filter((one) => one.storageId === storage.id).map((one) => one.name),
        created_at: storage.createdAt.toISOString(),
      };
    });
  }

  async function showOne(tx: TenantTx, tenantId: string, id: string): Promise<Storage> {
    const [shown] = await show(tx, tenantId, [await findStorage(tx, tenantId, id)]);
    if (!shown) throw new XVaultError("NOT_FOUND");
    return shown;
  }

  /** A storage of the workspace's own. @throws NOT_FOUND, also for one that was removed; FORBIDDEN for the operator's, which the operator changes */
  async function findOwn(tx: TenantTx, caller: Caller, id: string) {
    const { storage } = await findStorage(tx, caller.actor.workspace.id, id);
    if (storage.state !== "active") throw new XVaultError("NOT_FOUND", "There is no such storage.");
    if (storage.platformStorageId !== null || storage.kind === "local_fs")
      throw new XVaultError("FORBIDDEN", "This storage is the operator's.", { fix: "Ask the platform's admin." });
    return storage;
  }

  const sealSecret = async (tx: TenantTx, caller: Caller, id: string, secret: StorageSecret) =>
    vault.seal(tx, caller.actor.workspace.id, secretPlace(id), Buffer.from(JSON.stringify(secret)));

  return {
    list: (caller) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const rows = await activeStorages(tx, tenantId, "all");
        const keyless = new Set(
          rows.filter((row) => !hasKey(row.storage, row.platform)).map(({ storage }) => storage.id),
        );
        const shown = await show(tx, tenantId, rows);
        // What lies on one whose key was taken back is still there to be seen.
        return shown.filter((one) => !keyless.has(one.id) || one.copies > 0 || one.sources.length > 0);
      }),

    get: (caller, id) => db.withTenant(caller.actor.workspace.id, (tx) => showOne(tx, caller.actor.workspace.id, id)),

    create: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        checkPlace(input.place, input.secret);
        if (input.place.kind === "s3" && /\{/.test(input.place.config.bucket + input.place.config.prefix))
          throw new XVaultError("INPUT_INVALID", "A workspace's own bucket is named as it is, without '{tenant_id}'.");
        if (input.place.kind === "local_fs")
          throw new XVaultError("FORBIDDEN", "Folders of the workers' disks are the operator's to offer.", {
            fix: "Add a bucket or a remote of your own, or ask the platform's admin.",
          });
        if (input.place.kind === "rclone" && !options.workspaceRclone)
          throw new XVaultError("FORBIDDEN", "Workspaces cannot add rclone remotes of their own here.", {
            fix: "Add a bucket, or ask the platform's admin, who can offer a remote or allow them (XVAULT_WORKSPACE_RCLONE).",
          });
        const id = newId();
        const sealed = input.secret ? await sealSecret(tx, caller, id, input.secret) : null;
        const { name, tier, place } = input;
        await tx
          .insert(storages)
          .values({
            id,
            tenantId,
            name,
            tier,
            kind: place.kind,
            config: place.config,
            ...sealed,
            createdAt: clock.now(),
          })
          .catch(named);
        await auditCall(
          tx,
          caller,
          "storage.created",
          { kind: "storage", id },
          { name, storage_kind: place.kind, tier },
        );
        return showOne(tx, tenantId, id);
      }),

    update: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const storage = await findOwn(tx, caller, input.id);
        if (input.secret && input.secret.kind !== storage.kind)
          throw new XVaultError("INPUT_INVALID", "The secret is of another kind than the storage.");
        const sealed = input.secret ? await sealSecret(tx, caller, storage.id, input.secret) : {};
        await tx
          .update(storages)
          .set({
            ...sealed,
            ...(input.name === undefined ? {} : { name: input.name }),
            ...(input.tier === undefined ? {} : { tier: input.tier }),
            updatedAt: clock.now(),
          })
          .where(and(eq(storages.tenantId, storage.tenantId), eq(storages.id, storage.id)))
          .catch(named);
        await auditCall(
          tx,
          caller,
          "storage.updated",
          { kind: "storage", id: storage.id },
          { secret: input.secret !== undefined, tier: input.tier ?? storage.tier },
        );
        return showOne(tx, storage.tenantId, storage.id);
      }),

    remove: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const storage = await findOwn(tx, caller, id);
        const shown = await showOne(tx, storage.tenantId, id);
        if (shown.copies > 0 || shown.sources.length > 0) {
          const what =
            shown.copies > 0 ? `${shown.copies} copies lie there` : `${shown.sources.join(", ")} writes there`;
          throw new XVaultError("CONFLICT", `The storage is in use: ${what}.`, {
            fix: "Move what lies there to another storage and place its sources elsewhere first.",
          });
        }
        // What opened it goes at once; its row stays for the copies that once were there.
        await tx
          .update(storages)
          .set({ state: "retired", sealed: null, keyVersion: null, updatedAt: clock.now() })
          .where(and(eq(storages.tenantId, storage.tenantId), eq(storages.id, id)));
        await auditCall(tx, caller, "storage.removed", { kind: "storage", id }, { name: storage.name });
      }),

    async test(caller, id) {
      const tenantId = caller.actor.workspace.id;
      await db.withTenant(tenantId, (tx) => findTarget(tx, tenantId, id));
      const { checks, locked } = await ask(deps, {
        tenantId,
        type: "storage_test",
        params: { storage_id: id },
        sourceId: null,
        requestedBy: caller.actor.userId,
      });
      await db.withTenant(tenantId, async (tx) => {
        const now = clock.now();
        await tx
          .update(storages)
          .set({ test: checks, testedAt: now, lockProvenAt: locked ? now : null })
          .where(and(eq(storages.tenantId, tenantId), eq(storages.id, id)));
        const ok = checks.every((check) => check.status !== "failed");
        await auditCall(tx, caller, "storage.tested", { kind: "storage", id }, { ok, locked });
      });
      return { ok: checks.every((check) => check.status !== "failed"), checks };
    },

    placement: (caller, sourceId) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const source = await findSource(tx, caller, sourceId);
        const placed = await placementOf(tx, source.tenantId, source.id);
        return { source_id: source.id, storages: await show(tx, source.tenantId, placed) };
      }),

    setPlacement: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const source = await findSource(tx, caller, input.source_id);
        await place(tx, tenantId, source.id, input.storage_ids);
        const to = { storages: input.storage_ids };
        await auditCall(tx, caller, "source.placed", { kind: "source", id: source.id }, to);
        const placed = await placementOf(tx, tenantId, source.id);
        return { source_id: source.id, storages: await show(tx, tenantId, placed) };
      }),

    async copy(caller, input) {
      const tenantId = caller.actor.workspace.id;
      const { job, source } = await db.withTenant(tenantId, async (tx) => {
        const snapshot = await snapshotById(tx, tenantId, input.snapshot_id);
        if (snapshot.state !== "complete") throw new XVaultError("NOT_FOUND", "There is no such snapshot.");
        const { storage } = await findTarget(tx, tenantId, input.storage_id);
        const moved = input.move_from === undefined ? {} : { moveFrom: await copyOn(tx, snapshot.id, input.move_from) };
        const trigger = caller.actor.kind === "token" ? ("api" as const) : ("manual" as const);
        const by = { trigger, requestedBy: caller.actor.userId, now: clock.now() };
        const neededThere = input.move_from !== undefined && (await isNeededOn(tx, snapshot, input.move_from));
        const queued = await queueTransfer(tx, snapshot, storage, {
          ...by,
          ...moved,
          neededThere,
          reason: `To '${storage.name}' by hand.`,
        });
        const about = { job_id: queued.id, storage_id: storage.id, moved: input.move_from !== undefined };
        await auditCall(tx, caller, "snapshot.copied", { kind: "snapshot", id: snapshot.id }, about);
        const [of] = await tx
          .select()
          .from(sources)
          .where(and(eq(sources.tenantId, tenantId), eq(sources.id, snapshot.sourceId)));
        return { job: queued, source: of ?? null };
      });
      await announceJob(deps, job);
      return toJob(job, source);
    },

    migrate: (caller, input) => migrate(deps, caller, input),
  };
}

/** A whole copy of a snapshot on a storage. @throws NOT_FOUND */
async function copyOn(tx: TenantTx, snapshotId: string, storageId: string) {
  const [found] = await tx
    .select()
    .from(copies)
    .where(and(eq(copies.snapshotId, snapshotId), eq(copies.storageId, storageId), eq(copies.state, "complete")));
  if (!found) throw new XVaultError("NOT_FOUND", "The snapshot has no copy there.");
  return found;
}

/** @throws INPUT_INVALID where kind and secret do not go together */
export function checkPlace(place: StoragePlace, secret: StorageSecret | undefined): void {
  if (place.kind === "s3" && secret?.kind !== "s3")
    throw new XVaultError("INPUT_INVALID", "A bucket needs an access key and its secret.");
  if (secret && secret.kind !== place.kind)
    throw new XVaultError("INPUT_INVALID", "The secret is of another kind than the storage.");
}

function named(error: unknown): never {
  if (isUniqueViolation(error)) throw new XVaultError("CONFLICT", "A storage of this name exists already.");
  throw error;
}
