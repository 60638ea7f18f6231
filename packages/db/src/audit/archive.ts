import { createHash } from "node:crypto";
import { auditLineText } from "@xvault/contracts";
import type { TenantId } from "@xvault/kernel";
import { and, asc, desc, eq, exists, gt, gte, lte } from "drizzle-orm";
import type { TenantTx } from "../database.ts";
import { auditArchives, type AuditArchiveRow, auditLog, type AuditLogRow, copies, snapshots } from "../schema/index.ts";
import { contentOf } from "./entry.ts";
import { faultOf } from "./verify.ts";

/** Entries that one page of an archive has. */
const PAGE = 500;

/** Entries of a log that are to become one file: their numbers, what it is to hold, and how it hangs in the chain. */
export interface AuditPiece {
  fromSeq: number;
  throughSeq: number;
  prevHash: string;
  hash: string;
  firstAt: Date;
  lastAt: Date;
  sizeBytes: number;
  /** SHA-256 of the file, in hex. */
  checksum: string;
}

/**
 * The beginning of a log as far as it is older than a time, at most so many entries; null where its first entry is not, or there is none. One that is
 * young, by a clock that was wrong or not, keeps all after it.
 */
export async function oldAuditEntries(
  tx: TenantTx,
  tenantId: TenantId,
  before: Date,
  most: number,
): Promise<{ fromSeq: number; throughSeq: number; firstAt: Date } | null> {
  const mine = eq(auditLog.tenantId, tenantId);
  const ends = { seq: auditLog.seq, at: auditLog.at };
  const [first] = await tx.select(ends).from(auditLog).where(mine).orderBy(asc(auditLog.seq)).limit(1);
  if (!first || first.at >= before) return null;
  const within = lte(auditLog.seq, first.seq + most - 1);
  const young = and(mine, within, gte(auditLog.at, before));
  const [stays] = await tx
    .select({ seq: auditLog.seq })
    .from(auditLog)
    .where(young)
    .orderBy(asc(auditLog.seq))
    .limit(1);
  if (stays) return { fromSeq: first.seq, throughSeq: stays.seq - 1, firstAt: first.at };
  const [last] = await tx.select(ends).from(auditLog).where(and(mine, within)).orderBy(desc(auditLog.seq)).limit(1);
  return { fromSeq: first.seq, throughSeq: last?.seq ?? first.seq, firstAt: first.at };
}

/** A page of the file that some entries become: its lines, and after which number the next page begins; null at the end. */
export async function auditPage(
  tx: TenantTx,
  tenantId: TenantId,
  afterSeq: number,
  throughSeq: number,
): Promise<{ rows: AuditLogRow[]; lines: string; nextAfter: number | null }> {
  const rows = await tx
    .select()
    .from(auditLog)
    .where(and(eq(auditLog.tenantId, tenantId), gt(auditLog.seq, afterSeq), lte(auditLog.seq, throughSeq)))
    .orderBy(asc(auditLog.seq))
    .limit(PAGE);
  const last = rows.at(-1);
  const nextAfter = last && rows.length === PAGE && last.seq < throughSeq ? last.seq : null;
  return { rows, lines: rows.map(lineOf).join(""), nextAfter };
}

function lineOf(row: AuditLogRow): string {
  return auditLineText({ ...contentOf(row), prev_hash: row.prevHash, hash: row.hash });
}

/**
 * Walks some entries page by page, with a page in memory: whether they are a whole chain, and what the file is that they become.
 *
 * @returns the number of the first entry that is missing or not what was written, in `brokenAt`, or the piece
 */
export async function weighAuditPiece(
  tx: TenantTx,
  tenantId: TenantId,
  fromSeq: number,
  throughSeq: number,
): Promise<AuditPiece | { brokenAt: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let first: AuditLogRow | undefined;
  let last: AuditLogRow | undefined;
  for (let after: number | null = fromSeq - 1; after !== null;) {
    const page = await auditPage(tx, tenantId, after, throughSeq);
    for (const row of page.rows) {
      first ??= row;
      const before = last ? { seq: last.seq, hash: last.hash } : { seq: fromSeq - 1, hash: first.prevHash };
      if (faultOf(row, before, undefined)) return { brokenAt: before.seq + 1 };
      last = row;
    }
    hash.update(page.lines);
    sizeBytes += Buffer.byteLength(page.lines);
    after = page.nextAfter;
  }
  if (!first || last?.seq !== throughSeq) return { brokenAt: (last?.seq ?? fromSeq - 1) + 1 };
  return {
    fromSeq,
    throughSeq,
    prevHash: first.prevHash,
    hash: last.hash,
    firstAt: first.at,
    lastAt: last.at,
    sizeBytes,
    checksum: hash.digest("hex"),
  };
}

/** The archive that holds the log's first entries and is there: its snapshot is complete, and has a whole copy. Null where there is none. */
export async function archiveOfBeginning(tx: TenantTx, tenantId: TenantId): Promise<AuditArchiveRow | null> {
  const mine = eq(auditLog.tenantId, tenantId);
  const [first] = await tx.select({ seq: auditLog.seq }).from(auditLog).where(mine).orderBy(asc(auditLog.seq)).limit(1);
  if (!first) return null;
  const whole = tx
    .select({ id: copies.id })
    .from(copies)
    .where(and(eq(copies.tenantId, tenantId), eq(copies.snapshotId, snapshots.id), eq(copies.state, "complete")));
  const [found] = await tx
    .select({ archive: auditArchives })
    .from(auditArchives)
    .innerJoin(
      snapshots,
      and(eq(snapshots.tenantId, auditArchives.tenantId), eq(snapshots.id, auditArchives.snapshotId)),
    )
    .where(
      and(
        eq(auditArchives.tenantId, tenantId),
        lte(auditArchives.fromSeq, first.seq),
        gte(auditArchives.throughSeq, first.seq),
        eq(snapshots.state, "complete"),
        exists(whole),
      ),
    )
    .orderBy(desc(auditArchives.throughSeq))
    .limit(1);
  return found?.archive ?? null;
}
