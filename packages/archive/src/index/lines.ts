import { readThrough, XVaultError, type ByteReader } from "@xvault/kernel";
import { malformed, truncated } from "../failures.ts";
import type { IndexEntry } from "./entry.ts";
import { type IndexNote, noteKey, readNotes } from "./notes.ts";
import { checkLine } from "./validate.ts";

/** Version of the index's format. */
const FORMAT = 1;
const KIND = "xvault-index";
const END = "xvault-index-end";

/** A line longer than this is malformed: lines are held in memory. Room for the largest sparse map. Bytes. */
const MAX_LINE = 16 * 1024 * 1024;
const STEP = 1024 * 1024;

/** What the last line counts. */
export interface IndexTotals {
  entries: number;
  files: number;
  dirs: number;
  /** Symbolic and hard links. */
  links: number;
  /** Sum of the files' sizes, holes included. */
  logical_bytes: number;
  /** Entries whose content is not wholly what lay on the source, and paths that have none. */
  problems: number;
}

/** The first line of an index. */
export function indexHead(): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, kind: KIND })}\n`);
}

export function indexLine(entry: IndexEntry): Buffer {
  return Buffer.from(`${JSON.stringify(entry)}\n`);
}

/** The last line: without it the index is truncated. */
export function indexTail(totals: IndexTotals, noted: readonly IndexNote[] = []): Buffer {
  return Buffer.from(`${JSON.stringify({ kind: END, ...totals, ...(noted.length > 0 ? { noted } : {}) })}\n`);
}

/**
 * Streams the entries of an index (JSON Lines: a head, one entry a line, a tail with the counts and the notes) in constant memory. What is
 * noted of an entry stands in it as its problem.
 *
 * @throws ARCHIVE_MALFORMED, ARCHIVE_TRUNCATED without its last line, TRAILING_DATA behind it; where the counts are wrong,
 * ARCHIVE_MALFORMED after the last entry.
 */
export async function* readIndex(plain: ByteReader): AsyncGenerator<IndexEntry, void, undefined> {
  const noted = await readNotes(plain);
  let first = true;
  let entries = 0;
  let ended = false;
  for await (const lines of linesOf(plain)) {
    for (const text of lines) {
      if (ended) throw new XVaultError("TRAILING_DATA");
      const line = parse(text);
      if (first) {
        checkHead(line);
        first = false;
      } else if (line["kind"] === END) {
        if (line["entries"] !== entries) throw malformed("the index does not have the entries that it counts");
        ended = true;
      } else {
        entries += 1;
        const entry = checkLine(line);
        const problem = noted.size > 0 ? noted.get(noteKey(entry)) : undefined;
        if (problem !== undefined) entry.problem ??= problem;
        yield entry;
      }
    }
  }
  if (!ended) throw truncated("the last line of the index is missing");
}

/** The lines of each piece read, without their newlines. */
async function* linesOf(plain: ByteReader): AsyncGenerator<Buffer[], void, undefined> {
  let partial: Buffer[] = [];
  let held = 0;
  for await (const piece of readThrough(plain, 0, plain.size, STEP)) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, start)) {
      const rest = piece.subarray(start, end);
      lines.push(partial.length === 0 ? rest : Buffer.concat([...partial, rest]));
      partial = [];
      held = 0;
      start = end + 1;
    }
    if (start < piece.length) {
      partial.push(piece.subarray(start));
      held += piece.length - start;
    }
    if (held > MAX_LINE) throw malformed("a line of the index is too long");
    yield lines;
  }
  if (partial.length > 0) throw truncated("the index ends within a line");
}

function parse(text: Buffer): Record<string, unknown> {
  let line: unknown;
  try {
    line = JSON.parse(text.toString("utf8"));
  } catch (error) {
    throw malformed("a line of the index is not JSON", error);
  }
  if (typeof line !== "object" || line === null || Array.isArray(line))
    throw malformed("a line of the index is no object");
  return line as Record<string, unknown>;
}

function checkHead(line: Record<string, unknown>): void {
  if (line["kind"] !== KIND) throw malformed("it is not an index");
  if (line["format"] !== FORMAT) {
    throw new XVaultError(
      "ARCHIVE_MALFORMED",
      `The index has format ${String(line["format"]).slice(0, 20)}, which this version does not know.`,
      {
        fix: "Use a newer version of xVault.",
      },
    );
  }
}
