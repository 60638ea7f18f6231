import type { Component, SystemStatus } from "@xvault/contracts";
import { TIERS } from "@xvault/contracts";
import { and, asc, eq, isNull, ne, sources, type TenantTx, workers } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { activeStorages } from "../storages/placement.ts";
import { DAY } from "./ages.ts";
import { countTiers } from "./buckets.ts";

/** A worker that was silent for longer counts as away, in milliseconds. */
const WORKER_SEEN_WITHIN = 60_000;

const nobody = { id: null, last_seen_at: null };

/** How the parts of xVault are that a workspace depends on. `queue`: whether it answered. */
export async function readStatus(
  tx: TenantTx,
  tenantId: TenantId,
  { now, queue, version }: { now: Date; queue: boolean; version: string | null },
): Promise<SystemStatus> {
  const components: Component[] = [
    { ...nobody, kind: "hub", name: "Hub", state: "ok", detail: version === null ? "Answers." : `Version ${version}.` },
    { ...nobody, kind: "database", name: "Database", state: "ok", detail: "Answers." },
    queue
      ? { ...nobody, kind: "queue", name: "Queue", state: "ok", detail: "Answers." }
      : { ...nobody, kind: "queue", name: "Queue", state: "down", detail: "Does not answer; jobs wait and are kept." },
    ...(await workerParts(tx, now)),
    ...(await storageParts(tx, tenantId)),
    ...(await clientParts(tx, tenantId, now)),
  ];
  const counted = await countTiers(tx, tenantId);
  const buckets = TIERS.map((tier) => {
    const { count = 0, bytes = 0 } = counted.get(tier) ?? {};
    return { tier, count, bytes };
  });
  return { state: worst(components), components, buckets };
}

/** A client that is silent is its own affair: what counts is what the installation itself is made of. */
function worst(components: readonly Component[]): SystemStatus["state"] {
  const parts = components.filter(({ kind }) => kind !== "client");
  const online = parts.some(({ kind, state }) => kind === "worker" && state === "ok");
  if (!online || parts.some(({ kind, state }) => kind !== "worker" && state === "down")) return "down";
  return parts.some(({ state }) => state === "down" || state === "warning") ? "warning" : "ok";
}

async function workerParts(tx: TenantTx, now: Date): Promise<Component[]> {
  const rows = await tx.select().from(workers).orderBy(asc(workers.name));
  return rows
    .filter(({ state }) => state !== "revoked")
    .map((row) => {
      const seen = row.lastSeenAt !== null && now.getTime() - row.lastSeenAt.getTime() <= WORKER_SEEN_WITHIN;
      const draining = row.state === "draining";
      return {
        kind: "worker",
        id: row.id,
        name: row.name,
        state: !seen ? "down" : draining ? "warning" : "ok",
        detail: !seen ? "Not heard of for over a minute." : draining ? "Takes no new jobs." : "Takes jobs.",
        last_seen_at: row.lastSeenAt?.toISOString() ?? null,
      };
    });
}

async function storageParts(tx: TenantTx, tenantId: TenantId): Promise<Component[]> {
  const rows = await activeStorages(tx, tenantId);
  return rows.map(({ storage: row }) => {
    const failed = (row.test ?? []).filter((check) => check["status"] === "failed");
    const tested = row.testedAt !== null;
    return {
      kind: "storage",
      id: row.id,
      name: row.name,
      state: failed.length > 0 ? "warning" : tested || row.kind === "local_fs" ? "ok" : "unknown",
      detail:
        failed.length > 0
          ? `Its last test found ${failed.length} ${failed.length === 1 ? "problem" : "problems"}. Tier: ${row.tier}.`
          : `Tier: ${row.tier}.`,
      last_seen_at: row.testedAt?.toISOString() ?? null,
    };
  });
}

async function clientParts(tx: TenantTx, tenantId: TenantId, now: Date): Promise<Component[]> {
  const rows = await tx
    .select()
    .from(sources)
    .where(and(eq(sources.tenantId, tenantId), isNull(sources.deletedAt), ne(sources.kind, "audit")))
    .orderBy(asc(sources.name))
    .limit(200);
  return rows.map((row) => {
    const silent = row.lastSeenAt === null || now.getTime() - row.lastSeenAt.getTime() > DAY;
    const paused = row.state === "paused";
    return {
      kind: "client",
      id: row.id,
      name: row.name,
      state: paused ? "warning" : row.lastSeenAt === null ? "unknown" : silent ? "warning" : "ok",
      detail: paused ? "Paused." : row.kind === "edge" ? "Sends by itself." : "Pulled from by workers.",
      last_seen_at: row.lastSeenAt?.toISOString() ?? null,
    };
  });
}
