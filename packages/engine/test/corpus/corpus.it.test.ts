import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createLocalTarget,
  entryFromIndex,
  type IndexEntry,
  logicalBytes,
  openFrames,
  parseTar,
} from "@xvault/archive";
import { metaSchema } from "@xvault/contracts";
import { openPayload, unwrapFileKey, verifyTombstone } from "@xvault/crypto";
import { type ByteReader, readThrough } from "@xvault/kernel";
import { openLocalStore } from "@xvault/storage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chainFindings,
  checkSnapshot,
  createReportLog,
  findSnapshots,
  runVerify,
  type SnapshotObjects,
  storedObjects,
  unsealWithIdentities,
} from "../../src/index.ts";
import { codeOf, restoreTo } from "../lab.ts";
import { differencesOnDisk } from "./on-disk.ts";
import { type Case, casesOf, FIXTURES, keyOf, kitOf, OBJECTS, VERSIONS } from "./support.ts";

/** SHA-256 of the `SHA256SUMS` of each version. Lines are added here, never changed: what was written once must be read for ever. */
const SEALS: Record<string, string> = {
  v1: "0f5156b2f65835a7364966bba1a69a000c2207c7f255fa82698d1f0c329aaa46",
  v1b: "0b4eefc6e29533b1b8417cbd07bce5f8e20d9366a788d43c160da08e13cf71e3",
  v1c: "66bc64ca99afdc4d10e1bf4c4f633f5da776d3fe94a1e7516cb115f30188e7d1",
};

/** Of v1c one run was partial, and one was removed. */
const TOMBSTONES: Record<string, number> = { v1c: 1 };

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

let scratch: string;
beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "xvault-corpus-")));
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+rwX", scratch]);
  rmSync(scratch, { recursive: true, force: true });
});

const objectsOf = async (one: Case) => storedObjects(await openLocalStore({ root: one.base }), one.place);
const check = (one: Case, objects: SnapshotObjects) =>
  checkSnapshot(objects, { rootKeys: one.rootKeys, expect: one.place });
const open = async (one: Case, kit = one.identities[0] ?? "") =>
  unsealWithIdentities(await check(one, await objectsOf(one)), kitOf(one.base, kit).identities);
const quiet = () => ({ reporter: createReportLog().reporter, signal: new AbortController().signal });

test("every version of the corpus is sealed, and the seal is of what lies there", () => {
  expect(VERSIONS).toEqual(Object.keys(SEALS));
  for (const version of VERSIONS) {
    const base = join(FIXTURES, version);
    const sums = readFileSync(join(base, "SHA256SUMS"));
    expect(sha256(sums), `${version} was changed: corpus files are added in a new version, never changed`).toBe(
      SEALS[version],
    );
    const lying = readdirSync(base, { recursive: true, withFileTypes: true })
      .filter((found) => found.isFile() && found.name !== "SHA256SUMS")
      .map((found) => join(found.parentPath, found.name).slice(base.length + 1))
      .sort();
    const said = lying.map((name) => `${sha256(readFileSync(join(base, name)))}  ${name}\n`);
    expect(said.join("")).toBe(sums.toString());
  }
});

describe.each(VERSIONS)("promise 29: today's reader and what was written as %s", (version) => {
  const cases = casesOf(version);

  test("a recovery finds every snapshot of it, as it would in a storage's base", async () => {
    const found = await findSnapshots(join(FIXTURES, version, "backups"));
    expect(found.unreadable).toEqual([]);
    expect(found.snapshots.map(({ directory }) => directory).sort()).toEqual(
      cases.map(({ directory }) => directory).sort(),
    );
    // What was removed left a note that the root key vouches for, and with it no chain has a gap.
    expect(found.tombstones).toHaveLength(TOMBSTONES[version] ?? 0);
    for (const tombstone of found.tombstones) verifyTombstone(tombstone, cases[0]?.rootKeys ?? []);
    const chained = found.snapshots.map(({ manifest }) => manifest);
    if (version !== "v1") expect([...chainFindings(chained, found.tombstones).values()]).toEqual([]);
  });

  describe.each(cases)("$name", (one) => {
    test("each identity alone opens it; index and contents are those that went in", async () => {
      for (const kit of one.identities) {
        const artifact = await open(one, kit);
        const lines: IndexEntry[] = [];
        for await (const line of artifact.entries()) lines.push(line);
        expect(lines.map(withoutPlace)).toEqual(one.entries);
        for (const line of lines) {
          if (line.type !== "file") continue;
          const hash = createHash("sha256");
          for await (const piece of logicalBytes(entryFromIndex(line), artifact.body(line))) hash.update(piece);
          expect(hash.digest("hex"), keyOf(line)).toBe(line.sha256);
        }
        artifact.release();
      }
    });

    test("the tar itself says the same as the index", async () => {
      const checked = await check(one, await objectsOf(one));
      const key = await unwrapFileKey(checked.headers.artifact, kitOf(one.base, one.identities[0] ?? "").identities);
      const tar = await openFrames(await openPayload(checked.artifact, checked.headers.artifact.length, key));
      const packed = [];
      for await (const { entry } of parseTar(readThrough(tar))) packed.push(entry);
      const artifact = await open(one);
      const lines = [];
      for await (const line of artifact.entries()) if (!line.snapshot) lines.push(entryFromIndex(line));
      expect(packed).toEqual(lines);
      expect(tar.size).toBe(one.manifest.artifact.tar_bytes);
    });

    if (one.on_disk) {
      test("it restores byte for byte: names, kinds, modes, owners, times, links, holes", async () => {
        const to = join(scratch, one.version, one.name);
        const result = await restoreTo(await open(one), await createLocalTarget(to));
        expect(result).toMatchObject({ written: one.entries.length, skipped: 0 });
        expect(differencesOnDisk(to, one.entries, join(scratch, "probe"))).toEqual([]);
      });
    }

    test("it verifies, by what is stored and by content; the manifest counts what is there", async () => {
      const checked = await check(one, await objectsOf(one));
      const files = one.entries.filter(({ type }) => type === "file");
      expect(await runVerify({ checked, artifact: null, ...quiet() })).toMatchObject({ depth: "whole" });
      expect(await runVerify({ checked, artifact: await open(one), ...quiet() })).toMatchObject({
        depth: "content",
        files: files.length,
      });
      const { contents, references, partial } = one.manifest;
      expect(contents).toMatchObject({
        files: files.length,
        directories: one.entries.filter(({ type }) => type === "dir").length,
        plain_bytes: files.reduce((sum, { size }) => sum + size, 0),
      });
      expect(partial).toBe(contents.problems > 0);
      const named = new Set(one.entries.flatMap(({ snapshot }) => snapshot ?? []));
      expect(new Set(references.map(({ snapshot_id }) => snapshot_id))).toEqual(named);
      const meta = metaSchema.parse(JSON.parse(readFileSync(join(one.directory, "meta.json"), "utf8")));
      expect(meta).toEqual({ format: 1, ...one.place, worker_id: one.manifest.worker_id });
    });

    // meta.json is for people and for the storage's owner: no reader believes it.
    test.each(OBJECTS.filter((object) => object !== "meta.json"))("a changed byte of %s is found", async (object) => {
      const bytes = readFileSync(join(one.directory, object));
      for (const at of places(bytes.length)) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 0x10;
        const objects = withObject(await objectsOf(one), object, changed);
        const code = await codeOf(
          check(one, objects).then((checked) => runVerify({ checked, artifact: null, ...quiet() })),
        );
        expect(["ARTIFACT_CORRUPT", "SIGNATURE_INVALID", "ARCHIVE_MALFORMED"], `byte ${at}`).toContain(code);
      }
    });

    test.each(one.manifest.references)(
      "a changed byte in $snapshot_id, which it needs, is found",
      async (reference) => {
        const objects = await objectsOf(one);
        const earlier = join(one.directory, "..", reference.snapshot_id);
        for (const object of ["backup.tar.zst.enc", "blocks.bin", "manifest.json"] as const) {
          const changed = readFileSync(join(earlier, object));
          const at = Math.floor(changed.length / 2);
          changed[at] = (changed[at] ?? 0) ^ 0x10;
          const damaged: SnapshotObjects = {
            ...objects,
            earlier: (id) => {
              const found = objects.earlier(id);
              return id === reference.snapshot_id ? withObject(found, object, changed) : found;
            },
          };
          const verifying = check(one, damaged).then((checked) => runVerify({ checked, artifact: null, ...quiet() }));
          const code = await codeOf(verifying);
          expect(["ARTIFACT_CORRUPT", "SIGNATURE_INVALID", "ARCHIVE_MALFORMED"], object).toContain(code);
        }
      },
    );
  });
});

function withoutPlace(line: IndexEntry): Omit<IndexEntry, "offset" | "body_offset" | "body_bytes"> {
  const { offset: _offset, body_offset: _bodyOffset, body_bytes: _bodyBytes, ...rest } = line;
  return rest;
}

/** First and last byte, and some between. */
function places(length: number): number[] {
  const some = Array.from({ length: 24 }, (_, i) => Math.floor((length - 1) * ((i * 0.618034) % 1)));
  return [...new Set([0, length - 1, ...some])];
}

function withObject(objects: SnapshotObjects, object: (typeof OBJECTS)[number], bytes: Buffer): SnapshotObjects {
  const reader: ByteReader = {
    size: bytes.length,
    read: async (offset, length) => Buffer.from(bytes.subarray(offset, offset + length)),
  };
  switch (object) {
    case "backup.tar.zst.enc":
      return { ...objects, artifact: async () => reader };
    case "index.zst.enc":
      return { ...objects, index: async () => reader };
    case "blocks.bin":
      return { ...objects, blocks: async () => Buffer.from(bytes) };
    default:
      return { ...objects, manifest: async () => Buffer.from(bytes) };
  }
}
