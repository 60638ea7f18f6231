import { type VerificationStatus, restoreProofSchema } from "@xvault/contracts";
import { and, copies, desc, eq, inArray, isNull, proofs, snapshots, sources, type TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import { readSettings } from "../retention/settings.ts";
import { keyHolders } from "../snapshots/dto.ts";
import { copiesOf, isReadable } from "../storages/copies.ts";
import { nextDrill } from "./drills.ts";
import { nextCheck } from "./due.ts";
import { verificationPolicy } from "./policy.ts";

/** A check that is due for longer did not come. Milliseconds. */
const OVERDUE_AFTER = 24 * 60 * 60_000;

/** Where a workspace's verification stands. */
export async function verificationStatus(tx: TenantTx, tenantId: TenantId, now: Date): Promise<VerificationStatus> {
  const policy = await verificationPolicy(tx, tenantId);
  const rows = await tx
    .select({ copy: copies })
    .from(copies)
    .innerJoin(snapshots, and(eq(snapshots.tenantId, copies.tenantId), eq(snapshots.id, copies.snapshotId)))
    .where(
      and(
        eq(copies.tenantId, tenantId),
        inArray(copies.state, ["complete", "corrupt", "missing"]),
        eq(snapshots.state, "complete"),
      ),
    );
  const dues = rows.map(({ copy }) => nextCheck(copy, policy, now)?.at.getTime() ?? Infinity);
  const seen = rows.map(({ copy }) => (copy.checkedAt ?? copy.createdAt).getTime());
  return {
    policy,
    copies: rows.length,
    damaged: rows.filter(({ copy }) => copy.state !== "complete").length,
    overdue: dues.filter((at) => at < now.getTime() - OVERDUE_AFTER).length,
    oldest_check_at: seen.length > 0 ? new Date(Math.min(...seen)).toISOString() : null,
    sources: await sourcesOf(tx, tenantId, policy, now),
  };
}

async function sourcesOf(
  tx: TenantTx,
  tenantId: TenantId,
  policy: VerificationStatus["policy"],
  now: Date,
): Promise<VerificationStatus["sources"]> {
  const holders = await keyHolders(tx, tenantId);
  const newest = await tx
    .selectDistinctOn([snapshots.sourceId], { snapshot: snapshots, name: sources.name })
    .from(snapshots)
    .innerJoin(sources, and(eq(sources.tenantId, snapshots.tenantId), eq(sources.id, snapshots.sourceId)))
    .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.state, "complete"), isNull(sources.deletedAt)))
    .orderBy(snapshots.sourceId, desc(snapshots.sequence));
  const drills = await tx
    .selectDistinctOn([proofs.sourceId])
    .from(proofs)
    .where(eq(proofs.tenantId, tenantId))
    .orderBy(proofs.sourceId, desc(proofs.createdAt));
  const { objectives } = await readSettings(tx, tenantId);
  const ids = newest.map(({ snapshot }) => snapshot.id);
  const readable = (await copiesOf(tx, tenantId, ids)).filter(isReadable);
  const shown: VerificationStatus["sources"] = [];
  for (const { snapshot, name } of newest) {
    const proof = drills.find((one) => one.sourceId === snapshot.sourceId);
    const first = readable.find(({ copy }) => copy.snapshotId === snapshot.id);
    const next = await nextDrill(tx, tenantId, snapshot.sourceId, policy, now);
    shown.push({
      source_id: snapshot.sourceId,
      source_name: name,
      objective_seconds: first ? objectives[first.storage.tier].rto_seconds : null,
      key_holder: snapshot.keyFingerprints.some((key) => holders.get(key) === "platform") ? "platform" : "customer",
      newest_snapshot_id: snapshot.id,
      plain_bytes: snapshot.plainBytes ?? 0,
      drill: proof ? drillOf(proof, snapshot.plainBytes ?? 0) : null,
      due_at: next?.at.toISOString() ?? null,
    });
  }
  return shown.toSorted((a, b) => a.source_name.localeCompare(b.source_name));
}

function drillOf(
  row: typeof proofs.$inferSelect,
  plainBytes: number,
): NonNullable<VerificationStatus["sources"][number]["drill"]> {
  const { seconds, restored } = restoreProofSchema.parse(row.statement);
  const rate = seconds > 0 ? restored.bytes / seconds : 0;
  return {
    proof_id: row.id,
    passed: row.passed,
    at: row.createdAt.toISOString(),
    seconds,
    all_seconds: row.passed && rate > 0 ? Math.ceil(plainBytes / rate) : null,
  };
}
