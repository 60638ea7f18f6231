import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type IndexEntry, logicalBytes } from "@xvault/archive";
import { bodyLength, type FileEntry } from "@xvault/kernel";

/** An entry of a corpus snapshot and its body: what `bodyLength` counts. */
export interface Item {
  entry: FileEntry;
  body: Buffer;
  /** The index's own word that the content is not wholly what lay on the source. */
  problem?: "changed" | "denied";
  /** Where `problem` is set: the bytes that the source gives before it fails. */
  given?: Buffer;
  /** Id of the earlier snapshot that holds the bytes; else they are packed. */
  from?: string;
}

/** What a restored entry must be: the words of the index, without its places in the tar. */
export type Expected = Omit<IndexEntry, "offset" | "body_offset" | "body_bytes">;

/** `expected/{name}.json`: a snapshot of the corpus, written down from what went in, not from what came out. */
export interface ExpectedSnapshot {
  about: string;
  /** Where its objects lie, below the corpus version's folder. */
  snapshot: string;
  /** The files that hold the identities that open it; each does alone. */
  identities: string[];
  /** False where no file system takes its names or times: it is read, not written to a disk. */
  on_disk: boolean;
  entries: Expected[];
}

export type Facts = Partial<Omit<FileEntry, "path" | "type" | "mtimeNs">> & { mtime?: bigint };

/** 2024-02-29 12:34:56.123456 UTC. */
const MTIME = 1_709_210_096_123_456_000n;

function item(type: FileEntry["type"], path: string | Buffer, facts: Facts, body: Buffer = Buffer.alloc(0)): Item {
  const { mtime = MTIME, ...more } = facts;
  return {
    entry: {
      path: Buffer.from(path),
      type,
      size: type === "file" ? body.length : 0,
      mode: type === "dir" ? 0o755 : 0o644,
      uid: 1000,
      gid: 1000,
      mtimeNs: mtime,
      ...more,
    },
    body,
  };
}

export function file(path: string | Buffer, content: string | Buffer, facts: Facts = {}): Item {
  return item("file", path, facts, Buffer.from(content));
}

export function dir(path: string | Buffer, facts: Facts = {}): Item {
  return item("dir", path, facts);
}

export function symlink(path: string | Buffer, target: string | Buffer, facts: Facts = {}): Item {
  return item("symlink", path, { mode: 0o777, linkTarget: Buffer.from(target), ...facts });
}

export function hardlink(path: string | Buffer, target: string | Buffer, facts: Facts = {}): Item {
  return item("hardlink", path, { linkTarget: Buffer.from(target), ...facts });
}

/** A file of `size` bytes that has data at the given places and holes between them. */
export function sparse(path: string, size: number, runs: [offset: number, data: Buffer][], facts: Facts = {}): Item {
  const body = Buffer.concat(runs.map(([, data]) => data));
  const places = runs.map(([offset, data]) => ({ offset, length: data.length }));
  return item("file", path, { ...facts, size, sparse: places }, body);
}

/** A file whose source fails, or ends early, after `given`: zeros stand for the rest. */
export function troubled(path: string, size: number, given: Buffer, problem: "changed" | "denied"): Item {
  const body = Buffer.concat([given, Buffer.alloc(size - given.length)]);
  return { ...item("file", path, {}, body), given, problem };
}

/** What the index must say of an item and a restore must give back. */
export async function expectedOf({ entry, body, problem, from }: Item): Promise<Expected> {
  const exact = (bytes: Buffer) => Buffer.from(bytes.toString("utf8")).equals(bytes);
  const link = entry.linkTarget;
  return {
    ...(exact(entry.path) ? { path: entry.path.toString() } : { path_b64: entry.path.toString("base64") }),
    type: entry.type,
    size: entry.size,
    mode: entry.mode.toString(8).padStart(4, "0"),
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.uname ? { uname: entry.uname } : {}),
    ...(entry.gname ? { gname: entry.gname } : {}),
    mtime: secondsOf(entry.mtimeNs),
    ...(link && (exact(link) ? { link: link.toString() } : { link_b64: link.toString("base64") })),
    ...(entry.type === "file" ? { sha256: await sha256Of(entry, body) } : {}),
    ...(entry.sparse ? { sparse: entry.sparse.map(({ offset, length }): [number, number] => [offset, length]) } : {}),
    ...(from ? { snapshot: from } : {}),
    ...(problem ? { problem } : {}),
  };
}

async function sha256Of(entry: FileEntry, body: Buffer): Promise<string> {
  if (bodyLength(entry) !== body.length) throw new Error(`the body of '${entry.path.toString()}' has another length`);
  const hash = createHash("sha256");
  const whole = (async function* () {
    yield body;
  })();
  for await (const piece of logicalBytes(entry, whole)) hash.update(piece);
  return hash.digest("hex");
}

/** Nanoseconds as decimal seconds, without zeros at the end. */
export function secondsOf(ns: bigint): string {
  const digits = (ns < 0n ? -ns : ns).toString().padStart(10, "0");
  const fraction = digits.slice(-9).replace(/0+$/, "");
  return `${ns < 0n ? "-" : ""}${digits.slice(0, -9)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Writes `expected/{name}.json`, one entry a line: short to store, and fit to be compared. */
export function writeExpected(path: string, head: Omit<ExpectedSnapshot, "entries">, entries: Expected[]): void {
  const lines = entries.map((entry) => `\n  ${JSON.stringify(entry)}`).join(",");
  const text = JSON.stringify({ ...head, entries: [] }, null, 1).replace("[]\n}", () => `[${lines}]\n}`);
  writeFileSync(path, `${text}\n`);
}

/** Writes `SHA256SUMS` of everything below a folder; gives its own hash, the seal of a corpus version. */
export function writeSums(folder: string): string {
  const sums = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath, found.name))
    .sort()
    .map((path) => {
      const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
      return `${hash}  ${path.slice(folder.length + 1)}\n`;
    })
    .join("");
  writeFileSync(join(folder, "SHA256SUMS"), sums);
  return createHash("sha256").update(sums).digest("hex");
}
