import type { Tier } from "@xvault/contracts";

/** One copy of a snapshot, as planning sees it. */
export interface PlannedCopy {
  id: string;
  storageId: string;
  tier: Tier;
  /** Whole as far as is known, and readable. */
  whole: boolean;
  /** Whether anybody can get at it: false on the disk of a worker that was revoked. */
  reached: boolean;
  /** Until then the storage refuses to remove it. */
  lockedUntil: Date | null;
}

/** A snapshot that is there, as planning sees it. */
export interface PlannedSnapshot {
  id: string;
  /** Its place in the source's chain: what is newer has a higher one, whatever any clock said. */
  sequence: number;
  createdAt: Date;
  /** Not partial, and with a whole copy that has whole copies beside it of all that it needs: it can be restored from there. */
  good: boolean;
  pinned: boolean;
  heldUntil: Date | null;
  /** When it was last restored from. */
  usedAt: Date | null;
  sizeBytes: number;
  /** Earlier snapshots whose artifacts it needs, all of them. */
  needs: readonly string[];
  copies: readonly PlannedCopy[];
}

/** A storage that may take copies. */
export interface PlannedStorage {
  id: string;
  tier: Tier;
}

/** A source with the snapshots that it has. */
export interface PlannedSource {
  id: string;
  /** By which its days, weeks, months and years begin. */
  timezone: string;
  /** What looks wrong with it and nobody has said to be right; while there is something, nothing of it moves or ends. */
  suspicions: readonly string[];
  snapshots: readonly PlannedSnapshot[];
}

/** What an action that is due waits for. */
export type WaitsFor =
  /** A later snapshot that needs this one where it is. */
  | { kind: "snapshot"; snapshotId: string }
  /** Somebody who says that what looks wrong is right. */
  | { kind: "acknowledgement"; suspicions: readonly string[] }
  /** The storage's lock. */
  | { kind: "lock"; until: Date }
  /** A storage of that tier, or of a colder one. */
  | { kind: "storage"; tier: Tier }
  /** A whole copy to copy from. */
  | { kind: "copy" }
  /** Somebody who brings its disk to a worker that is trusted: all of its copies lie with workers that were revoked. */
  | { kind: "worker" };

/** Something that the rules want done. */
export interface Action {
  kind: "move" | "replicate" | "expire";
  sourceId: string;
  snapshotId: string;
  /** Since when, or from when on. */
  due: Date;
  /** Why, in words for people. */
  reason: string;
  sizeBytes: number;
  fromTier: Tier;
  /** Null for an end. */
  toTier: Tier | null;
  /** The copy that goes, once the other one is there and was read back. Of a move alone. */
  from: PlannedCopy | null;
  /** The storage that gets a copy, or has one already. */
  toStorageId: string | null;
  /** Null: nothing stands in the way. */
  waitsFor: WaitsFor | null;
}
