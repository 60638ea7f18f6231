import {
  type ArtifactReader,
  BLOCK_BYTES,
  MAX_LEAVES_BYTES,
  merkleRoot,
  openArtifact,
  openFrames,
  verifiedReader,
} from "@xvault/archive";
import type { Manifest } from "@xvault/contracts";
import { MAX_HEADER_LENGTH, headerSha256, openPayload, parseAgeHeader } from "@xvault/crypto";
import { type ByteReader, readThrough, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { createHash } from "node:crypto";
import { type CheckOptions, earlierManifest, genuineManifest, twice } from "./genuine-manifest.ts";
import { keysOf, type SnapshotPlace } from "./place.ts";
import { aboutEarlier, earlierArtifacts, type EarlierKey, referenceTo } from "./references.ts";

/** The objects of one stored snapshot, wherever they lie: on a disk, in a store, behind a worker's data listener. */
export interface SnapshotObjects {
  manifest(): Promise<Buffer>;
  artifact(): Promise<ByteReader>;
  index(): Promise<ByteReader>;
  blocks(): Promise<Buffer>;
  /** The objects of an earlier snapshot of the same source, of which no index is needed. */
  earlier(snapshotId: string): SnapshotObjects;
}

const MAX_SMALL_OBJECT = 256 * 1024 * 1024;
/** Blocks held of each earlier artifact: what reading on from where one was needs. */
const EARLIER_CACHED_BLOCKS = 2;

/** The objects of a snapshot in a store. */
export function storedObjects(store: ObjectStore, place: SnapshotPlace): SnapshotObjects {
  const keys = keysOf(place);
  return {
    manifest: () => store.readAll(keys.manifest, MAX_SMALL_OBJECT),
    artifact: () => store.reader(keys.artifact),
    index: () => store.reader(keys.index),
    blocks: () => store.readAll(keys.blocks, MAX_LEAVES_BYTES),
    earlier: (snapshotId) => storedObjects(store, { ...place, snapshot_id: snapshotId }),
  };
}

/** An artifact that belongs to a genuine manifest and has the right size and header. Still sealed. */
export interface CheckedArtifact {
  manifest: Manifest;
  /** Its age header. */
  header: Buffer;
  /** Reads of the artifact that are checked block by block against the signed root. */
  artifact: ByteReader;
}

/** A snapshot whose manifest was found genuine and whose objects have the right sizes and headers. Still sealed. */
export interface CheckedSnapshot {
  manifest: Manifest;
  headers: { artifact: Buffer; index: Buffer };
  /** Reads of the artifact that are checked block by block against the signed root. */
  artifact: ByteReader;
  /**
   * Opens and checks the artifact of an earlier snapshot that the manifest refers to: genuine, of the same tenant and source, and the very
   * one that is meant, by its manifest's hash. What fails is named by `snapshot_id` in the error's data.
   *
   * @throws ARCHIVE_MALFORMED when the manifest does not refer to it; ARTIFACT_MISSING; MANIFEST_TENANT_MISMATCH or SIGNATURE_INVALID when it
   * was exchanged; what `checkSnapshot` throws.
   */
  earlier(snapshotId: string): Promise<CheckedArtifact>;
  /** Reads of the index that are checked block by block against what was held against its signed hash. */
  index: ByteReader;
}

/**
 * Opens a stored snapshot as far as no key is needed: signature first, then headers, block hashes and the index's hash. What does not
 * match is read once more before it is called damaged (promise 18).
 *
 * @throws SIGNATURE_INVALID, MANIFEST_TENANT_MISMATCH, ARTIFACT_CORRUPT, ARTIFACT_MISSING, ARCHIVE_TRUNCATED
 */
export async function checkSnapshot(objects: SnapshotObjects, options: CheckOptions): Promise<CheckedSnapshot> {
  const manifest = await genuineManifest(objects, options);
  const artifactObject = await artifactOf(objects, manifest);
  const indexObject = sized(await objects.index(), manifest.index.size_bytes, "index");
  const { artifact, header } = await checkArtifact(objects, artifactObject, manifest);
  const index = await twice(["ARTIFACT_CORRUPT"], () =>
    verifiedIndex(indexObject, manifest.index.sha256, options.heldIndexBytes ?? HELD_INDEX),
  );
  return {
    manifest,
    headers: { artifact: header, index: await readHeader(index, manifest.index) },
    artifact,
    earlier: (snapshotId) => checkEarlier(objects, manifest, snapshotId, options),
    index,
  };
}

async function checkEarlier(
  objects: SnapshotObjects,
  by: Manifest,
  snapshotId: string,
  options: CheckOptions,
): Promise<CheckedArtifact> {
  // Outside: an id that the manifest does not name is the caller's mistake, not the earlier snapshot's.
  referenceTo(by, snapshotId);
  try {
    const earlier = objects.earlier(snapshotId);
    const manifest = await earlierManifest(earlier, by, snapshotId, options);
    return await checkArtifact(earlier, await artifactOf(earlier, manifest), manifest, EARLIER_CACHED_BLOCKS);
  } catch (error) {
    throw aboutEarlier(snapshotId, error);
  }
}

async function artifactOf(objects: SnapshotObjects, manifest: Manifest): Promise<ByteReader> {
  return sized(await objects.artifact(), manifest.artifact.size_bytes, "artifact");
}

async function checkArtifact(
  objects: SnapshotObjects,
  stored: ByteReader,
  manifest: Manifest,
  cachedBlocks?: number,
): Promise<CheckedArtifact> {
  const expected = {
    root: manifest.blocks.root,
    sizeBytes: manifest.artifact.size_bytes,
    blockBytes: manifest.blocks.block_bytes,
  };
  const artifact = await twice(["ARTIFACT_CORRUPT"], async () =>
    verifiedReader(stored, await objects.blocks(), expected, cachedBlocks === undefined ? {} : { cachedBlocks }),
  );
  return { manifest, header: await readHeader(artifact, manifest.artifact), artifact };
}

/**
 * Unseals a checked snapshot with the file keys of its artifact and its index. `earlier` gives those of the artifacts that it refers to, when
 * one is needed; without it they stay sealed (KEY_MISMATCH).
 */
export async function unsealSnapshot(
  checked: CheckedSnapshot,
  keys: { artifact: Buffer; index: Buffer; earlier?: EarlierKey },
): Promise<ArtifactReader> {
  const open = async (reader: ByteReader, header: Buffer, key: Buffer) =>
    openFrames(await openPayload(reader, header.length, key));
  const noKey = () => Promise.reject(new XVaultError("KEY_MISMATCH"));
  return openArtifact({
    tar: await open(checked.artifact, checked.headers.artifact, keys.artifact),
    index: await open(checked.index, checked.headers.index, keys.index),
    earlier: earlierArtifacts(checked, keys.earlier ?? noKey),
  });
}

const HELD_INDEX = 8 * BLOCK_BYTES;

/** Holds the whole index against its hash; gives a view that holds what is read of it later against what was hashed. */
async function verifiedIndex(stored: ByteReader, sha256: string, most: number): Promise<ByteReader> {
  const whole = createHash("sha256");
  const leaves: Buffer[] = [];
  const held: Buffer[] = [];
  for await (const block of readThrough(stored, 0, stored.size, BLOCK_BYTES)) {
    whole.update(block);
    if (stored.size <= most) held.push(block);
    else leaves.push(createHash("sha256").update(block).digest());
  }
  if (whole.digest("hex") !== sha256) {
    throw new XVaultError("ARTIFACT_CORRUPT", "The stored index is not the one that was signed.");
  }
  if (stored.size <= most) return heldReader(Buffer.concat(held));
  const hashes = Buffer.concat(leaves);
  return verifiedReader(stored, hashes, {
    root: merkleRoot(hashes),
    sizeBytes: stored.size,
    blockBytes: BLOCK_BYTES,
  });
}

function heldReader(bytes: Buffer): ByteReader {
  return {
    size: bytes.length,
    read: async (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > bytes.length) throw new XVaultError("ARCHIVE_TRUNCATED");
      return bytes.subarray(offset, offset + length);
    },
  };
}

async function readHeader(
  reader: ByteReader,
  expected: { header_sha256: string; header_bytes: number },
): Promise<Buffer> {
  // However long a manifest says that it is: what is read is held.
  const header = await reader.read(0, Math.min(Math.max(expected.header_bytes, 0), MAX_HEADER_LENGTH, reader.size));
  const parsed = parseAgeHeader(header);
  if (parsed?.length !== header.length || headerSha256(header) !== expected.header_sha256) {
    throw new XVaultError("ARTIFACT_CORRUPT", "The age header is not the one that was signed.");
  }
  return header;
}

function sized(reader: ByteReader, expected: number, what: string): ByteReader {
  if (reader.size < expected)
    throw new XVaultError("ARCHIVE_TRUNCATED", `The stored ${what} is shorter than the manifest says.`);
  if (reader.size > expected)
    throw new XVaultError("TRAILING_DATA", `The stored ${what} is longer than the manifest says.`);
  return reader;
}
