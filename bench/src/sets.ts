import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { createRandom, createText, type Random, shuffled } from "./random.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Files up to this size are written whole, and changed whole. */
const WHOLE = 8 * MIB;
const REST_MS = 4000;

export const SET_NAMES = ["small", "large", "mixed"] as const;
export type SetName = (typeof SET_NAMES)[number];

/** A tree of files to back up. */
export interface DataSet {
  name: string;
  title: string;
  root: string;
  files: number;
  bytes: number;
  /** One small file in its middle, absolute. */
  oneFile: string;
  /**
   * Changes one file in a hundred, others each time and never `oneFile`: small ones as a whole, of large ones one byte in a hundred, in place.
   */
  change(): void;
  /**
   * Waits until the last change is as old as the data on a real server. Programs that compare times, xVault among them, take a file that
   * changed a moment ago for one that may still be changing, and read it again.
   */
  rested(): Promise<void>;
}

interface PlannedFile {
  path: string;
  bytes: number;
  /** How much of it can be compressed. */
  text: "all" | "half" | "none";
}

interface Plan {
  title: string;
  files: PlannedFile[];
  links: { path: string; to: string }[];
}

/** 20,000 files of 1 to 16 KiB in 200 directories. */
function small(scale: number, random: Random): Plan {
  const count = Math.max(20, Math.round(20_000 * scale));
  const files = Array.from({ length: count }, (_, i): PlannedFile => ({
    path: `d${String(i % Math.ceil(count / 100)).padStart(3, "0")}/f${String(i).padStart(5, "0")}.txt`,
    bytes: KIB + Math.floor(random.next() * 15 * KIB),
    text: i % 2 === 0 ? "all" : "half",
  }));
  return { title: `${count.toLocaleString("en")} files of 1–16 KiB`, files, links: [] };
}

/** 4 files of 512 MiB, half of each compressible, and one small one among them. */
function large(scale: number): Plan {
  const bytes = Math.max(MIB, Math.round(512 * scale) * MIB);
  const files = [1, 2, 3, 4].map((i): PlannedFile => ({ path: `disk-${i}.img`, bytes, text: "half" }));
  files.splice(2, 0, { path: "disk-2.notes.txt", bytes: 15_000, text: "all" });
  return { title: `4 × ${bytes / MIB} MiB, half compressible`, files, links: [] };
}

/** 56,000 files, 860 MB: most of them a few KiB, some of megabytes, in deep directories, with symbolic links. */
function mixed(scale: number, random: Random): Plan {
  const count = Math.max(50, Math.round(56_000 * scale));
  const between = (low: number, high: number) => Math.floor(low + random.next() * (high - low));
  const size = () => {
    const kind = random.next();
    if (kind < 0.7) return between(200, 6 * KIB);
    if (kind < 0.95) return between(6 * KIB, 30 * KIB);
    if (kind < 0.9983) return between(30 * KIB, 130 * KIB);
    return between(MIB, 4 * MIB);
  };
  const files = Array.from({ length: count }, (_, i): PlannedFile => {
    const leaf = Math.floor(i / 40);
    const kind = random.next();
    return {
      path: `p${leaf % 10}/q${Math.floor(leaf / 10) % 12}/module-${leaf}/src/file-${i}.${kind < 0.6 ? "ts" : kind < 0.85 ? "bin" : "png"}`,
      bytes: size(),
      text: kind < 0.6 ? "all" : kind < 0.85 ? "half" : "none",
    };
  });
  const links = files
    .filter((_, i) => i % 250 === 0)
    .map(({ path }) => ({ path: `${path}.link`, to: path.slice(path.lastIndexOf("/") + 1) }));
  return { title: `mixed, ${count.toLocaleString("en")} files`, files, links };
}

/** Files of 100 bytes, to see what a file costs. */
function many(count: number): Plan {
  const files = Array.from({ length: count }, (_, i): PlannedFile => ({
    path: `d${Math.floor(i / 100_000)}/e${Math.floor(i / 1000)}/file-${i}`,
    bytes: 100,
    text: "all",
  }));
  return { title: `${count.toLocaleString("en")} files of 100 bytes`, files, links: [] };
}

/** Writes the set `name` below `parent`. `scale` 1 is the whole; the seed decides every byte. */
export function makeSet(name: SetName, parent: string, seed: string, scale: number): Promise<DataSet> {
  const random = createRandom(`${seed} ${name}`);
  return write(name, join(parent, name), seed, { small, large, mixed }[name](scale, random));
}

/** Writes `count` tiny files below `parent`. */
export function makeManyFiles(count: number, parent: string, seed: string): Promise<DataSet> {
  return write(`many-${count}`, join(parent, `many-${count}`), seed, many(count));
}

async function write(name: string, root: string, seed: string, { title, files, links }: Plan): Promise<DataSet> {
  const random = createRandom(`${seed} ${name} contents`);
  const text = createText(`${seed} ${name}`);
  const contents = createContents(random, text);
  const made = new Set<string>();
  const room = (path: string) => {
    const folder = join(root, dirname(path));
    if (made.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    made.add(folder);
  };
  let written = 0;
  for (const file of files) {
    room(file.path);
    const fd = openSync(join(root, file.path), "w");
    for (let at = 0; at < file.bytes; at += WHOLE) {
      writeSync(fd, contents(Math.min(WHOLE, file.bytes - at), file.text));
      // Signals and connections are not left waiting.
      if (++written % 200 === 0 || file.bytes > WHOLE) await nextTurn();
    }
    closeSync(fd);
  }
  for (const { path, to } of links) symlinkSync(to, join(root, path));
  let changedAt = Date.now();
  const oneFile = files.find((file, i) => i >= files.length / 2 - 1 && file.bytes < 64 * KIB) ?? files[0];
  return {
    name,
    title,
    root,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    oneFile: join(root, oneFile?.path ?? ""),
    change() {
      const others = files.filter((file) => file !== oneFile);
      for (const file of shuffled(others, random).slice(0, Math.ceil(files.length / 100))) {
        const path = join(root, file.path);
        if (file.bytes <= WHOLE) {
          writeFileSync(path, contents(file.bytes, file.text));
          continue;
        }
        const fd = openSync(path, "r+");
        const length = Math.floor(file.bytes / 100);
        writeSync(fd, contents(length, file.text), 0, length, Math.floor(random.next() * (file.bytes - length)));
        closeSync(fd);
      }
      changedAt = Date.now();
    },
    rested: () => sleep(Math.max(0, changedAt + REST_MS - Date.now())),
  };
}

const RUN = 32 * KIB;
const POOL = 16 * MIB;

/** Makes contents fast: text comes out of a pool that is longer than any compressor of this comparison looks back. */
function createContents(random: Random, text: (target: Buffer) => void) {
  const pool = Buffer.allocUnsafe(POOL);
  text(pool);
  return (bytes: number, kind: PlannedFile["text"]): Buffer => {
    const out = Buffer.allocUnsafe(bytes);
    if (kind !== "all") random.fill(out);
    if (kind === "none") return out;
    if (bytes <= 2 * RUN) {
      text(kind === "all" ? out : out.subarray(0, bytes >> 1));
      return out;
    }
    let from = Math.floor(random.next() * (POOL - RUN));
    for (let at = 0; at < bytes; at += kind === "half" ? 2 * RUN : RUN) {
      pool.copy(out, at, from, from + Math.min(RUN, kind === "half" ? Math.max(1, (bytes - at) >> 1) : bytes - at));
      from = (from + RUN) % (POOL - RUN);
    }
    return out;
  };
}
