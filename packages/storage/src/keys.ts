import { isId, type SnapshotId, type SourceId, type TenantId, XVaultError } from "@xvault/kernel";

const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/;
const MAX_KEY_LENGTH = 900;

/**
 * Refuses a key that is not one or more segments of letters, digits, '.', '_' and '-' (none of which begins with '.' or '-')
 * with `PATH_INVALID`. So no key climbs out of its store, and none can be mistaken for a temporary file or an option.
 */
export function checkKey(key: string): void {
  if (key.length > MAX_KEY_LENGTH || !key.split("/").every((segment) => SEGMENT.test(segment))) {
    throw new XVaultError("PATH_INVALID", "The key of a stored object is not valid.", {
      fix: "This is a defect of the caller; keys are made of ids.",
    });
  }
}

/** What is written to try a storage lies below this, where no snapshot does. */
export const PROBE_PREFIX = "xvault-probe";

/** Where the parts of one snapshot lie. Every one is a key, `dir` a prefix of all. */
export interface SnapshotKeys {
  dir: string;
  /** age → zstd → tar. */
  artifact: string;
  /** The file index, encrypted. */
  index: string;
  /** sha256 of each block of the artifact. */
  blocks: string;
  /** Signed, written last: without it the snapshot does not exist. */
  manifest: string;
  /** Ids and format, in clear. */
  meta: string;
  /** What the source's next run compares with, encrypted. No restore needs it. */
  plan: string;
  /** Signed; stands where a snapshot was removed on purpose. */
  tombstone: string;
}

/** The keys of a snapshot, as `docs/FORMAT.md` lays them out. `PATH_INVALID` unless all three are ids. */
export function snapshotKeys(tenantId: TenantId, sourceId: SourceId, snapshotId: SnapshotId): SnapshotKeys {
  if (![tenantId, sourceId, snapshotId].every(isId)) {
    throw new XVaultError("PATH_INVALID", "A part of the snapshot's place is not an id.");
  }
  const dir = `backups/${tenantId}/${sourceId}/${snapshotId}`;
  return {
    dir,
    artifact: `${dir}/backup.tar.zst.enc`,
    index: `${dir}/index.zst.enc`,
    blocks: `${dir}/blocks.bin`,
    manifest: `${dir}/manifest.json`,
    meta: `${dir}/meta.json`,
    plan: `${dir}/plan.enc`,
    tombstone: `${dir}/tombstone.json`,
  };
}
