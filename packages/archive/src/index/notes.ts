import { isUtf8 } from "node:buffer";
import { type ByteReader, type PathProblem, readThrough } from "@xvault/kernel";
import { malformed } from "../failures.ts";
import { type IndexEntry, indexPath } from "./entry.ts";
import { isPath, PROBLEMS } from "./validate.ts";

/**
 * What was found out about an entry after its own line was written, or about a path that has none: it could not be read, or was gone. The
 * source often tells late: tar of a file that changed, once the file is through; a second look at it, once all of them are.
 */
export interface IndexNote {
  /** As an entry's: exactly one of the two, without a leading '/'. */
  path?: string;
  path_b64?: string;
  problem: PathProblem["kind"];
}

/** They are held until the index ends, and stand in its last line. Bytes. */
const MOST = 4 * 1024 * 1024;

/** Gathers notes; what is more than the last line takes is left out, and counted all the same. */
export class Notes {
  readonly #notes: IndexNote[] = [];
  #bytes = 0;

  add({ path, kind: problem }: Pick<PathProblem, "path" | "kind">): void {
    const bare = path[0] === 0x2f ? path.subarray(1) : path;
    if (bare.length === 0) return;
    const note: IndexNote = isUtf8(bare)
      ? { path: bare.toString("utf8"), problem }
      : { path_b64: bare.toString("base64"), problem };
    this.#bytes += JSON.stringify(note).length + 1;
    if (this.#bytes <= MOST) this.#notes.push(note);
  }

  list(): readonly IndexNote[] {
    return this.#notes;
  }
}

/** What is noted of paths, by {@link noteKey}. */
export type NotedProblems = ReadonlyMap<string, PathProblem["kind"]>;

export function noteKey(line: { path?: unknown; path_b64?: unknown }): string {
  return indexPath(line as Pick<IndexEntry, "path" | "path_b64">).toString("latin1");
}

/**
 * Reads the notes of an index before its entries: its end is asked for first. None where the last line is not there or not whole, which
 * reading the index tells.
 *
 * @throws ARCHIVE_MALFORMED
 */
export async function readNotes(plain: ByteReader): Promise<NotedProblems> {
  const found = new Map<string, PathProblem["kind"]>();
  const noted = (await lastLine(plain))?.["noted"];
  if (noted === undefined) return found;
  if (!Array.isArray(noted)) throw malformed("the notes of the index are no list");
  for (const note of noted as unknown[]) {
    if (typeof note !== "object" || note === null) throw malformed("a note of the index is no object");
    const line = note as Record<string, unknown>;
    if (!isPath(line) || !PROBLEMS.has(line["problem"] as string)) throw malformed("a note of the index is not valid");
    found.set(noteKey(line), line["problem"] as PathProblem["kind"]);
  }
  return found;
}

/** The last line is looked for in so much of the end first: without notes it is short. Bytes. */
const FIRST_LOOK = 64 * 1024;
const LONGEST = 16 * 1024 * 1024;
const STEP = 1024 * 1024;

async function lastLine(plain: ByteReader): Promise<Record<string, unknown> | null> {
  for (let reach = FIRST_LOOK; reach <= LONGEST; reach *= 16) {
    const start = Math.max(0, plain.size - reach);
    const pieces: Buffer[] = [];
    for await (const piece of readThrough(plain, start, plain.size, STEP)) pieces.push(Buffer.from(piece));
    const bytes = Buffer.concat(pieces);
    if (bytes.length < 2 || bytes.at(-1) !== 10) return null;
    const before = bytes.lastIndexOf(10, bytes.length - 2);
    if (before >= 0) return parsed(bytes.subarray(before + 1));
    if (start === 0) return null;
  }
  return null;
}

function parsed(text: Buffer): Record<string, unknown> | null {
  try {
    const line: unknown = JSON.parse(text.toString("utf8"));
    return typeof line === "object" && line !== null ? (line as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
