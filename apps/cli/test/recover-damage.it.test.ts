import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FILES, type MadeStorage, makeStorage } from "./made-snapshot.ts";
import { expectDirectories, madeChain, openGround, ownFilesBelow, recoverArgs } from "./recover-ground.ts";
import { type Ran, runHere } from "./run-cli.ts";

const ground = openGround();
const FRAME = 2 * 1024 * 1024;
const EACH = 100 * 1024;
/** Nothing of it compresses: so a place in the artifact is a place in the tar. The one with two names is in the middle. */
const MANY: [Buffer, Buffer][] = Array.from({ length: 160 }, (_, i) => [
  Buffer.from(`srv/app/${i === 80 ? "hello.txt" : i}`),
  randomBytes(EACH),
]);
const paths = MANY.map(([path]) => path.toString());

let storage: MadeStorage;
let made: Awaited<ReturnType<MadeStorage["backUp"]>>;
beforeAll(async () => {
  storage = await makeStorage(ground.dir);
  made = await storage.backUp({ files: MANY });
});
afterAll(ground.remove);

/** A copy of the storage with one byte of an object exchanged. */
function damagedCopy(object: string, at: (size: number) => number): { base: string; kit: string } {
  const base = ground.fresh();
  cpSync(storage.base, base, { recursive: true });
  const file = join(base, made.directory.slice(storage.base.length), object);
  const bytes = readFileSync(file);
  const place = at(bytes.length);
  bytes[place] = (bytes[place] ?? 0) ^ 0x10;
  writeFileSync(file, bytes);
  return { base, kit: storage.kit };
}
const artifact = "backup.tar.zst.enc";
const early = (size: number) => Math.floor(size * 0.3);
const inTheMiddle = (size: number) => Math.floor(size * 0.5);

const named = (ran: Ran): string[] =>
  ran.err
    .split("\n")
    .flatMap((line) => /^warning: \/(.+) is not restored: /.exec(line)?.slice(1) ?? [])
    .toSorted();

/** Everything but what was named is there as it was, and of what was named nothing is. */
function expectRest(target: string, damaged: readonly string[]): void {
  for (const [path, content] of MANY) {
    const file = join(target, path.toString());
    if (damaged.includes(path.toString())) expect(existsSync(file), file).toBe(false);
    else expect(readFileSync(file).equals(content), file).toBe(true);
  }
  const there = paths.filter((path) => !damaged.includes(path));
  expect(readdirSync(join(target, "srv/app")).toSorted()).toEqual(there.map((path) => path.slice(8)).toSorted());
  expect(ownFilesBelow(target)).toEqual([]);
  expectDirectories(target);
}

describe("a recovery from a storage with one flipped byte", () => {
  it("ends with it, and says how all else can be had", async () => {
    const target = ground.fresh();
    const ran = await runHere(recoverArgs(damagedCopy(artifact, early), target));
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("error ARTIFACT_CORRUPT");
    expect(ran.err).toMatch(/^fix: .*--keep-going --overwrite if-changed/m);
    expect(named(ran)).toEqual([]);
    const there = readdirSync(join(target, "srv/app"));
    expect(there.length).toBeGreaterThan(0);
    expect(there.length).toBeLessThan(MANY.length / 2 + FRAME / EACH);
  });

  it("restores all else with --keep-going, names what is damaged, and ends with 3", async () => {
    const target = ground.fresh();
    const damaged = damagedCopy(artifact, early);
    const ran = await runHere([...recoverArgs(damaged, target), "--keep-going"]);
    expect(ran.code, ran.err).toBe(3);
    const left = named(ran);
    expect(left.length).toBeGreaterThan(0);
    // A block has bytes of two frames at most, and each frame bytes of a file more than lie in it wholly.
    expect(left.length).toBeLessThanOrEqual((2 * FRAME) / EACH + 2);
    expect(ran.err).toMatch(/ is not restored: The stored bytes are not those that were written: block \d+ /);
    expect(ran.err).toContain(`warning: ${left.length} entries are damaged or missing where the snapshot is stored`);
    expectRest(target, left);
    expect(statSync(join(target, "srv/twin")).ino).toBe(statSync(join(target, "srv/app/hello.txt")).ino);
  });

  it("goes on so after it had ended with the damage, and leaves what it had restored", async () => {
    const target = ground.fresh();
    const damaged = damagedCopy(artifact, early);
    expect((await runHere(recoverArgs(damaged, target))).code).toBe(1);
    const there = readdirSync(join(target, "srv/app")).length;
    const args = [...recoverArgs(damaged, target), "--overwrite", "if-changed", "--keep-going", "--json"];
    const ran = await runHere(args);
    expect(ran.code, ran.out).toBe(3);
    expect(ran.err).toBe("");
    const messages = ran.messages();
    const left = messages.filter((message) => message["message_type"] === "damaged");
    expect(left[0]).toMatchObject({ code: "ARTIFACT_CORRUPT", message: expect.stringContaining("does not match") });
    const summary = messages.find((message) => message["message_type"] === "summary");
    expect(summary).toMatchObject({ damaged: left.length, files_skipped: there });
    expectRest(
      target,
      left.map(({ item }) => String(item).slice(1)),
    );

    // From a whole copy what is lacking comes, and nothing else.
    const whole = await runHere([...recoverArgs(storage, target), "--overwrite", "if-changed", "--json"]);
    expect(whole.code).toBe(0);
    expectRest(target, []);
  });

  it("leaves out a link to what is damaged, rather than link to what stands there", async () => {
    const target = ground.fresh();
    mkdirSync(join(target, "srv/app"), { recursive: true });
    writeFileSync(join(target, "srv/app/hello.txt"), "of another time");
    const args = recoverArgs(damagedCopy(artifact, inTheMiddle), target);
    const ran = await runHere([...args, "--overwrite", "always", "--keep-going"]);
    expect(ran.code, ran.err).toBe(3);
    expect(named(ran)).toContain("srv/app/hello.txt");
    expect(ran.err).toContain("/srv/twin is not restored: It is a link to '/srv/app/hello.txt', which is damaged.");
    expect(existsSync(join(target, "srv/twin"))).toBe(false);
    expect(readFileSync(join(target, "srv/app/hello.txt"), "utf8")).toBe("of another time");
    expect(ownFilesBelow(target)).toEqual([]);
  });

  it.each(["index.zst.enc", "manifest.json", "blocks.bin"])("ends all the same where that is in %s", async (object) => {
    const target = ground.fresh();
    const ran = await runHere([...recoverArgs(damagedCopy(object, inTheMiddle), target), "--keep-going"]);
    expect([1, 10]).toContain(ran.code);
    expect(ran.err).toMatch(/^error (ARTIFACT_CORRUPT|ARCHIVE_MALFORMED|SIGNATURE_INVALID|NOT_FOUND): /m);
    expect(ran.err).not.toContain("--keep-going");
    expect(existsSync(target)).toBe(false);
  });
});

describe("a recovery of a snapshot whose earlier artifact is not there", () => {
  it("ends before anything is written, or restores what lies in the others with --keep-going", async () => {
    const chain = await madeChain(ground.directory("chain"));
    rmSync(join(chain.first.directory, artifact));
    const target = ground.fresh();
    const ended = await runHere(recoverArgs(chain, target));
    expect(ended.code).toBe(10);
    expect(ended.err).toContain("error ARTIFACT_MISSING");
    expect(ended.err).toMatch(/^fix: .*Run it again with --keep-going: /m);
    expect(existsSync(target)).toBe(false);

    const ran = await runHere([...recoverArgs(chain, target), "--keep-going", "--json"]);
    expect(ran.code, ran.out).toBe(3);
    const left = ran.messages().filter((message) => message["message_type"] === "damaged");
    // All but the one with two names, which every run packs anew.
    const unchanged = FILES.filter(([path]) => path.toString() !== "srv/app/hello.txt");
    expect(left.map(({ code }) => code)).toEqual(unchanged.map(() => "ARTIFACT_MISSING"));
    expect(left.map(({ item }) => item)).toContain(`b64:${unchanged[2]?.[0].toString("base64")}`);
    expect(readFileSync(join(target, "srv/app/added"), "utf8")).toBe("in the second");
    expect(statSync(join(target, "srv/twin")).ino).toBe(statSync(join(target, "srv/app/hello.txt")).ino);
    expectDirectories(target);
  });
});

it("--keep-going is refused where damage cannot be told", async () => {
  for (const more of [[], ["--to", "web-01"]]) {
    const ran = await runHere(["restore", "latest", "--target", ground.fresh(), "--keep-going", ...more]);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain("--keep-going needs --identity");
  }
});
