import { type BucketClock, keepForGood, TokenBucket } from "@xvault/kernel";
import type { ObjectStore, ObjectWriter } from "../object-store.ts";

export interface ThrottledOptions {
  /** Over all reads of this store together; null: as fast as it goes. */
  readBytesPerSecond: number | null;
  /** Over all writes of this store together; null: as fast as it goes. */
  writeBytesPerSecond: number | null;
  clock?: BucketClock | undefined;
}

/**
 * Lets bytes pass at a rate. A write goes on in pieces as the rate allows and resolves with the last one. Of a read the length is known only
 * to be large, so it waits until what was read before is paid for, and then comes whole. Whoever came first is served first.
 */
export function throttled(store: ObjectStore, options: ThrottledOptions): ObjectStore {
  const reads = turns(new TokenBucket(() => options.readBytesPerSecond, options.clock));
  const writes = turns(new TokenBucket(() => options.writeBytesPerSecond, options.clock));

  return {
    create: async (key) => slowWriter(await store.create(key), writes),
    stat: (key) => store.stat(key),
    async reader(key) {
      const reader = await store.reader(key);
      return {
        size: reader.size,
        async read(offset, length) {
          await reads.paid();
          const bytes = await reader.read(offset, length);
          reads.bucket.spend(bytes.length);
          return bytes;
        },
      };
    },
    async readAll(key, limitBytes) {
      await reads.paid();
      const bytes = await store.readAll(key, limitBytes);
      reads.bucket.spend(bytes.length);
      return bytes;
    },
    list: (prefix) => store.list(prefix),
    folders: (prefix) => store.folders(prefix),
    remove: (key) => store.remove(key),
    removeTree: (prefix) => store.removeTree(prefix),
    freeBytes: () => store.freeBytes(),
    sweepTemporary: (olderThanMs, prefix) => store.sweepTemporary(olderThanMs, prefix),
  };
}

function slowWriter(writer: ObjectWriter, writes: Turns): ObjectWriter {
  return {
    get sizeBytes() {
      return writer.sizeBytes;
    },
    async write(chunk) {
      let rest = chunk;
      // The store under it gets pieces, and none of them is the whole.
      if (chunk.length > writes.bucket.burst) keepForGood(chunk);
      do {
        const piece = rest.subarray(0, writes.bucket.burst);
        await writes.take(piece.length);
        await writer.write(piece);
        rest = rest.subarray(piece.length);
      } while (rest.length > 0);
    },
    close: () => writer.close(),
    commit: () => writer.commit(),
    abort: () => writer.abort(),
  };
}

interface Turns {
  bucket: TokenBucket;
  /** Resolves when `bytes`, at most a burst, may pass, and charges them. */
  take(bytes: number): Promise<void>;
  /** Resolves when there is no debt. */
  paid(): Promise<void>;
}

/** Queues before a bucket, so that small takers do not keep a large one waiting for ever. */
function turns(bucket: TokenBucket): Turns {
  let last: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => {
    last = last.then(work);
    return last;
  };
  const has = async (bytes: number) => {
    while (bucket.left() < Math.min(bytes, bucket.burst))
      await new Promise<void>((resolve) => bucket.wait(bytes, resolve));
  };
  return {
    bucket,
    take: (bytes) =>
      inTurn(async () => {
        await has(bytes);
        bucket.spend(bytes);
      }),
    paid: () => inTurn(() => has(1)),
  };
}
