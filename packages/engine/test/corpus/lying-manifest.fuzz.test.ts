import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IndexEntry } from "@xvault/archive";
import { parseManifest } from "@xvault/crypto";
import { openLocalStore } from "@xvault/storage";
import { boundedReader, fuzz, largestAllocation, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSnapshot, type SnapshotObjects, storedObjects, unsealWithIdentities } from "../../src/index.ts";
import { type Case, casesOf, kitOf } from "./support.ts";

/** What a recovery without root keys may meet: nobody has signed any of this. */
const REFUSALS = [
  "ARCHIVE_MALFORMED",
  "ARCHIVE_TRUNCATED",
  "ARTIFACT_CORRUPT",
  "ARTIFACT_MISSING",
  "EXPANSION_LIMIT",
  "KEY_MISMATCH",
  "MANIFEST_TENANT_MISMATCH",
  "PATH_INVALID",
  "SIGNATURE_INVALID",
  "TRAILING_DATA",
  "WINDOW_TOO_LARGE",
] as const;

const cases = casesOf("v1").filter(({ name }) => ["partial", "chain-2", "large"].includes(name));
const files = ["manifest.json", "backup.tar.zst.enc", "index.zst.enc", "blocks.bin"] as const;
type Files = Record<(typeof files)[number], Buffer>;
const filesOf = (one: Case) =>
  Object.fromEntries(files.map((name) => [name, readFileSync(join(one.directory, name))])) as Files;
const held = new Map(cases.map((one) => [one.name, filesOf(one)]));

const oddNumber = fc.constantFrom(
  -1,
  0,
  1,
  31,
  200,
  65_537,
  1_048_575,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 53 - 1,
  1 - 2 ** 53,
);

interface Attempt {
  one: Case;
  files: Files;
}

/** A snapshot of the corpus with other numbers in its manifest, or with other bytes in its objects. */
const attempts: fc.Arbitrary<Attempt> = fc.constantFrom(...cases).chain((one) => {
  const whole = held.get(one.name) as Files;
  const numbers = fc.array(fc.tuple(fc.nat(), oddNumber), { minLength: 1, maxLength: 3 }).map((changes): Attempt => {
    let text = whole["manifest.json"].toString();
    for (const [which, number] of changes) {
      const places = [...text.matchAll(/":(-?\d+)/g)];
      const place = places[which % places.length];
      if (place) text = `${text.slice(0, place.index)}":${number}${text.slice(place.index + place[0].length)}`;
    }
    return { one, files: { ...whole, "manifest.json": Buffer.from(text) } };
  });
  const bytes = fc
    .constantFrom(...files)
    .chain((name) =>
      mutated([whole[name]], 2).map((changed): Attempt => ({ one, files: { ...whole, [name]: changed } })),
    );
  return fc.oneof({ weight: 2, arbitrary: numbers }, { weight: 1, arbitrary: bytes });
});

/** Reads all that a recovery would; gives the entries. */
async function recover({ one, files: given }: Attempt): Promise<IndexEntry[]> {
  const store = await openLocalStore({ root: one.base });
  const objects: SnapshotObjects = {
    ...storedObjects(store, one.place),
    manifest: async () => given["manifest.json"],
    artifact: async () => boundedReader(given["backup.tar.zst.enc"]),
    index: async () => boundedReader(given["index.zst.enc"]),
    blocks: async () => given["blocks.bin"],
  };
  const checked = await checkSnapshot(objects, { rootKeys: [], allowUnverified: true });
  const artifact = await unsealWithIdentities(checked, kitOf(one.base, one.identities[0] ?? "").identities);
  const lines: IndexEntry[] = [];
  for await (const line of artifact.entries()) {
    let length = 0;
    for await (const piece of artifact.body(line)) length += piece.length;
    expect(length).toBe(line.body_bytes);
    lines.push(line);
  }
  artifact.release();
  return lines;
}

test("control: unchanged, all of it is read", async () => {
  for (const one of cases) {
    expect((await recover({ one, files: held.get(one.name) as Files })).length).toBe(one.entries.length);
  }
});

test("a manifest that lies, or bytes that were changed, give what was backed up or a refusal, within bounds", async () => {
  const seen = { whole: 0, refused: 0 };
  await fuzz(
    attempts,
    async (attempt) => {
      let lines: IndexEntry[] | null = null;
      const largest = await largestAllocation(async () => {
        lines = await orRefused(REFUSALS, () => recover(attempt));
      });
      // A frame, and a block or two: never what a number in the manifest asks for.
      expect(largest).toBeLessThanOrEqual(17 * 1024 * 1024);
      seen[lines ? "whole" : "refused"] += 1;
      if (!lines) return;
      const sums = (entries: { sha256?: string | undefined }[]) => entries.map(({ sha256 }) => sha256);
      expect(sums(lines)).toEqual(sums(attempt.one.entries));
    },
    250,
  );
  expect(Math.min(seen.whole, seen.refused)).toBeGreaterThan(10);
});

test("a header that is said to be as long as its artifact is not held whole", async () => {
  const one = cases.find(({ name }) => name === "large") as Case;
  const whole = held.get("large") as Files;
  const size = parseManifest(whole["manifest.json"]).artifact.size_bytes;
  const text = whole["manifest.json"].toString().replaceAll(/"header_bytes":\d+/g, `"header_bytes":${size}`);
  const attempt = { one, files: { ...whole, "manifest.json": Buffer.from(text) } };
  const largest = await largestAllocation(async () => {
    expect(await orRefused(["ARTIFACT_CORRUPT"], () => recover(attempt))).toBe(null);
  });
  expect(largest).toBeLessThan(size);
});
