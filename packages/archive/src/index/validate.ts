import { malformed } from "../failures.ts";
import { parseSeconds } from "../seconds.ts";
import type { IndexEntry } from "./entry.ts";

type Line = Record<string, unknown>;

const TYPES = new Set(["file", "dir", "symlink", "hardlink"]);
export const PROBLEMS: ReadonlySet<string> = new Set(["denied", "vanished", "changed", "unreadable", "name"]);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Checks by hand what a line of the index holds: with a million lines a schema library would take longer than all the rest. */
export function checkLine(line: Line): IndexEntry {
  const wrong = (field: string) => malformed(`an index entry's ${field} is not valid`);
  if (!TYPES.has(line["type"] as string)) throw wrong("type");
  for (const field of ["size", "uid", "gid", "offset", "body_offset", "body_bytes"]) {
    if (!isCount(line[field])) throw wrong(field);
  }
  for (const field of ["uname", "gname", "snapshot"]) {
    if (line[field] !== undefined && typeof line[field] !== "string") throw wrong(field);
  }
  if (!isPath(line)) throw wrong("path");
  if (line["snapshot"] !== undefined && line["type"] !== "file") throw wrong("snapshot");
  const links = line["type"] === "symlink" || line["type"] === "hardlink";
  if (links ? !isText(line, "link") : line["link"] !== undefined || line["link_b64"] !== undefined) throw wrong("link");
  if (typeof line["mode"] !== "string" || !/^[0-7]{4}$/.test(line["mode"])) throw wrong("mode");
  if (typeof line["mtime"] !== "string" || parseSeconds(line["mtime"]) === null) throw wrong("mtime");
  const sha256 = line["sha256"];
  if (sha256 !== undefined && (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256))) throw wrong("sha256");
  if (line["type"] === "file" && sha256 === undefined) throw wrong("sha256");
  if (line["problem"] !== undefined && !PROBLEMS.has(line["problem"] as string)) throw wrong("problem");
  checkContent(line, wrong);
  return line as unknown as IndexEntry;
}

/** The sizes of body and file agree with each other and with the data runs. */
function checkContent(line: Line, wrong: (field: string) => Error): void {
  const size = line["size"] as number;
  const bytes = line["body_bytes"] as number;
  if ((line["body_offset"] as number) < (line["offset"] as number)) throw wrong("body_offset");
  if (line["type"] !== "file" && (size !== 0 || bytes !== 0)) throw wrong("size");
  const sparse = line["sparse"];
  if (sparse === undefined) {
    if (bytes !== size) throw wrong("body_bytes");
    return;
  }
  if (!Array.isArray(sparse) || line["type"] !== "file") throw wrong("sparse");
  let reached = 0;
  let sum = 0;
  for (const run of sparse as unknown[]) {
    if (!Array.isArray(run) || run.length !== 2) throw wrong("sparse");
    const [offset, length] = run as unknown[];
    if (!isCount(offset) || !isCount(length) || offset < reached) throw wrong("sparse");
    reached = offset + length;
    sum += length;
  }
  if (reached > size || sum !== bytes) throw wrong("sparse");
}

/** Whether a line names a path, in one of the two ways. */
export function isPath(line: Line): boolean {
  return isText(line, "path") && line["path"] !== "";
}

/** Exactly one of `key` and `key_b64`, of the right form. */
function isText(line: Line, key: string): boolean {
  const plain = line[key];
  const base64 = line[`${key}_b64`];
  if (plain !== undefined) return typeof plain === "string" && base64 === undefined;
  return typeof base64 === "string" && base64 !== "" && BASE64.test(base64);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
