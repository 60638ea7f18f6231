import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createArtifactWriter,
  createLocalTarget,
  entryFromIndex,
  hashBlocks,
  openArtifact,
  openFrames,
  verifiedReader,
} from "../src/index.ts";
import { codeOf, entry, memoryReader, memorySink, noise, pieces } from "./support.ts";

const BLOCK = 4096;
const FILES = 40;
const contentOf = (i: number) => noise(1000 + i * 500, i + 1);

let ground: string;
let root: string;
beforeEach(() => {
  ground = mkdtempSync(join(tmpdir(), "xvault-damage-"));
  root = join(ground, "target");
});
afterEach(() => rmSync(ground, { recursive: true, force: true }));

async function pack() {
  const [stored, leaves, index] = [memorySink(), memorySink(), memorySink()];
  const hashed = hashBlocks(stored, leaves, BLOCK);
  const writer = createArtifactWriter({ artifact: hashed, index, frameBytes: 50_000 });
  for (let i = 0; i < FILES; i += 1) {
    const content = contentOf(i);
    await writer.add(entry(`d/${i}`, { size: content.length }), pieces(content));
  }
  await writer.finish();
  return { stored: stored.bytes(), leaves: leaves.bytes(), index: index.bytes(), expected: hashed.result() };
}

type Packed = Awaited<ReturnType<typeof pack>>;

async function restore(packed: Packed, stored: Buffer): Promise<void> {
  const { root: tree, sizeBytes } = packed.expected;
  const blocks = verifiedReader(memoryReader(stored), packed.leaves, { root: tree, sizeBytes, blockBytes: BLOCK });
  const tar = await openFrames(blocks);
  const reader = openArtifact({ tar, index: await openFrames(memoryReader(packed.index)) });
  const target = await createLocalTarget(root);
  try {
    for await (const line of reader.entries()) await target.put(entryFromIndex(line), reader.body(line));
    await target.finish();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** Numbers of the files in the target; each must be whole, and nothing else may be there. */
function wholeFiles(): number {
  const names = existsSync(join(root, "d")) ? readdirSync(join(root, "d")) : [];
  for (const name of names)
    expect(readFileSync(join(root, "d", name)).equals(contentOf(Number(name))), name).toBe(true);
  return names.length;
}

describe("damage in what is stored never reaches the target", () => {
  test("an undamaged one restores wholly (control)", async () => {
    const packed = await pack();
    await restore(packed, packed.stored);
    expect(wholeFiles()).toBe(FILES);
  });

  test("a flipped byte anywhere: the restore fails, and only whole files stand there", async () => {
    const packed = await pack();
    const counts: number[] = [];
    for (let i = 0; i < 24; i += 1) {
      rmSync(root, { recursive: true, force: true });
      const at = Math.floor((packed.stored.length * i) / 24);
      const damaged = Buffer.from(packed.stored);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      expect(await codeOf(restore(packed, damaged))).toBe("ARTIFACT_CORRUPT");
      counts.push(wholeFiles());
    }
    expect(Math.max(...counts)).toBeGreaterThan(FILES / 2);
    expect(Math.max(...counts)).toBeLessThan(FILES);
  });

  test("cut, lengthened and spliced objects are refused before anything is written", async () => {
    const packed = await pack();
    const { stored } = packed;
    const spliced = Buffer.concat([stored.subarray(0, BLOCK), stored.subarray(0, BLOCK), stored.subarray(2 * BLOCK)]);
    expect(await codeOf(restore(packed, stored.subarray(0, -1)))).toBe("ARCHIVE_TRUNCATED");
    expect(await codeOf(restore(packed, Buffer.concat([stored, stored])))).toBe("ARTIFACT_CORRUPT");
    expect(wholeFiles()).toBe(0);
    expect(await codeOf(restore(packed, spliced))).toBe("ARTIFACT_CORRUPT");
    expect(wholeFiles()).toBeLessThan(5);
  });
});

describe("a local target", () => {
  test("a cancelled restore leaves no temporary file and no half one", async () => {
    const control = new AbortController();
    const target = await createLocalTarget(root, { signal: control.signal });
    const slow = (async function* () {
      yield noise(400_000);
      control.abort();
      yield noise(400_000);
    })();
    expect(await codeOf(target.put(entry("f", { size: 800_000 }), slow))).toBe("CANCELLED");
    await target.abort();
    expect(readdirSync(root)).toEqual([]);
    expect(await codeOf(target.put(entry("g"), null))).toBe("CANCELLED");
  });

  test("directories that were there keep their mode under 'never' and get the snapshot's otherwise", async () => {
    mkdirSync(join(root, "old"), { recursive: true, mode: 0o700 });
    const modes = async (overwrite: "never" | "always") => {
      const target = await createLocalTarget(root, { overwrite });
      const results = [
        await target.put(entry("old", { type: "dir", mode: 0o755 }), null),
        await target.put(entry(`new-${overwrite}/below`, { type: "dir", mode: 0o750 }), null),
      ];
      await target.finish();
      const modeOf = (name: string) => lstatSync(join(root, name)).mode & 0o777;
      return [...results, modeOf("old"), modeOf(`new-${overwrite}`), modeOf(`new-${overwrite}/below`)];
    };
    expect(await modes("never")).toEqual(["skipped", "written", 0o700, 0o700, 0o750]);
    expect(await modes("always")).toEqual(["written", "written", 0o755, 0o700, 0o750]);
  });
});
