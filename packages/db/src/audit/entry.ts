import { createHash } from "node:crypto";
import { type AuditContent, auditText } from "@xvault/contracts";
import type { Json } from "@xvault/kernel";
import type { AuditLogRow } from "../schema/index.ts";

export type AuditEntryRow = Omit<AuditLogRow, "prevHash" | "hash">;

/**
 * The hash of an entry, in hex: SHA-256 over the 32 bytes of the hash before it and the canonical JSON (RFC 8785) of all that the entry
 * says, its workspace and number included.
 */
export function entryHash(prevHash: string, entry: AuditEntryRow): string {
  return createHash("sha256")
    .update(Buffer.from(prevHash, "hex"))
    .update(auditText(contentOf(entry)))
    .digest("hex");
}

/** What an entry says, as its hash covers it. */
export function contentOf(entry: AuditEntryRow): AuditContent {
  return {
    v: 1,
    tenant_id: entry.tenantId,
    seq: entry.seq,
    at: entry.at.toISOString(),
    actor: { kind: entry.actorKind, id: entry.actorId, label: entry.actorLabel },
    action: entry.action,
    target: { kind: entry.targetKind, id: entry.targetId },
    data: entry.data as AuditContent["data"],
    request_id: entry.requestId,
  };
}

/**
 * Text as PostgreSQL can keep it: no NUL, no half of a surrogate pair (both become U+FFFD). Odd names on a customer's server must not
 * keep an action from being written down.
 */
export function storable<T extends Json | undefined>(value: T): T;
export function storable(value: Json | undefined): Json | undefined {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", "\u{fffd}");
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item: Json) => storable(item));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [storable(key), storable(item)]),
  );
}
