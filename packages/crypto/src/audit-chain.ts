import {
  AUDIT_GENESIS,
  type AuditContent,
  auditLineSchema,
  auditLineText,
  auditText,
  type AuditLine,
} from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";

/** How far a chain was walked: its first entry with the hash that it follows, and its last. */
export interface AuditWalked {
  entries: number;
  tenantId: string;
  first: { seq: number; at: string; prevHash: string };
  last: { seq: number; at: string; hash: string };
}

export interface AuditWalk {
  /** Takes the next line, without its end. @throws AUDIT_CHAIN_BROKEN, which names the line's number */
  take(line: string): void;
  /** What was walked; null before the first line. */
  walked(): AuditWalked | null;
}

/** Walks archived entries of an audit log, line by line, also from one file into the next. Holds one line in memory. */
export function createAuditWalk(): AuditWalk {
  let walked: AuditWalked | null = null;
  let number = 0;
  return {
    take(text) {
      number += 1;
      const line = readLine(text, number);
      const { prev_hash: prevHash, hash, ...content } = line;
      const { seq, at, tenant_id: tenantId } = content;
      if (walked && tenantId !== walked.tenantId) throw broken(number, "it belongs to another workspace's log");
      if (walked && seq !== walked.last.seq + 1) {
        throw broken(number, `entry ${walked.last.seq + 1} is missing: entry ${seq} follows entry ${walked.last.seq}`);
      }
      if (walked ? prevHash !== walked.last.hash : seq === 1 && prevHash !== AUDIT_GENESIS) {
        throw broken(number, `entry ${seq} does not follow the one before it`);
      }
      if (hashOf(prevHash, content) !== hash) throw broken(number, `entry ${seq} is not what was written`);
      walked = {
        entries: (walked?.entries ?? 0) + 1,
        tenantId,
        first: walked?.first ?? { seq, at, prevHash },
        last: { seq, at, hash },
      };
    },
    walked: () => walked,
  };
}

/** SHA-256 over the hash before an entry and the entry's text, in hex. */
function hashOf(prevHash: string, content: AuditContent): string {
  return createHash("sha256").update(Buffer.from(prevHash, "hex")).update(auditText(content)).digest("hex");
}

/** Another text that means the same is refused too, so that not one byte of a file can be another unnoticed. */
function readLine(text: string, number: number): AuditLine {
  let line: AuditLine;
  try {
    line = auditLineSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw broken(number, "it is no whole entry of an audit log", cause);
  }
  if (auditLineText(line) !== `${text}\n`) throw broken(number, "it is not in the form in which entries are written");
  return line;
}

function broken(number: number, why: string, cause?: unknown): XVaultError {
  return new XVaultError("AUDIT_CHAIN_BROKEN", `Line ${number}: ${why}.`, {
    data: { line: number },
    ...(cause === undefined ? {} : { cause }),
  });
}
