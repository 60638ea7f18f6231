import { createHash } from "node:crypto";
import {
  type BigIntStats,
  chmodSync,
  lstatSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { type Expected } from "./entries.ts";
import { keyOf } from "./support.ts";

const SLASH = Buffer.from("/");
const asRoot = process.getuid?.() === 0;

/** How far a reader is expected to go. */
export interface Faith {
  /** Owners are set where the test runs as root. Default true. */
  owners?: boolean;
  /** Times closer than this count as the same. Nanoseconds. Default 0: what the file system keeps of a time as Node sets it. */
  withinNs?: bigint;
}

/** In what a restored tree differs from what it should be, in words; nothing when it is the same. `probe` is a place for a scratch file. */
export function differencesOnDisk(root: string, entries: Expected[], probe: string, faith: Faith = {}): string[] {
  const said: string[] = [];
  const wanted = new Map(entries.map((entry) => [keyOf(entry), entry]));
  const found = walk(Buffer.from(root));
  // The way to the first path of a source is not part of the snapshot, but has to be there.
  const isOnTheWay = (path: string) => [...wanted.keys()].some((one) => one.startsWith(`${path}/`));
  for (const path of found.keys()) {
    if (!wanted.has(path) && !isOnTheWay(path)) said.push(`${show(path)} is not of the snapshot`);
  }
  for (const [path, entry] of wanted) {
    const stats = found.get(path);
    if (!stats) {
      said.push(`${show(path)} is missing`);
      continue;
    }
    for (const what of compare(fullPath(root, path), stats, entry, wanted, found, probe, faith)) {
      said.push(`${show(path)}: ${what}`);
    }
  }
  return said;
}

function* compare(
  full: Buffer,
  stats: BigIntStats,
  entry: Expected,
  wanted: Map<string, Expected>,
  found: Map<string, BigIntStats>,
  probe: string,
  faith: Faith,
): Generator<string> {
  if (entry.type === "hardlink") {
    const target = keyOf(linkAsPath(entry));
    // A link to a symbolic link may come back as a second one: Linux does not say that it follows none.
    if (wanted.get(target)?.type === "symlink") {
      if (!stats.isSymbolicLink()) yield "is no symbolic link";
    } else if (found.get(target)?.ino !== stats.ino) yield "is not linked to its target";
    return;
  }
  const kind = stats.isDirectory() ? "dir" : stats.isSymbolicLink() ? "symlink" : stats.isFile() ? "file" : "other";
  if (kind !== entry.type) {
    yield `is a ${kind} instead of a ${entry.type}`;
    return;
  }
  if (kind === "symlink") {
    const target = readlinkSync(full, { encoding: "buffer" });
    if (!target.equals(linkBytes(entry))) yield `leads to ${target.toString()}`;
  } else {
    const mode = (Number(stats.mode) & 0o7777).toString(8).padStart(4, "0");
    if (mode !== modeHere(entry)) yield `has mode ${mode} instead of ${modeHere(entry)}`;
  }
  if (asRoot && faith.owners !== false && (Number(stats.uid) !== entry.uid || Number(stats.gid) !== entry.gid)) {
    yield `belongs to ${stats.uid}:${stats.gid} instead of ${entry.uid}:${entry.gid}`;
  }
  const apart = stats.mtimeNs - keptTime(entry.mtime, probe);
  const within = faith.withinNs ?? 0n;
  if (apart > within || apart < -within) yield `has the time ${stats.mtimeNs} instead of ${entry.mtime}`;
  if (kind !== "file") return;
  if (stats.size !== BigInt(entry.size)) yield `has ${stats.size} bytes instead of ${entry.size}`;
  // A mode may keep its own owner from reading.
  if (!asRoot) chmodSync(full, 0o400);
  const content = createHash("sha256").update(readFileSync(full)).digest("hex");
  if (!asRoot) chmodSync(full, Number(stats.mode) & 0o7777);
  if (content !== entry.sha256) yield "has another content";
  if (entry.sparse && stats.blocks * 512n > entry.size / 2) yield "has its holes filled";
}

/** Set-id bits stay away from files whose owner is not set. */
function modeHere(entry: Expected): string {
  if (asRoot || entry.type !== "file") return entry.mode;
  let mode = Number.parseInt(entry.mode, 8);
  if (entry.uid !== process.getuid?.()) mode &= ~0o4000;
  if (entry.gid !== process.getgid?.()) mode &= ~0o2000;
  return mode.toString(8).padStart(4, "0");
}

/** What this file system keeps of a time: some know nothing before 1901 or after 2446. */
function keptTime(seconds: string, probe: string): bigint {
  writeFileSync(probe, "");
  lutimesSync(probe, "0", seconds);
  return lstatSync(probe, { bigint: true }).mtimeNs;
}

function linkBytes(entry: Expected): Buffer {
  return entry.link !== undefined ? Buffer.from(entry.link) : Buffer.from(entry.link_b64 ?? "", "base64");
}

function linkAsPath(entry: Expected): Pick<Expected, "path" | "path_b64"> {
  return entry.link !== undefined ? { path: entry.link } : { path_b64: entry.link_b64 ?? "" };
}

function walk(root: Buffer): Map<string, BigIntStats> {
  const found = new Map<string, BigIntStats>();
  const visit = (directory: Buffer, prefix: string) => {
    for (const name of readdirSync(directory, { encoding: "buffer" })) {
      const path = Buffer.concat([directory, SLASH, name]);
      const key = prefix + name.toString("latin1");
      const stats = lstatSync(path, { bigint: true });
      found.set(key, stats);
      if (stats.isDirectory()) visit(path, `${key}/`);
    }
  };
  visit(root, "");
  return found;
}

function fullPath(root: string, key: string): Buffer {
  return Buffer.concat([Buffer.from(root), SLASH, Buffer.from(key, "latin1")]);
}

function show(key: string): string {
  return JSON.stringify(Buffer.from(key, "latin1").toString());
}
