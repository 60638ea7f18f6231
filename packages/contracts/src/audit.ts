import { canonicalJson } from "@xvault/kernel";
import { z } from "zod";
import { idSchema, pageSchema, timeSchema } from "./common.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** What an entry of the audit log says: the fields that its hash covers. */
const auditContentSchema = z.strictObject({
  v: z.literal(1),
  tenant_id: idSchema,
  seq: z.number().int().min(1),
  at: z.iso.datetime(),
  actor: z.strictObject({ kind: z.string(), id: z.string().nullable(), label: z.string() }),
  action: z.string(),
  target: z.strictObject({ kind: z.string().nullable(), id: z.string().nullable() }),
  data: z.record(z.string(), z.json()),
  request_id: z.string().nullable(),
});
export type AuditContent = z.infer<typeof auditContentSchema>;

/** A line of an archived audit log: an entry, the hash before it and its own. */
export const auditLineSchema = auditContentSchema.extend({ prev_hash: hash, hash });
export type AuditLine = z.infer<typeof auditLineSchema>;

/** What the first entry of a chain follows. */
export const AUDIT_GENESIS = "0".repeat(64);

/** The text that an entry's hash is over, after the 32 bytes of the hash before it: canonical JSON (RFC 8785), as UTF-8. */
export function auditText(content: AuditContent): string {
  return canonicalJson(content);
}

/** The one form of an entry in an archive: canonical JSON, and the end of the line. */
export function auditLineText(line: AuditLine): string {
  return `${canonicalJson(line)}\n`;
}

/** By what name an archive lies in its snapshot. The numbers are those of its first and last entry. */
export function auditFileName(from: number, through: number): string {
  return `audit-${String(from).padStart(12, "0")}-${String(through).padStart(12, "0")}.jsonl`;
}

/** The numbers in such a name; null where it is another. */
export function auditFileNumbers(name: string): { from: number; through: number } | null {
  const found = /^audit-(\d{12,16})-(\d{12,16})\.jsonl$/.exec(name);
  return found ? { from: Number(found[1]), through: Number(found[2]) } : null;
}

/** Entries that are kept as a package of their own, and are or will be gone from the database. */
export const auditArchiveSchema = z.object({
  package_id: idSchema,
  snapshot_id: idSchema,
  source_id: idSchema,
  from_seq: z.number().int(),
  through_seq: z.number().int(),
  /** The hash before its first entry, and that of its last. */
  prev_hash: z.string(),
  hash: z.string(),
  first_at: timeSchema,
  last_at: timeSchema,
  archived_at: timeSchema,
  /** Whether the package is there; 'ended' where the rules of retention have ended it. */
  state: z.enum(["kept", "ended", "lost"]),
});
export type AuditArchive = z.infer<typeof auditArchiveSchema>;

export const auditArchivesSchema = pageSchema(auditArchiveSchema).extend({
  /** The first entry that is in the database, and the hash that it follows; null for an empty log. */
  begins: z.object({ seq: z.number().int(), at: timeSchema, prev_hash: z.string() }).nullable(),
});
export type AuditArchives = z.infer<typeof auditArchivesSchema>;
