import {
  type Bucket,
  type Buckets,
  type PackageType,
  type RuleSet,
  type Tier,
  tierEnds,
  TIERS,
} from "@xvault/contracts";
import {
  and,
  count,
  eq,
  gt,
  isNull,
  jobs,
  lte,
  ne,
  notInArray,
  or,
  packages,
  snapshots,
  sources,
  sql,
  type TenantTx,
} from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { activeStorages } from "../storages/placement.ts";
import { DAY } from "./ages.ts";

interface Flow {
  count: number;
  bytes: number;
}

const bytes = sql<number>`coalesce(sum(${packages.sizeBytes}), 0)`.mapWith(Number);

/** Of a snapshot that was removed, the package is no more. */
const there = or(isNull(packages.snapshotId), eq(snapshots.state, "complete"));

/** What lies in each tier, and what ages will move within so many days. */
export async function readBuckets(
  tx: TenantTx,
  tenantId: TenantId,
  rules: ReadonlyMap<PackageType, RuleSet>,
  { days, now }: { days: number; now: Date },
): Promise<Buckets> {
  const counted = await countTiers(tx, tenantId);
  const names = (await activeStorages(tx, tenantId)).map(({ storage }) => storage);
  const tiers = new Set(names.map(({ tier }) => tier));
  const incoming = new Map<Tier, Flow>();
  const outgoing = new Map<Tier, Flow>();
  const until = new Date(now.getTime() + days * DAY);
  for (const [type, set] of rules) {
    for (const [index, [tier, ageDays]] of tierEnds(set).entries()) {
      if (ageDays === null) break;
      const next = TIERS.slice(index + 1);
      for (const { stored, ...flow } of await leaving(
        tx,
        tenantId,
        type,
        tier,
        new Date(until.getTime() - ageDays * DAY),
      )) {
        // What is stored goes where there is a storage, or stays; what is only reported goes by its row.
        const to = stored ? next.find((one) => tiers.has(one)) : next[0];
        if (stored && to === undefined && next.length > 0) continue;
        add(outgoing, tier, flow);
        if (to !== undefined) add(incoming, to, flow);
      }
    }
  }
  const buckets: Bucket[] = TIERS.map((tier) => ({
    tier,
    bucket: tier,
    ...(counted.get(tier) ?? { count: 0, bytes: 0, reported: 0 }),
    storages: names.filter((one) => one.tier === tier).map(({ name }) => name),
    incoming: incoming.get(tier) ?? { count: 0, bytes: 0 },
    outgoing: outgoing.get(tier) ?? { count: 0, bytes: 0 },
  }));
  return { days, clients: await readClients(tx, tenantId, now), buckets };
}

/** How many packages lie in each tier, and how large they are. */
export async function countTiers(
  tx: TenantTx,
  tenantId: TenantId,
): Promise<Map<Tier, { count: number; bytes: number; reported: number }>> {
  const rows = await tx
    .select({
      tier: packages.tier,
      count: count(),
      bytes,
      reported: sql<number>`count(*) filter (where ${packages.snapshotId} is null)`.mapWith(Number),
    })
    .from(packages)
    .leftJoin(snapshots, and(eq(snapshots.tenantId, packages.tenantId), eq(snapshots.id, packages.snapshotId)))
    .where(and(eq(packages.tenantId, tenantId), there))
    .groupBy(packages.tier);
  return new Map(rows.map(({ tier, ...facts }) => [tier, facts]));
}

/** Packages of a type that leave a tier because they were made before `before`; those with and without bytes apart. */
function leaving(tx: TenantTx, tenantId: TenantId, type: PackageType, tier: Tier, before: Date) {
  const stored = sql<boolean>`${packages.snapshotId} is not null`;
  return tx
    .select({ stored, count: count(), bytes })
    .from(packages)
    .leftJoin(snapshots, and(eq(snapshots.tenantId, packages.tenantId), eq(snapshots.id, packages.snapshotId)))
    .where(
      and(
        eq(packages.tenantId, tenantId),
        eq(packages.packageType, type),
        eq(packages.tier, tier),
        lte(packages.createdAt, before),
        there,
      ),
    )
    .groupBy(stored);
}

/** Sources, those heard of within a day, and what is on its way from them. */
async function readClients(tx: TenantTx, tenantId: TenantId, now: Date): Promise<Buckets["clients"]> {
  const dayAgo = new Date(now.getTime() - DAY);
  const seen = sql<number>`count(*) filter (where ${gt(sources.lastSeenAt, dayAgo)})`.mapWith(Number);
  const [clients] = await tx
    .select({ count: count(), seen_today: seen })
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), isNull(sources.deletedAt), ne(sources.kind, "audit")));
  const [coming] = await tx
    .select({ count: count(), bytes: sql<number>`0`.mapWith(Number) })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        gt(jobs.createdAt, dayAgo),
        sql`${jobs.type} in ('backup', 'ingest')`,
        notInArray(jobs.state, ["success", "warning", "failed", "cancelled"]),
      ),
    );
  return {
    count: clients?.count ?? 0,
    seen_today: clients?.seen_today ?? 0,
    incoming: { count: coming?.count ?? 0, bytes: coming?.bytes ?? 0 },
  };
}

function add(flows: Map<Tier, Flow>, tier: Tier, more: Flow): void {
  const before = flows.get(tier) ?? { count: 0, bytes: 0 };
  flows.set(tier, { count: before.count + more.count, bytes: before.bytes + more.bytes });
}
