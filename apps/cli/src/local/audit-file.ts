import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { auditFileNumbers } from "@xvault/contracts";
import type { createAuditWalk } from "@xvault/crypto";
import { XVaultError } from "@xvault/kernel";

/** The longest line that is read, in bytes. */
const LONGEST = 64 * 1024 * 1024;

/**
 * Walks one archived piece of an audit log, line by line. A name as archives have it says which entries there are to be, so that a file whose end is
 * cut off is found out.
 *
 * @throws AUDIT_CHAIN_BROKEN; NOT_FOUND where there is no such file
 */
export async function walkAuditFile(walk: ReturnType<typeof createAuditWalk>, file: string): Promise<void> {
  const before = walk.walked()?.last.seq;
  try {
    for await (const line of linesOf(file)) walk.take(line);
  } catch (error) {
    if (isMissing(error)) throw new XVaultError("NOT_FOUND", `There is no file ${file}.`, { cause: error });
    throw error;
  }
  const walked = walk.walked();
  if (!walked || walked.last.seq === before) throw notWhole(file, "It holds no entry.");
  const named = auditFileNumbers(basename(file));
  if (!named) return;
  const first = before === undefined ? walked.first.seq : before + 1;
  if (named.from !== first) throw notWhole(file, `It begins with entry ${first}, and is named for ${named.from}.`);
  if (named.through !== walked.last.seq) {
    throw notWhole(file, `It ends with entry ${walked.last.seq}, and is named for ${named.through}.`);
  }
}

/** Nothing but a line feed ends a line: texts may hold what other readers take for an end. */
async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
      yield bytes.toString("utf8", 0, end);
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > LONGEST) throw notWhole(file, "It is no archive of an audit log.");
    rest = bytes;
  }
  if (rest.length > 0) throw notWhole(file, "Its last line is cut off.");
}

function notWhole(file: string, why: string): XVaultError {
  return new XVaultError("AUDIT_CHAIN_BROKEN", `${file} is not whole. ${why}`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
