import { type ArtifactReader, openArtifact, openFrames, verifiedReader } from "@xvault/archive";
import type { Manifest } from "@xvault/contracts";
import { headerSha256, openPayload, parseAgeHeader, parseManifest, verifyManifest } from "@xvault/crypto";
import { type ByteReader, readThrough, XVaultError } from "@xvault/kernel";
import type { ObjectStore } from "@xvault/storage";
import { createHash } from "node:crypto";
import { keysOf, type SnapshotPlace } from "./place.ts";

/** The objects of one stored snapshot, wherever they lie: on a disk, in a store, behind a worker's data listener. */
export interface SnapshotObjects {
  manifest(): Promise<Buffer>;
  artifact(): Promise<ByteReader>;
  index(): Promise<ByteReader>;
  blocks(): Promise<Buffer>;
}

const MAX_SMALL_OBJECT = 256 * 1024 * 1024;

/** The objects of a snapshot in a store. */
export function storedObjects(store: ObjectStore, place: SnapshotPlace): SnapshotObjects {
  const keys = keysOf(place);
  return {
    manifest: () => store.readAll(keys.manifest, MAX_SMALL_OBJECT),
    artifact: () => store.reader(keys.artifact),
    index: () => store.reader(keys.index),
    blocks: () => store.readAll(keys.blocks, MAX_SMALL_OBJECT),
  };
}

/** A snapshot whose manifest was found genuine and whose objects have the right sizes and headers. Still sealed. */
export interface CheckedSnapshot {
  manifest: Manifest;
  headers: { artifact: Buffer; index: Buffer };
  /** Reads of the artifact that are checked block by block against the signed root. */
  artifact: ByteReader;
  index: ByteReader;
}

export interface CheckOptions {
  /** Root public keys to trust, base64. Empty only together with `allowUnverified`. */
  rootKeys: string[];
  /** Skips the signature (and only it): for a recovery without the hub's root key. */
  allowUnverified?: boolean;
  /** What the snapshot must be; a genuine manifest of another one is refused. */
  expect?: SnapshotPlace;
}

/**
 * Opens a stored snapshot as far as no key is needed: signature first, then headers, block hashes and the index's hash.
 *
 * @throws SIGNATURE_INVALID, MANIFEST_TENANT_MISMATCH, ARTIFACT_CORRUPT, ARTIFACT_MISSING, ARCHIVE_TRUNCATED
 */
export async function checkSnapshot(objects: SnapshotObjects, options: CheckOptions): Promise<CheckedSnapshot> {
  const manifest = parseManifest(await objects.manifest());
  if (!options.allowUnverified) verifyManifest(manifest, options.rootKeys);
  const { expect } = options;
  if (
    expect &&
    (manifest.tenant_id !== expect.tenant_id ||
      manifest.source_id !== expect.source_id ||
      manifest.snapshot_id !== expect.snapshot_id)
  ) {
    throw new XVaultError("MANIFEST_TENANT_MISMATCH");
  }
  const artifactObject = sized(await objects.artifact(), manifest.artifact.size_bytes, "artifact");
  const indexObject = sized(await objects.index(), manifest.index.size_bytes, "index");
  const artifact = verifiedReader(artifactObject, await objects.blocks(), {
    root: manifest.blocks.root,
    sizeBytes: manifest.artifact.size_bytes,
    blockBytes: manifest.blocks.block_bytes,
  });
  const hash = createHash("sha256");
  for await (const piece of readThrough(indexObject)) hash.update(piece);
  if (hash.digest("hex") !== manifest.index.sha256) {
    throw new XVaultError("ARTIFACT_CORRUPT", "The stored index is not the one that was signed.");
  }
  return {
    manifest,
    headers: {
      artifact: await readHeader(artifact, manifest.artifact),
      index: await readHeader(indexObject, manifest.index),
    },
    artifact,
    index: indexObject,
  };
}

/** Unseals a checked snapshot with the file keys of its artifact and its index. */
export async function unsealSnapshot(
  checked: CheckedSnapshot,
  keys: { artifact: Buffer; index: Buffer },
): Promise<ArtifactReader> {
  const open = async (reader: ByteReader, header: Buffer, key: Buffer) =>
    openFrames(await openPayload(reader, header.length, key));
  return openArtifact({
    tar: await open(checked.artifact, checked.headers.artifact, keys.artifact),
    index: await open(checked.index, checked.headers.index, keys.index),
  });
}

async function readHeader(
  reader: ByteReader,
  expected: { header_sha256: string; header_bytes: number },
): Promise<Buffer> {
  const header = await reader.read(0, Math.min(expected.header_bytes, reader.size));
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
