import { MAX_LEAVES_BYTES } from "@xvault/archive";
import type { Manifest, Tombstone } from "@xvault/contracts";
import { parseManifest, parseTombstone } from "@xvault/crypto";
import { isId, toXVaultError, XVaultError } from "@xvault/kernel";
import { openLocalStore } from "@xvault/storage";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { CheckOptions } from "../genuine-manifest.ts";
import type { SnapshotObjects } from "../snapshot.ts";

/** A stored snapshot that was found in a directory or a bucket. What its manifest says is not checked yet. */
export interface FoundSnapshot {
  /** Absolute path of the directory that holds its objects; in a bucket, its address. */
  directory: string;
  manifest: Manifest;
  objects: SnapshotObjects;
  /** Where an earlier snapshot lies that this one refers to: among those found, or beside this one. */
  directoryOf(snapshotId: string): string;
  /** What the snapshot must be by the place it lies in: one that was put into another's place is refused. */
  expect: NonNullable<CheckOptions["expect"]>;
}

export interface FoundSnapshots {
  /** Newest first, as their manifests tell. */
  snapshots: FoundSnapshot[];
  /** Of snapshots that were removed on purpose. Who signed them is not checked yet. */
  tombstones: Tombstone[];
  /** Directories that hold a manifest which cannot be read, or that cannot be read themselves. */
  unreadable: { directory: string; error: XVaultError }[];
  /** Directories that hold an artifact and no manifest: of a run that did not end, or whose manifest is lost. */
  withoutManifest: string[];
}

/** From a storage's base to a snapshot it is four levels; a few more for a base that lies in a copied tree. */
const MAX_DEPTH = 8;
export const MAX_OBJECT_BYTES = 256 * 1024 * 1024;
export const ARTIFACT = "backup.tar.zst.enc";
export const MANIFEST = "manifest.json";
export const TOMBSTONE = "tombstone.json";

/**
 * Finds the snapshots below a directory: a storage's base, a tenant's, a source's or a single snapshot's directory. A snapshot is
 * where a `manifest.json` lies, since that is written last. Symbolic links below `from` are not followed; nothing is written.
 *
 * @throws NOT_FOUND when `from` is not a directory that can be read.
 */
export async function findSnapshots(from: string): Promise<FoundSnapshots> {
  const root = resolve(from);
  const found: FoundSnapshots = { snapshots: [], tombstones: [], unreadable: [], withoutManifest: [] };
  const isDirectory = await stat(root).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isDirectory) {
    throw new XVaultError("NOT_FOUND", `There is no directory at ${root}.`, {
      fix: "Give the storage's base directory, or the directory of a source or of one snapshot.",
    });
  }
  await search(root, 0, found);
  found.snapshots.sort((a, b) => newestFirst(a.manifest, b.manifest));
  return found;
}

async function search(directory: string, depth: number, found: FoundSnapshots): Promise<void> {
  let entries;
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (cause) {
    if (depth === 0) throw new XVaultError("NOT_FOUND", `The directory ${directory} cannot be read.`, { cause });
    const error = new XVaultError("STORAGE_FAILED", "The directory cannot be read.", { cause });
    found.unreadable.push({ directory, error });
    return;
  }
  if (entries.some((entry) => entry.name === MANIFEST && entry.isFile())) {
    await take(directory, found);
    return;
  }
  if (entries.some((entry) => entry.name === TOMBSTONE && entry.isFile())) {
    await takeTombstone(directory, found);
    return;
  }
  if (entries.some((entry) => entry.name === ARTIFACT && entry.isFile())) {
    found.withoutManifest.push(directory);
  }
  if (depth === MAX_DEPTH) return;
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith(".")) await search(join(directory, entry.name), depth + 1, found);
  }
}

async function take(directory: string, found: FoundSnapshots): Promise<void> {
  try {
    const objects = directoryObjects(directory, found.snapshots);
    const manifest = parseManifest(await objects.manifest());
    found.snapshots.push({
      directory,
      manifest,
      objects,
      directoryOf: (snapshotId) => directoryOf(snapshotId, directory, found.snapshots),
      expect: expectedAt(directory, manifest),
    });
  } catch (error) {
    found.unreadable.push({ directory, error: toXVaultError(error) });
  }
}

async function takeTombstone(directory: string, found: FoundSnapshots): Promise<void> {
  try {
    const store = await openLocalStore({ root: directory });
    found.tombstones.push(parseTombstone(await store.readAll(TOMBSTONE, MAX_OBJECT_BYTES)));
  } catch (error) {
    found.unreadable.push({ directory, error: toXVaultError(error) });
  }
}

/** The objects of one snapshot that lie in a directory, wherever that is. Earlier ones are looked for among `found`, then beside it. */
function directoryObjects(directory: string, found: readonly FoundSnapshot[]): SnapshotObjects {
  const open = async () => {
    // A store makes its directory where there is none; here nothing is ever written.
    const isThere = await stat(directory).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (!isThere) throw new XVaultError("ARTIFACT_MISSING", `There is no directory ${directory}.`);
    return openLocalStore({ root: directory });
  };
  return {
    manifest: async () => (await open()).readAll(MANIFEST, MAX_OBJECT_BYTES),
    artifact: async () => (await open()).reader(ARTIFACT),
    index: async () => (await open()).reader("index.zst.enc"),
    blocks: async () => (await open()).readAll("blocks.bin", MAX_LEAVES_BYTES),
    earlier: (snapshotId) => directoryObjects(directoryOf(snapshotId, directory, found), found),
  };
}

/** Where an earlier snapshot lies: beside the one that needs it, else where it was found. Directories, or addresses that read like them. */
export function directoryOf(snapshotId: string, beside: string, found: readonly FoundSnapshot[]): string {
  const sibling = `${dirname(beside)}/${snapshotId}`;
  if (found.some(({ directory }) => directory === sibling)) return sibling;
  return found.find(({ manifest }) => manifest.snapshot_id === snapshotId)?.directory ?? sibling;
}

/** `…/{tenant}/{source}/{snapshot}`: where the directories' names are ids, the manifest must agree with them. */
export function expectedAt(directory: string, manifest: Manifest): FoundSnapshot["expect"] {
  const snapshot = basename(directory);
  const source = basename(dirname(directory));
  const tenant = basename(dirname(dirname(directory)));
  const inPlace = isId(snapshot) && isId(source) && isId(tenant);
  return {
    snapshot_id: isId(snapshot) ? snapshot : manifest.snapshot_id,
    source_id: inPlace ? source : manifest.source_id,
    tenant_id: inPlace ? tenant : manifest.tenant_id,
  };
}

export function newestFirst(a: Manifest, b: Manifest): number {
  return Date.parse(b.created_at) - Date.parse(a.created_at) || b.sequence - a.sequence;
}
