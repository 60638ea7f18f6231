import { type Manifest, type PackageType, packageTypeSchema, type Tier } from "@xvault/contracts";
import {
  and,
  asc,
  copies,
  type CopyRow,
  eq,
  gt,
  inArray,
  jobs,
  packages,
  schedules,
  snapshots,
  sources,
  sql,
  storages,
  type StorageRow,
  type TenantTx,
  workers,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { activeStorages } from "../storages/placement.ts";
import { factsOf, type FactRow } from "./facts.ts";
import type { PlannedSnapshot, PlannedSource, PlannedStorage } from "./model.ts";
import { findSuspicions, type Suspicion } from "./poison.ts";

/** Snapshots of a source that follow one rule set and are each other's history. */
export interface Series {
  sourceId: string;
  sourceName: string;
  /** What the API calls the source. */
  shownId: string;
  packageType: PackageType;
  planned: PlannedSource;
  suspicions: Suspicion[];
  /** Snapshot → its package, as the list of packages shows it. */
  packages: Map<string, { id: string; tier: Tier; path: string }>;
}

/** The storages that may take copies. */
export async function plannedStorages(tx: TenantTx, tenantId: TenantId): Promise<PlannedStorage[]> {
  const rows = await activeStorages(tx, tenantId);
  return rows.map(({ storage: { id, tier } }) => ({ id, tier }));
}

/** Ids of sources that have snapshots, by id from one on: those that were removed are among them. */
export async function sourcesAfter(
  tx: TenantTx,
  tenantId: TenantId,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const rows = await tx
    .select({ id: sources.id })
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), after === null ? undefined : gt(sources.id, after)))
    .orderBy(asc(sources.id))
    .limit(limit);
  return rows.map(({ id }) => id);
}

/** All that planning must know of some sources. Snapshots that were removed or never published are not among it. */
export async function loadSeries(tx: TenantTx, tenantId: TenantId, sourceIds: readonly string[]): Promise<Series[]> {
  if (sourceIds.length === 0) return [];
  const ids = [...sourceIds];
  const known = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), inArray(sources.id, ids)));
  const zones = await tx
    .select({ sourceId: schedules.sourceId, timezone: schedules.timezone })
    .from(schedules)
    .where(and(eq(schedules.tenantId, tenantId), inArray(schedules.sourceId, ids)))
    .orderBy(asc(schedules.createdAt));
  const zoneOf = new Map(zones.toReversed().map(({ sourceId, timezone }) => [sourceId, timezone]));
  const rows = await readSnapshots(tx, tenantId, ids);
  const held = await readCopies(
    tx,
    tenantId,
    rows.map(({ id }) => id),
  );
  const used = await lastUses(tx, tenantId, ids);

  const bySource = Map.groupBy(rows, (row) => row.sourceId);
  const series: Series[] = [];
  for (const source of known) {
    const ofSource = packageTypeSchema.catch("user_data").parse(source.packageType);
    // What an edge client sends are packages of many types; what is pulled from a server is of the type that its source has now.
    const groups = Map.groupBy(bySource.get(source.id) ?? [], (row) =>
      source.kind === "edge" ? (row.package?.type ?? ofSource) : ofSource,
    );
    for (const [packageType, group] of groups) {
      const planned = group.map((row) => plannedOf(row, held, used.get(row.id) ?? null));
      // What it holds is seen also where something that it needs is damaged: it must not pass unlooked at because of that.
      const seen = new Set(planned.filter((one) => one.copies.some((copy) => copy.whole)).map((one) => one.id));
      // Packages of edge clients, and pieces of the audit log, are no versions of each other: nothing is to be seen by comparing them.
      const suspicions =
        source.kind !== "ssh"
          ? []
          : findSuspicions(group.map((row) => factsOf({ ...row, good: !row.partial && seen.has(row.id) })));
      series.push({
        sourceId: source.id,
        sourceName: source.name,
        shownId: source.edgeId ?? source.id,
        packageType,
        suspicions,
        packages: new Map(group.flatMap(({ id, package: shown }) => (shown === null ? [] : [[id, shown] as const]))),
        planned: {
          id: source.id,
          timezone: zoneOf.get(source.id) ?? "UTC",
          suspicions: suspicions.map(({ message }) => message),
          snapshots: planned,
        },
      });
    }
  }
  return series;
}

type SnapshotPart = Omit<FactRow, "good"> & {
  sourceId: string;
  createdAt: Date;
  partial: boolean;
  pinnedAt: Date | null;
  heldUntil: Date | null;
  sizeBytes: number | null;
  references: Manifest["references"];
  package: { id: string; tier: Tier; path: string; type: PackageType } | null;
};

/** Of manifests only the parts that count: there may be very many. */
function readSnapshots(tx: TenantTx, tenantId: TenantId, sourceIds: string[]): Promise<SnapshotPart[]> {
  return tx
    .select({
      id: snapshots.id,
      sourceId: snapshots.sourceId,
      sequence: snapshots.sequence,
      createdAt: snapshots.createdAt,
      partial: snapshots.partial,
      pinnedAt: snapshots.pinnedAt,
      heldUntil: snapshots.heldUntil,
      sizeBytes: snapshots.sizeBytes,
      files: snapshots.files,
      plainBytes: snapshots.plainBytes,
      stats: snapshots.stats,
      references: sql<Manifest["references"]>`coalesce(${snapshots.manifest} -> 'references', '[]'::jsonb)`,
      artifact: sql<Manifest["artifact"] | null>`${snapshots.manifest} -> 'artifact'`,
      jobResult: jobs.result,
      jobParams: jobs.params,
      package: { id: packages.id, tier: packages.tier, path: packages.path, type: packages.packageType },
    })
    .from(snapshots)
    .leftJoin(jobs, and(eq(jobs.tenantId, snapshots.tenantId), eq(jobs.id, snapshots.jobId)))
    .leftJoin(packages, and(eq(packages.tenantId, snapshots.tenantId), eq(packages.snapshotId, snapshots.id)))
    .where(
      and(eq(snapshots.tenantId, tenantId), inArray(snapshots.sourceId, sourceIds), eq(snapshots.state, "complete")),
    )
    .orderBy(asc(snapshots.sequence));
}

interface HeldCopy {
  copy: CopyRow;
  tier: StorageRow["tier"];
  revoked: boolean;
}

async function readCopies(tx: TenantTx, tenantId: TenantId, ids: string[]): Promise<Map<string, HeldCopy[]>> {
  if (ids.length === 0) return new Map();
  const rows = await tx
    .select({ copy: copies, tier: storages.tier, worker: workers.state })
    .from(copies)
    .innerJoin(storages, and(eq(storages.tenantId, copies.tenantId), eq(storages.id, copies.storageId)))
    .leftJoin(workers, eq(workers.id, copies.workerId))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        inArray(copies.snapshotId, ids),
        inArray(copies.state, ["complete", "missing", "corrupt"]),
      ),
    )
    .orderBy(asc(copies.createdAt));
  const held = rows.map(({ copy, tier, worker }) => ({ copy, tier, revoked: worker === "revoked" }));
  return Map.groupBy(held, ({ copy }) => copy.snapshotId);
}

/** Snapshot → when it was last restored from. */
async function lastUses(tx: TenantTx, tenantId: TenantId, sourceIds: string[]): Promise<Map<string, Date>> {
  const rows = await tx
    .select({ id: jobs.snapshotId, at: sql<string>`max(${jobs.createdAt})` })
    .from(jobs)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, jobs.tenantId), eq(snapshots.id, jobs.snapshotId)))
    .where(and(eq(jobs.tenantId, tenantId), eq(jobs.type, "restore"), inArray(snapshots.sourceId, sourceIds)))
    .groupBy(jobs.snapshotId);
  return new Map(rows.flatMap(({ id, at }) => (id === null ? [] : [[id, new Date(at)] as const])));
}

/** @param held of all snapshots of its source */
function plannedOf(
  row: SnapshotPart,
  held: ReadonlyMap<string, readonly HeldCopy[]>,
  usedAt: Date | null,
): PlannedSnapshot {
  const own = held.get(row.id) ?? [];
  const needs = row.references.map((reference) => reference.snapshot_id);
  const isRestorable = own.some(
    (one) => isWhole(one) && needs.every((id) => held.get(id)?.some((other) => isWhole(other) && isBeside(other, one))),
  );
  return {
    id: row.id,
    sequence: row.sequence,
    createdAt: row.createdAt,
    good: !row.partial && isRestorable,
    pinned: row.pinnedAt !== null,
    heldUntil: row.heldUntil,
    usedAt,
    sizeBytes: row.sizeBytes ?? 0,
    needs,
    copies: own.map((one) => ({
      id: one.copy.id,
      storageId: one.copy.storageId,
      tier: one.tier,
      whole: isWhole(one),
      reached: !one.revoked,
      lockedUntil: one.copy.lockedUntil,
    })),
  };
}

function isWhole({ copy, revoked }: HeldCopy): boolean {
  return copy.state === "complete" && !revoked;
}

/** Whether whoever reads the one copy reads the other, too: the disks of several workers are one storage. */
function isBeside({ copy: a }: HeldCopy, { copy: b }: HeldCopy): boolean {
  return a.storageId === b.storageId && a.workerId === b.workerId;
}
