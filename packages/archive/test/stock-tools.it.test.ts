import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createArtifactWriter,
  createLocalTarget,
  openArtifact,
  openFrames,
  parseTar,
  selectEntries,
  writeTarTo,
} from "../src/index.ts";
import { memoryReader, memorySink, noise } from "./support.ts";

const has = (tool: string) => spawnSync(tool, ["--version"]).status === 0;
const missing = ["tar", "zstd", "touch"].filter((tool) => !has(tool));
const isRoot = process.getuid?.() === 0;
const SLASH = Buffer.from("/");

let ground: string;
let tree: string;

/** A tree with everything that a file system lets us make. */
function plant(root: string): void {
  const at = (name: string | Buffer) => Buffer.concat([Buffer.from(root), SLASH, Buffer.from(name)]);
  const write = (name: string | Buffer, content: Buffer | string, mode = 0o644) => {
    writeFileSync(at(name), content);
    chmodSync(at(name), mode);
  };
  for (const name of ["plain", "empty dir", "locked", "sticky", "set-gid", "ünïcödé", "deep"]) mkdirSync(at(name));
  write("plain/empty", "");
  write("plain/block", noise(512));
  write("plain/odd", noise(513));
  write("plain/large", noise(3_000_000));
  write("plain/text", "line\n".repeat(400_000));
  write("plain/new\nline", "newline");
  write("plain/tab\tand \\ and \" and '", "quotes");
  write("plain/-rf", "dash");
  write("plain/ leading and trailing ", "spaces");
  write(Buffer.from([0x70, 0x6c, 0x61, 0x69, 0x6e, 0x2f, 0xff, 0xfe, 0x80]), "not UTF-8");
  write(Buffer.concat([Buffer.from("plain/"), Buffer.alloc(200, 0xe9)]), "long and not UTF-8");
  write("ünïcödé/日本語 🙂", "unicode");
  write(`plain/${"n".repeat(100)}`, "hundred");
  write(`plain/${"n".repeat(255)}`, "longest");
  const nested = `deep/${"d".repeat(150)}/${"e".repeat(150)}`;
  mkdirSync(at(nested), { recursive: true });
  write(`${nested}/leaf`, "300 characters down");
  write("plain/set-uid", "#!", 0o4755);
  write("plain/set-gid", "#!", 0o2755);
  write("plain/private", "mine", 0o600);
  write("plain/none", "nobody", 0o000);
  symlinkSync("plain/odd", at("symlink"));
  symlinkSync("/nowhere/at all", at("dangling"));
  symlinkSync("t".repeat(300), at("long symlink"));
  symlinkSync(Buffer.from([0xff, 0x2f, 0xfe]), at("symlink that is not UTF-8"));
  linkSync(at("plain/odd"), at("hard link"));
  linkSync(at("plain/odd"), at(`plain/${"h".repeat(180)}`));
  plantSparse(at("plain/sparse"), 20_000_000, [
    [1_000_000, 70_000],
    [9_000_000, 5],
  ]);
  plantSparse(at("plain/sparse to the end"), 5_000_000, [[4_000_000, 1_000_000]]);
  plantSparse(at("plain/all hole"), 3_000_000, []);
  const fragments = Array.from({ length: 60 }, (_, i): [number, number] => [i * 131_072, 4096]);
  plantSparse(at("plain/sparse in 60 runs"), 60 * 131_072, fragments);
  write("locked/inside", "readable by the owner");
  for (const [name, when] of [
    ["plain/odd", "@1700000000.123456789"],
    ["plain/private", "@-1000000.5"],
    ["plain/block", "@5000000000.25"],
    ["plain/text", "@0"],
  ]) {
    execFileSync("touch", ["-d", when as string, join(root, name as string)]);
  }
  execFileSync("touch", ["-h", "-d", "@1600000000.987654321", join(root, "symlink")]);
  if (isRoot) {
    chownSync(at("plain/private"), 12_345, 3_000_000);
    chownSync(at("plain/set-uid"), 1, 1);
    chmodSync(at("plain/set-uid"), 0o4755);
  }
  chmodSync(at("locked"), 0o500);
  chmodSync(at("sticky"), 0o1777);
  chmodSync(at("set-gid"), 0o2775);
  execFileSync("touch", ["-d", "@1500000000.5", join(root, "plain"), join(root, "empty dir"), join(root, "locked")]);
}

function plantSparse(path: Buffer, size: number, runs: [number, number][]): void {
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  for (const [offset, length] of runs) writeSync(file, noise(length, offset), 0, length, offset);
  closeSync(file);
}

interface Seen {
  type: number;
  mode: number;
  owner: string;
  size: number;
  mtimeNs: bigint;
  content: Buffer | string;
  /** The first name, in order, of the same file. */
  sameAs: string;
  sparse: boolean;
}

/** Everything under a root that a restore should bring back, by path (as hex, since names are bytes). */
function look(root: string): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const firstOf = new Map<bigint, string>();
  const walk = (directory: Buffer, below: Buffer) => {
    const names = readdirSync(directory, { encoding: "buffer" }).sort((a, b) => Buffer.compare(a, b));
    for (const name of names) {
      const path = Buffer.concat([directory, SLASH, name]);
      const key = below.length === 0 ? name : Buffer.concat([below, SLASH, name]);
      const stat = lstatSync(path, { bigint: true });
      const id = key.toString("latin1");
      if (!firstOf.has(stat.ino)) firstOf.set(stat.ino, id);
      seen.set(id, {
        type: Number(stat.mode) & 0o170000,
        mode: Number(stat.mode) & 0o7777,
        owner: `${stat.uid}:${stat.gid}`,
        size: stat.isDirectory() ? 0 : Number(stat.size),
        mtimeNs: stat.mtimeNs,
        content: stat.isSymbolicLink()
          ? readlinkSync(path, "latin1")
          : stat.isFile()
            ? contentOf(path, Number(stat.mode))
            : "",
        sameAs: firstOf.get(stat.ino) ?? id,
        sparse: stat.isFile() && Number(stat.blocks) * 512 < Number(stat.size) / 2,
      });
      if (stat.isDirectory()) walk(path, key);
    }
  };
  walk(Buffer.from(root), Buffer.alloc(0));
  return seen;
}

function contentOf(path: Buffer, mode: number): Buffer | string {
  return isRoot || mode & 0o400 ? readFileSync(path) : "not readable by its owner";
}

/** `within`: how far apart modification times may be, in nanoseconds. */
function expectSame(copy: string, original: string, within: bigint): void {
  const [found, wanted] = [look(copy), look(original)];
  expect([...found.keys()]).toEqual([...wanted.keys()]);
  for (const [path, want] of wanted) {
    const { mtimeNs, content, ...rest } = found.get(path) as Seen;
    const { mtimeNs: wantTime, content: wantContent, ...wantRest } = want;
    expect({ path, ...rest }).toEqual({ path, ...wantRest });
    expect(Buffer.from(content).equals(Buffer.from(wantContent)), `content of ${path}`).toBe(true);
    const apart = mtimeNs - wantTime;
    expect(apart <= within && apart >= -within, `time of ${path}: ${mtimeNs} for ${wantTime}`).toBe(true);
  }
}

/** Packs what GNU tar reads from a directory. */
async function packFrom(root: string, format: string) {
  const sparse = format === "ustar" || format === "v7" ? [] : ["-S"];
  // As an ordinary user a file of mode 000 cannot be read; it is left out there.
  const leaveOut = isRoot ? [] : ["--exclude=./plain/none"];
  const tar = spawn("tar", ["-C", root, `--format=${format}`, ...sparse, ...leaveOut, "-cf", "-", "."], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const artifact = memorySink();
  const index = memorySink();
  const problems: unknown[] = [];
  const writer = createArtifactWriter({
    artifact,
    index,
    frameBytes: 300_000,
    onProblem: (problem) => problems.push(problem),
  });
  for await (const { entry, body } of parseTar(tar.stdout)) {
    if (entry.path.length > 0) await writer.add(entry, entry.type === "file" ? body : null);
  }
  const totals = await writer.finish();
  expect(problems).toEqual([]);
  return { artifact: artifact.bytes(), index: index.bytes(), totals };
}

function run(tool: string, args: string[], input: Buffer, env: Record<string, string> = {}) {
  const done = spawnSync(tool, args, { input, maxBuffer: 512 * 1024 * 1024, env: { PATH: "/usr/bin:/bin", ...env } });
  expect(done.stderr.toString(), `${tool} ${args.join(" ")}`).toBe("");
  expect(done.status).toBe(0);
  return done.stdout;
}

function fresh(name: string): string {
  const path = mkdtempSync(join(ground, `${name}-`));
  chmodSync(path, 0o700);
  return path;
}

function clear(path: string): void {
  execFileSync("chmod", ["-R", "u+rwX", path]);
  rmSync(path, { recursive: true, force: true });
}

describe.skipIf(missing.length > 0)(
  `stock tools read and write what we do${missing.length > 0 ? ` (skipped: no ${missing.join(", ")} here)` : ""}`,
  () => {
    beforeAll(() => {
      ground = mkdtempSync(join(tmpdir(), "xvault-stock-"));
      tree = fresh("tree");
      plant(tree);
      if (!isRoot) rmSync(join(tree, "plain/none"));
    });
    afterAll(() => clear(ground));

    test("zstd tests, lists and expands an artifact; zstd -d | tar -x brings the tree back exactly", async () => {
      const { artifact, totals } = await packFrom(tree, "pax");
      const file = join(ground, "backup.tar.zst");
      writeFileSync(file, artifact);
      expect(execFileSync("zstd", ["-t", "-q", file]).toString()).toBe("");
      const listed = execFileSync("zstd", ["-l", file]).toString();
      const frames = Math.ceil(totals.tarBytes / 300_000) + 1; // with the seek table's
      expect(listed).toMatch(new RegExp(`\\n\\s*${frames}\\s+1\\s`));
      const tar = run("zstd", ["-d", "-c", "-q"], artifact);
      expect(tar.length).toBe(totals.tarBytes);
      for (const locale of ["C", "C.UTF-8"]) {
        const copy = fresh(`stock-${locale}`);
        // GNU tar notes times before 1970 and in the future, and that it does not know hdrcharset (which other tars need).
        const quiet = ["--warning=no-timestamp", "--warning=no-unknown-keyword"];
        run("tar", ["-C", copy, "-xpf", "-", ...quiet], tar, { LC_ALL: locale });
        expectSame(copy, tree, 0n);
      }
    });

    test.each(["pax", "gnu"])(
      "what GNU tar writes as %s restores to disk exactly, sparse files as sparse",
      async (format) => {
        const packed = await packFrom(tree, format);
        const reader = openArtifact({
          tar: await openFrames(memoryReader(packed.artifact)),
          index: await openFrames(memoryReader(packed.index)),
        });
        const copy = fresh("restored");
        const target = await createLocalTarget(copy);
        for await (const { entry, source } of selectEntries(() => reader.entries(), [])) {
          expect(await target.put(entry, entry.type === "file" ? reader.body(source) : null)).toBe("written");
        }
        await target.finish();
        // Node sets times as floating-point seconds; the gnu format has whole ones.
        expectSame(copy, tree, format === "pax" ? 1000n : 1_000_000_000n);
      },
    );

    test("a download of a part unpacks with stock tar, a hard link whose file is left out included", async () => {
      const packed = await packFrom(tree, "pax");
      const reader = openArtifact({
        tar: await openFrames(memoryReader(packed.artifact)),
        index: await openFrames(memoryReader(packed.index)),
      });
      const lines: string[] = [];
      for await (const line of reader.entries()) if (line.type === "hardlink") lines.push(line.path ?? "");
      expect(lines.length).toBe(2);
      const sink = memorySink();
      const target = writeTarTo(sink);
      for await (const { entry, source } of selectEntries(
        () => reader.entries(),
        lines.map((path) => Buffer.from(path)),
      )) {
        await target.put(entry, entry.type === "file" ? reader.body(source) : null);
      }
      await target.finish();
      const copy = fresh("part");
      run("tar", ["-C", copy, "-xpf", "-"], sink.bytes());
      for (const path of lines) expect(readFileSync(join(copy, path))).toEqual(readFileSync(join(tree, path)));
      expect(lstatSync(join(copy, lines[0] as string)).nlink).toBe(2);
    });

    test("the policies keep or replace what is there", async () => {
      const packed = await packFrom(tree, "pax");
      const reader = openArtifact({
        tar: await openFrames(memoryReader(packed.artifact)),
        index: await openFrames(memoryReader(packed.index)),
      });
      const copy = fresh("policies");
      mkdirSync(join(copy, "plain"));
      const kept = join(copy, "plain/text");
      const restore = async (overwrite: "never" | "if-newer" | "if-changed" | "always") => {
        writeFileSync(kept, "changed since");
        const target = await createLocalTarget(copy, { overwrite });
        const results: Record<string, string> = {};
        for await (const { entry, source } of selectEntries(
          () => reader.entries(),
          [Buffer.from("plain/text"), Buffer.from("plain/odd")],
        )) {
          results[entry.path.toString()] = await target.put(entry, entry.type === "file" ? reader.body(source) : null);
        }
        await target.finish();
        return { ...results, changed: readFileSync(kept, "utf8") === "changed since" };
      };
      const odd = "plain/odd";
      const text = "plain/text";
      expect(await restore("never")).toMatchObject({ [odd]: "written", [text]: "skipped", changed: true });
      expect(await restore("if-newer")).toMatchObject({ [odd]: "skipped", [text]: "skipped", changed: true });
      expect(await restore("if-changed")).toMatchObject({ [odd]: "skipped", [text]: "written", changed: false });
      expect(await restore("always")).toMatchObject({ [odd]: "written", [text]: "written", changed: false });
    });

    test.each(["gnu", "ustar", "v7"])("GNU tar's %s format is read", async (format) => {
      const small = fresh(`small-${format}`);
      mkdirSync(join(small, "d"));
      writeFileSync(join(small, "d/file"), noise(1000));
      symlinkSync("d/file", join(small, "link"));
      linkSync(join(small, "d/file"), join(small, "hard"));
      if (format === "gnu") writeFileSync(join(small, "d", "n".repeat(200)), "long");
      execFileSync("touch", ["-h", "-d", "@1700000000", join(small, "d/file"), join(small, "link"), join(small, "d")]);
      if (format === "gnu")
        execFileSync("touch", ["-d", "@1700000000", join(small, "d", "n".repeat(200)), join(small, "d")]);
      const packed = await packFrom(small, format);
      const copy = fresh("copy");
      run("tar", ["-C", copy, "-xpf", "-"], run("zstd", ["-d", "-c", "-q"], packed.artifact));
      expectSame(copy, small, 0n);
    });
  },
);
