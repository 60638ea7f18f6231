import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";

const SLASH = Buffer.from("/");
const asRoot = process.getuid?.() === 0;

/** Numbers from 0 (inclusive) to 1, the same for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const roll = dice(seed);
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(roll() * 4_294_967_296), at);
  return bytes.subarray(0, length);
}

export interface Planting {
  /** Leave out times before 1970, which SFTP has no way to tell. */
  before1970?: boolean;
}

/**
 * Grows a tree below `root`, which must not exist yet: everything that a file system allows a name, a mode, a time, a link and a content
 * to be, in a shape that the seed decides. The same seed grows the same tree.
 */
export function plantTree(root: string, seed: number, { before1970 = true }: Planting = {}): void {
  const roll = dice(seed);
  const below = (most: number) => Math.floor(roll() * most);
  const oneOf = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
  const rootPath = Buffer.from(root);
  mkdirSync(rootPath, { mode: 0o755 });
  const directories: Buffer[] = [rootPath];
  const files: Buffer[] = [];
  const all: { path: Buffer; mode: number | null }[] = [{ path: rootPath, mode: 0o755 }];
  const taken = new Set<string>();

  const place = (name: Buffer, parent: Buffer = oneOf(directories)): Buffer | null => {
    const path = Buffer.concat([parent, SLASH, name]);
    // Room for the target's own prefix below the longest path that the system takes.
    if (path.length > 2500 || taken.has(path.toString("latin1"))) return null;
    taken.add(path.toString("latin1"));
    return path;
  };
  const addDirectory = (name: Buffer, mode: number, parent?: Buffer) => {
    const path = place(name, parent);
    if (!path) return null;
    mkdirSync(path);
    directories.push(path);
    all.push({ path, mode });
    return path;
  };
  const addFile = (name: Buffer, content: Buffer, mode: number, runs?: readonly [number, number][], size = 0) => {
    const path = place(name);
    if (!path) return;
    if (runs) plantSparse(path, size, runs, below(1 << 30));
    else writeFileSync(path, content);
    files.push(path);
    all.push({ path, mode });
  };
  const addSymlink = (name: Buffer, to: Buffer) => {
    const path = place(name);
    if (!path) return;
    symlinkSync(to, path);
    all.push({ path, mode: null });
  };

  let deep: Buffer = rootPath;
  for (let depth = 0; depth < 10; depth += 1) {
    deep = addDirectory(Buffer.from(`${depth}${"d".repeat(99)}`), 0o755, deep) ?? deep;
  }
  const modes = [0o644, 0o600, 0o755, 0o400, 0o444, 0o4755, 0o2755, 0o6711, 0o1644, 0o666, 0o700];
  const directoryModes = [0o755, 0o700, 0o1777, 0o2775, 0o500, 0o711];
  for (let i = 0; i < 16; i += 1) addDirectory(oddName(roll), oneOf(directoryModes));
  for (let i = 0; i < 60; i += 1) addFile(oddName(roll), oddContent(roll), oneOf(modes));
  for (let i = 0; i < 3; i += 1) addFile(longName(roll), oddContent(roll), oneOf(modes));
  addFile(Buffer.from("empty"), Buffer.alloc(0), 0o644);
  addFile(Buffer.from("larger than a frame"), noise(4_500_000, seed), 0o644);
  addFile(
    Buffer.from("holes"),
    Buffer.alloc(0),
    0o644,
    [
      [131_072, 4096],
      [2_097_152, 70_000],
    ],
    5_000_000,
  );
  addFile(Buffer.from("all hole"), Buffer.alloc(0), 0o644, [], 3_000_000);
  addFile(Buffer.from("hole to the end"), Buffer.alloc(0), 0o640, [[0, 8192]], 2_000_000);
  addFile(Buffer.from("data to the end"), Buffer.alloc(0), 0o644, [[1_048_576, 65_536]], 1_048_576 + 65_536);
  for (let i = 0; i < 8; i += 1) addSymlink(oddName(roll), oddTarget(roll));
  addSymlink(Buffer.from("long target"), Buffer.from("t".repeat(600)));
  addSymlink(Buffer.from("to a directory"), deep);
  for (let i = 0; i < 4; i += 1) {
    const path = place(Buffer.concat([Buffer.from("hard link "), oddName(roll)].map((part) => part.subarray(0, 120))));
    if (path) linkSync(oneOf(files), path);
  }

  // Children first: a parent's time changes with what is made in it, its mode may forbid making it.
  for (const { path, mode } of all.toReversed()) {
    if (asRoot && roll() < 0.3) lchownSync(path, 1000 + below(5000), 2_000_000 + below(5000));
    if (mode !== null) chmodSync(path, mode);
    lutimesSync(path, "0", oddTime(roll, before1970));
  }
}

function oddName(roll: () => number): Buffer {
  const below = (most: number) => Math.floor(roll() * most);
  const kinds = [
    () => Buffer.from(`plain-${below(1e6)}.txt`),
    () => Buffer.from(`new\nline ${below(1e6)}\n`),
    () => Buffer.concat([Buffer.from([0xff, 0xfe, 0x80, 0xc3]), Buffer.from(String(below(1e6)))]),
    () => Buffer.from(`-rf ${below(1e6)}`),
    () => Buffer.from(` $(touch x) \`id\` 'q' "d" \\n\\101 ${below(1e6)} `),
    () => Buffer.from(`ünïcödé 日本語 🙂 ${below(1e6)}`),
    () => Buffer.from(`\u{75}\u{308} decomposed ${below(1e6)}`),
    () => Buffer.from(`.hidden${below(1e6)}`),
    () => Buffer.from(`...${below(1e6)}`),
    () => Buffer.from(`tab\t bell\x07 escape\x1b[31m ${below(1e6)}`),
    () => Buffer.from(`*?[a-z]{x,y} # ! ${below(1e6)}`),
    () => Buffer.from(`${"n".repeat(100)}${below(1e6)}`),
    // Any bytes that a name may have.
    () =>
      Buffer.from(
        Array.from({ length: 1 + below(40) }, () => 1 + below(255)).map((byte) => (byte === 0x2f ? 0x5f : byte)),
      ),
  ];
  const name = (kinds[below(kinds.length)] as () => Buffer)();
  return name.equals(Buffer.from(".")) || name.equals(Buffer.from("..")) ? Buffer.from("dots") : name;
}

/** 255 bytes, the most that a name may have. */
function longName(roll: () => number): Buffer {
  const name = Buffer.alloc(255, roll() < 0.5 ? 0xe9 : 0x6c);
  name.write(String(Math.floor(roll() * 1e6)));
  return name;
}

function oddContent(roll: () => number): Buffer {
  const sizes = [0, 1, 511, 512, 513, 4096, 32_768, 65_536, 65_537, 261_120, 300_001];
  const size = roll() < 0.5 ? (sizes[Math.floor(roll() * sizes.length)] as number) : Math.floor(roll() * 20_000);
  if (roll() < 0.3) return Buffer.alloc(size, "the same line over and over\n");
  return noise(size, Math.floor(roll() * 4_294_967_296));
}

function oddTarget(roll: () => number): Buffer {
  const targets = [
    Buffer.from("plain-1.txt"),
    Buffer.from("/nowhere/at all"),
    Buffer.from("../../../../etc/passwd"),
    Buffer.from([0xff, 0x2f, 0xfe]),
    Buffer.from("new\nline"),
    Buffer.from("."),
  ];
  return targets[Math.floor(roll() * targets.length)] as Buffer;
}

function oddTime(roll: () => number, before1970: boolean): string {
  const fraction = String(Math.floor(roll() * 1e9)).padStart(9, "0");
  const kind = roll();
  if (kind < 0.1 && before1970) return `-${1 + Math.floor(roll() * 1e9)}.${fraction}`;
  if (kind < 0.2) return "0";
  if (kind < 0.3) return `${2_200_000_000 + Math.floor(roll() * 1e9)}.${fraction}`;
  return `${Math.floor(roll() * 2e9)}.${fraction}`;
}

export function plantSparse(path: Buffer | string, size: number, runs: readonly [number, number][], seed = 1): void {
  const file = openSync(path, "wx");
  ftruncateSync(file, size);
  for (const [offset, length] of runs) writeSync(file, noise(length, seed + offset), 0, length, offset);
  closeSync(file);
}

/** What a restore has to bring back of one thing. */
interface Seen {
  kind: "file" | "dir" | "symlink" | "other";
  mode: number;
  owner: string;
  size: number;
  mtimeNs: bigint;
  /** A file's SHA-256, a link's target. */
  content: string;
  /** The first name, in order, of the same file. */
  sameAs: string;
  blocks: number;
}

/** A tree as it stands on this machine: the root as '', the rest by path (latin1, since names are bytes). */
export function look(root: string): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const firstOf = new Map<bigint, string>();
  const visit = (path: Buffer, name: string) => {
    const stat = lstatSync(path, { bigint: true });
    if (!firstOf.has(stat.ino)) firstOf.set(stat.ino, name);
    const kind = stat.isFile() ? "file" : stat.isDirectory() ? "dir" : stat.isSymbolicLink() ? "symlink" : "other";
    const content =
      kind === "symlink"
        ? readlinkSync(path, { encoding: "buffer" }).toString("latin1")
        : kind === "file"
          ? createHash("sha256").update(readFileSync(path)).digest("hex")
          : "";
    seen.set(name, {
      kind,
      mode: kind === "symlink" ? 0 : Number(stat.mode & 0o7777n),
      owner: `${stat.uid}:${stat.gid}`,
      size: kind === "dir" ? 0 : Number(stat.size),
      mtimeNs: stat.mtimeNs,
      content,
      sameAs: firstOf.get(stat.ino) ?? name,
      blocks: Number(stat.blocks),
    });
    if (kind !== "dir") return;
    const names = readdirSync(path, { encoding: "buffer" }).sort((a, b) => Buffer.compare(a, b));
    for (const child of names) {
      visit(
        Buffer.concat([path, SLASH, child]),
        name === "" ? child.toString("latin1") : `${name}/${child.toString("latin1")}`,
      );
    }
  };
  visit(Buffer.from(root), "");
  return seen;
}

export interface Tolerance {
  /** How far apart modification times may be. Nanoseconds. */
  withinNs?: bigint;
  /** What the way to the target keeps of a time. */
  time?: (ns: bigint) => bigint;
  /** Hard links may come back as files of their own. */
  linksAsFiles?: boolean;
  /** Holes may come back as zeros. */
  holesAsZeros?: boolean;
}

/** Whole seconds, as SFTP tells times. */
export const wholeSeconds = (ns: bigint): bigint =>
  (ns >= 0n || ns % 1_000_000_000n === 0n ? ns / 1_000_000_000n : ns / 1_000_000_000n - 1n) * 1_000_000_000n;

/** In what a copy of a tree differs from the original, in words; empty when it is the same. */
export function differences(copy: string, original: string, tolerance: Tolerance = {}): string[] {
  const { withinNs = 0n, time = (ns) => ns, linksAsFiles = false, holesAsZeros = false } = tolerance;
  const [found, wanted] = [look(copy), look(original)];
  const said: string[] = [];
  for (const name of found.keys()) if (!wanted.has(name)) said.push(`${name}: is new`);
  for (const [name, want] of wanted) {
    const got = found.get(name);
    if (!got) {
      said.push(`${name}: is missing`);
      continue;
    }
    for (const field of ["kind", "mode", "owner", "size", "content"] as const) {
      if (got[field] !== want[field]) said.push(`${name}: ${field} is ${got[field]}, was ${want[field]}`);
    }
    if (!linksAsFiles && got.sameAs !== want.sameAs)
      said.push(`${name}: is linked to ${got.sameAs}, was to ${want.sameAs}`);
    const apart = got.mtimeNs - time(want.mtimeNs);
    if (apart > withinNs || apart < -withinNs) said.push(`${name}: time is ${got.mtimeNs}, was ${want.mtimeNs}`);
    const hadHoles = want.kind === "file" && want.size > 1_000_000 && want.blocks * 512 < want.size / 2;
    if (!holesAsZeros && hadHoles && got.blocks * 512 > want.size / 2) said.push(`${name}: its holes were filled`);
  }
  return said;
}
