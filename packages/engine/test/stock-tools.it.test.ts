import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { indexPath } from "@xvault/archive";
import { parseManifest, recipientFingerprint } from "@xvault/crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keysOf } from "../src/index.ts";
import { because, identityFile, type Lab, noSshd, openLab, shell, toolsMissing, TRANSPORTS } from "./lab.ts";
import { differences, noise, plantTree, wholeSeconds } from "./trees.ts";

const missing = noSshd ?? toolsMissing("age", "zstd", "tar", "sha256sum");
const BLOCK = 1024 * 1024;

describe.skipIf(missing)(`promise 30: three stock programs open it${because(missing)}`, () => {
  let lab: Lab;
  let identity: string;
  beforeAll(async () => {
    lab = await openLab();
    identity = identityFile(lab);
  });
  afterAll(() => lab?.stop());

  const pathsOf = (place: Parameters<typeof keysOf>[0]) => {
    const keys = keysOf(place);
    return {
      artifact: join(lab.storeRoot, keys.artifact),
      index: join(lab.storeRoot, keys.index),
      blocks: join(lab.storeRoot, keys.blocks),
      manifest: join(lab.storeRoot, keys.manifest),
      meta: join(lab.storeRoot, keys.meta),
    };
  };

  for (const transport of TRANSPORTS) {
    test(`age -d | zstd -d | tar -x gives the tree that was pulled by ${transport}`, async () => {
      const tree = join(lab.sshd.home, transport);
      plantTree(tree, 11, { before1970: transport === "tar" });
      const { place } = await lab.backup([tree], { transport });
      const to = join(lab.dir, `stock-${transport}`);
      const lost = transport === "sftp" ? { time: wholeSeconds, linksAsFiles: true, holesAsZeros: true } : {};
      // GNU tar remarks on times before 1970 and in the future, and on a keyword that other tars need; nothing else may be said.
      mkdirSync(to);
      const quiet = "--warning=no-timestamp --warning=no-unknown-keyword";
      const line = `age -d -i "$1" "$2" | zstd -d | tar -x -p -C "$3" -f - ${quiet}`;
      shell(line, [identity, pathsOf(place).artifact, to]);
      expect(differences(to + tree, tree, lost)).toEqual([]);
      shell('age -d -i "$1" "$2" | zstd -t -q -', [identity, pathsOf(place).artifact]);
    });
  }

  test("sizes, hashes and root of the manifest are those of the stored objects", async () => {
    const tree = join(lab.sshd.home, "blocks");
    mkdirSync(tree);
    // Six blocks and a part: the tree of hashes is not a complete one.
    writeFileSync(join(tree, "noise"), noise(6_300_000, 1));
    writeFileSync(join(tree, "text"), "text\n".repeat(1000));
    const { place, manifest, result } = await lab.backup([tree]);
    const paths = pathsOf(place);
    const sha256sum = (path: string) => shell('sha256sum < "$1"', [path]).toString().slice(0, 64);

    expect(parseManifest(readFileSync(paths.manifest))).toEqual(manifest);
    for (const name of ["artifact", "index"] as const) {
      const { size_bytes, sha256, header_bytes, header_sha256 } = manifest[name];
      expect(statSync(paths[name]).size).toBe(size_bytes);
      expect(sha256sum(paths[name])).toBe(sha256);
      const header = readFileSync(paths[name]).subarray(0, header_bytes);
      expect(header.toString("latin1")).toMatch(/^age-encryption\.org\/v1\n-> X25519 [^]*\n--- [A-Za-z0-9+/]{43}\n$/);
      expect(createHash("sha256").update(header).digest("hex")).toBe(header_sha256);
    }
    const count = (script: string) => Number(shell(`${script} | wc -c`, [identity, paths.artifact]).toString());
    expect(count('age -d -i "$1" "$2"')).toBe(manifest.artifact.compressed_bytes);
    expect(count('age -d -i "$1" "$2" | zstd -d')).toBe(manifest.artifact.tar_bytes);

    const leaves = rangesOf(readFileSync(paths.artifact), BLOCK).map((block) => sha256(block));
    expect(leaves.length).toBe(7);
    expect(manifest.blocks).toEqual({
      name: "blocks.bin",
      block_bytes: BLOCK,
      count: 7,
      root: treeHash(leaves).toString("hex"),
    });
    expect(readFileSync(paths.blocks).equals(Buffer.concat(leaves))).toBe(true);

    expect(manifest.contents).toEqual({ files: 2, directories: 1, links: 0, plain_bytes: 6_305_000, problems: 0 });
    expect(manifest.encryption.recipients).toEqual([{ fingerprint: await recipientFingerprint(lab.keys.recipient) }]);
    expect(result).toMatchObject({ files: 2, plain_bytes: 6_305_000, size_bytes: manifest.artifact.size_bytes });
    expect(JSON.parse(readFileSync(paths.meta, "utf8"))).toEqual({ format: 1, ...place, worker_id: lab.workerId });
  });

  test("the index opens the same way: JSON lines with each file's own SHA-256 and its place in the tar", async () => {
    const tree = join(lab.sshd.home, "indexed");
    plantTree(tree, 12);
    const { place } = await lab.backup([tree], { transport: "tar" });
    const { artifact, index } = pathsOf(place);
    const lines = shell('age -d -i "$1" "$2" | zstd -d', [identity, index]).toString().trim().split("\n");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ format: 1, kind: "xvault-index" });
    const tar = shell('age -d -i "$1" "$2" | zstd -d', [identity, artifact]);
    const entries = lines.slice(1, -1).map((line) => JSON.parse(line));
    expect(entries.length).toBeGreaterThan(80);
    for (const entry of entries) {
      if (entry.type !== "file") continue;
      const content = readFileSync(Buffer.concat([Buffer.from("/"), indexPath(entry)]));
      expect(entry.sha256).toBe(sha256(content).toString("hex"));
      const runs: [number, number][] = entry.sparse ?? [[0, entry.size]];
      const body = Buffer.concat(runs.map(([offset, length]) => content.subarray(offset, offset + length)));
      expect(tar.subarray(entry.body_offset, entry.body_offset + entry.body_bytes).equals(body)).toBe(true);
    }
  });
});

function rangesOf(bytes: Buffer, step: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.subarray(i * step, (i + 1) * step));
}

function sha256(...parts: Buffer[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** RFC 6962, section 2.1, as it is written there: split at the largest power of two below the number of leaves. */
function treeHash(leaves: Buffer[]): Buffer {
  const [only] = leaves;
  if (only && leaves.length === 1) return sha256(Buffer.from([0]), only);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Buffer.from([1]), treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)));
}
