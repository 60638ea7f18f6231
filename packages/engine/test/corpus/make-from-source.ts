// Writes a version of the golden corpus by real runs: a worker's own backup of a tree behind a real sshd, a full one and others that
// pull only what changed; one of them partial, one removed. `node packages/engine/test/corpus/make-from-source.ts v2b`, as root, since it needs the folder /srv/xvault-corpus.
// Like make.ts it is never run by tests, and never writes over a version that is there.
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type IndexEntry, indexPath } from "@xvault/archive";
import { formatRecoveryKit, manifestSha256 } from "@xvault/crypto";
import { type BackupRun, createReportLog, keysOf, runExpire } from "../../src/index.ts";
import { type LabBackup, openLab } from "../lab.ts";
import { noise, plantSparse } from "../trees.ts";
import { type Expected, type ExpectedSnapshot, secondsOf, writeExpected, writeSums } from "./entries.ts";

const TREE = "/srv/xvault-corpus";
const SHRINKING = join(TREE, "shrinking");
const KIT = "TEST-KEYS-recovery-kit.txt";
/** Older than a run's start, so that a file's time says whether it changed. */
const MODIFIED = "1709210096.123456";

const version = process.argv[2] ?? "";
const final = join(import.meta.dirname, "fixtures", version);
if (!/^v\d+[a-z]*$/.test(version) || existsSync(final) || existsSync(TREE)) {
  throw new Error(`Name a version that is not there yet, not '${version}'; and ${TREE} must not exist.`);
}

const lab = await openLab({ sshd: { unprivileged: true } });
try {
  const out = join(lab.dir, "corpus");
  mkdirSync(join(out, "expected"), { recursive: true });
  const kit = {
    workspace: "TEST KEYS of the golden corpus: published, they protect nothing",
    hubRootPublicKey: lab.root.publicKey,
    createdAt: new Date(),
    url: "http://localhost:8420",
  };
  writeFileSync(join(out, KIT), formatRecoveryKit({ ...kit, ...lab.keys }));

  plant();
  let base: LabBackup | undefined;
  let removed: LabBackup | undefined;
  const steps = [() => {}, first, () => {}, second, lock, third, fourth];
  for (const [i, change] of steps.entries()) {
    change();
    settle(TREE);
    if (change === lock) for (const name of ["locked", "secret"]) chmodSync(join(TREE, name), 0);
    // The times of the last change of the files themselves, which nobody can set, must lie behind too.
    await sleep(2500);
    const made: LabBackup = await lab.backup([TREE], {
      transport: "tar",
      ...(change === lock ? { reporter: shrinking() } : {}),
      ...(base ? { base } : {}),
    });
    base = made;
    const about = `Run ${i + 1} of a source: ${made.result.unchanged_files} of ${made.manifest.contents.files} files were unchanged.`;
    process.stdout.write(`${about}\n`);
    // Nothing later uses data of it: of the removed one a tombstone stays.
    if (change === third) removed = made;
    else await note(`run-${i + 1}`, about, made);
  }
  if (removed) await remove(removed);
  cpSync(join(lab.storeRoot, "backups"), join(out, "backups"), { recursive: true });
  process.stdout.write(`Its seal, for corpus.it.test.ts:\n  ${version}: "${writeSums(out)}"\n`);
  cpSync(out, final, { recursive: true });
} finally {
  rmSync(TREE, { recursive: true, force: true });
  await lab.stop();
}

function plant(): void {
  mkdirSync(join(TREE, "sub/deep"), { recursive: true });
  for (let i = 0; i < 12; i += 1) writeFileSync(join(TREE, `sub/file ${i}`), noise(500 + i, i));
  writeFileSync(Buffer.concat([Buffer.from(`${TREE}/latin-1 `), Buffer.from([0xe9])]), "not UTF-8");
  writeFileSync(join(TREE, "new\nline"), "a line break");
  writeFileSync(join(TREE, "large"), noise(60_000, 99));
  writeFileSync(join(TREE, "empty"), "");
  plantSparse(join(TREE, "sparse"), 900_000, [
    [4096, 1000],
    [500_000, 24],
  ]);
  writeFileSync(join(TREE, "sub/one name"), "linked");
  linkSync(join(TREE, "sub/one name"), join(TREE, "sub/deep/another"));
  symlinkSync("sub/file 1", join(TREE, "link"));
}

function first(): void {
  appendFileSync(join(TREE, "large"), "more");
  renameSync(join(TREE, "sub/file 4"), join(TREE, "sub/renamed"));
  rmSync(join(TREE, "sub/file 5"));
  rmSync(join(TREE, "sub/file 6"));
  mkdirSync(join(TREE, "sub/file 6"));
  writeFileSync(join(TREE, "sub/file 6/now a directory"), "x");
  chmodSync(join(TREE, "sub/file 7"), 0o600);
}

function second(): void {
  rmSync(join(TREE, "sub/file 6"), { recursive: true });
  writeFileSync(join(TREE, "sub/file 6"), "a file again");
  writeFileSync(join(TREE, "sub/file 8"), "first new content");
}

/** What the login user may not read, and a file that shrinks while it is read: what is noted of them stands at the index's end. */
function lock(): void {
  writeFileSync(SHRINKING, Buffer.alloc(24_000_000, "old"));
  mkdirSync(join(TREE, "locked"));
  writeFileSync(join(TREE, "locked/file"), "unreachable");
  writeFileSync(join(TREE, "secret"), "unreadable");
}

/** Cuts the file once a part of it has arrived. */
function shrinking(): BackupRun["reporter"] {
  const { reporter } = createReportLog();
  return {
    ...reporter,
    advance(step) {
      if ((step.bytes ?? 0) > 20_000 && statSync(SHRINKING).size > 1000) truncateSync(SHRINKING, 1000);
      reporter.advance(step);
    },
  };
}

function third(): void {
  rmSync(join(TREE, "locked"), { recursive: true });
  rmSync(join(TREE, "secret"));
  rmSync(SHRINKING);
  writeFileSync(join(TREE, "passing"), noise(2000, 5));
}

function fourth(): void {
  rmSync(join(TREE, "passing"));
}

async function remove({ manifest, place }: LabBackup): Promise<void> {
  await runExpire({
    payload: {
      snapshot: place,
      sequence: manifest.sequence,
      previous: manifest.previous,
      manifest_sha256: manifestSha256(manifest),
      reason: "The golden corpus has a tombstone, too.",
    },
    store: lab.store,
    signer: { workerId: lab.workerId, ...lab.signer },
    reporter: createReportLog().reporter,
    signal: new AbortController().signal,
  });
}

/** Gives what changed just now an older time, each change another one. */
function settle(folder: string): void {
  for (const entry of readdirSync(Buffer.from(folder), { withFileTypes: true, encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(`${folder}/`), entry.name]);
    if (entry.isDirectory()) settle(path.toString());
    else if (lstatSync(path).mtimeMs > Date.now() - 600_000) lutimesSync(path, "0", MODIFIED.replace("1709", "1708"));
  }
  lutimesSync(folder, "0", MODIFIED);
}

/** Writes down what a snapshot must read as: the order and the places are the index's, every other fact is the tree's own. */
async function note(name: string, about: string, { place }: LabBackup): Promise<void> {
  const artifact = await lab.open(place);
  const entries: Expected[] = [];
  for await (const line of artifact.entries()) entries.push(factsOf(line));
  artifact.release();
  const head: Omit<ExpectedSnapshot, "entries"> = {
    about,
    snapshot: keysOf(place).dir,
    identities: [KIT],
    on_disk: true,
  };
  writeExpected(join(lab.dir, "corpus/expected", `${name}.json`), head, entries);
}

function factsOf(line: IndexEntry): Expected {
  // Nobody but the index knows where in the file tar was.
  if (line.problem) return withoutPlace(line);
  const path = Buffer.concat([Buffer.from("/"), indexPath(line)]);
  const stats = lstatSync(path, { bigint: true });
  const { path: plain, path_b64, type, uname, gname, link, snapshot, sparse } = line;
  const isFile = type === "file";
  if (isFile !== (stats.isFile() && type !== "hardlink")) throw new Error(`${path.toString()} is no ${type}`);
  return {
    ...(plain !== undefined ? { path: plain } : { path_b64: path_b64 ?? "" }),
    type,
    size: isFile ? Number(stats.size) : 0,
    mode: (Number(stats.mode) & 0o7777).toString(8).padStart(4, "0"),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    ...(uname ? { uname } : {}),
    ...(gname ? { gname } : {}),
    mtime: secondsOf(stats.mtimeNs),
    ...(stats.isSymbolicLink() ? { link: readlinkSync(path) } : type === "hardlink" ? { link: link ?? "" } : {}),
    ...(isFile ? { sha256: createHash("sha256").update(readFileSync(path)).digest("hex") } : {}),
    ...(sparse ? { sparse } : {}),
    ...(snapshot ? { snapshot } : {}),
  };
}

function withoutPlace(line: IndexEntry): Expected {
  const { offset: _offset, body_offset: _bodyOffset, body_bytes: _bodyBytes, ...facts } = line;
  return facts;
}
