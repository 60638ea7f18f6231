import type { ByteReader } from "@xvault/kernel";
import type { SnapshotObjects } from "./snapshot.ts";

/** What was read of stored objects so far. */
export interface ReadCount {
  bytes: number;
  /** Ranges asked for, each a request where the storage is far away. */
  reads: number;
}

/** The same objects, counting what is read of them and of the earlier ones that they lead to. */
export function countReads(objects: SnapshotObjects): { objects: SnapshotObjects; count: ReadCount } {
  const count: ReadCount = { bytes: 0, reads: 0 };
  const note = (bytes: Buffer) => {
    count.bytes += bytes.length;
    count.reads += 1;
    return bytes;
  };
  const reader = (from: ByteReader): ByteReader => ({
    size: from.size,
    read: async (offset, length) => note(await from.read(offset, length)),
  });
  const counted = (from: SnapshotObjects): SnapshotObjects => ({
    manifest: async () => note(await from.manifest()),
    artifact: async () => reader(await from.artifact()),
    index: async () => reader(await from.index()),
    blocks: async () => note(await from.blocks()),
    earlier: (snapshotId) => counted(from.earlier(snapshotId)),
  });
  return { objects: counted(objects), count };
}
