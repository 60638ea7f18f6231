import { hash, hkdfSync } from "node:crypto";

/** Bytes of a path's mark and of a stamp. */
export const PATH_MARK = 12;
export const STAMP = 8;

/** What the listing tells of a file and the plan compares. Unknown parts are left out on both sides. */
export interface Stat {
  size: number;
  mtimeNs: bigint;
  ctimeNs?: bigint | undefined;
  inode?: bigint | undefined;
}

/** The marks by which a plan state knows a source's files without naming them: nobody can tell a path from its mark without the key. */
export interface Marks {
  /** 16 bytes that seal the state's file. */
  readonly fileKey: Buffer;
  /** HMAC-SHA256 of a path, cut to 96 bits. Good until the next path is asked about. */
  path(path: Buffer): Buffer;
  /** A keyed hash of what the listing tells of a file, cut to 64 bits: two that are equal mean an unchanged file. Good until the next one. */
  stamp(stat: Stat): Buffer;
}

/** The marks under a source's plan key (32 bytes). */
export function createMarks(planKey: Uint8Array): Marks {
  const derive = (info: string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", planKey, "", `xvault plan ${info}`, bytes));
  const pathMark = keyedPaths(derive("path", 32));
  // A keyed prefix is a sound MAC here: every message has this one length.
  let last: Buffer | null = null;
  let mark: Buffer = Buffer.alloc(0);
  const message = Buffer.alloc(32 + 8 * 4 + 1);
  derive("stamp", 32).copy(message);
  const numbers = new DataView(message.buffer, message.byteOffset + 32, 8 * 4);
  const digest = Buffer.alloc(32);
  return {
    fileKey: derive("file", 16),
    path: (path) => {
      // The same file is asked about several times in a row.
      if (last !== path) mark = pathMark(path);
      last = path;
      return mark;
    },
    stamp: ({ size, mtimeNs, ctimeNs, inode }) => {
      numbers.setBigUint64(0, BigInt(size), true);
      numbers.setBigInt64(8, mtimeNs, true);
      numbers.setBigInt64(16, ctimeNs ?? 0n, true);
      numbers.setBigUint64(24, inode ?? 0n, true);
      message[64] = (ctimeNs === undefined ? 0 : 1) | (inode === undefined ? 0 : 2);
      digest.write(hash("sha256", message, "binary"), "latin1");
      return digest.subarray(0, STAMP);
    },
  };
}

const HASH_BLOCK = 64;

/**
 * HMAC-SHA256 (RFC 2104) under a key that is no longer than a block, from hashes of one call each: making an object of node:crypto takes
 * several times as long as a path does, and there is a path for every file. A test holds it against node's own.
 */
function keyedPaths(key: Buffer): (path: Buffer) => Buffer {
  const pad = (byte: number, room: number) => {
    const padded = Buffer.alloc(HASH_BLOCK + room, 0);
    key.copy(padded);
    for (let at = 0; at < HASH_BLOCK; at += 1) padded[at] = (padded[at] ?? 0) ^ byte;
    return padded;
  };
  let inner = pad(0x36, 1024);
  const outer = pad(0x5c, 32);
  const mark = Buffer.alloc(32);
  return (path) => {
    if (HASH_BLOCK + path.length > inner.length) inner = pad(0x36, 2 * path.length);
    path.copy(inner, HASH_BLOCK);
    outer.write(hash("sha256", inner.subarray(0, HASH_BLOCK + path.length), "binary"), HASH_BLOCK, "latin1");
    mark.write(hash("sha256", outer, "binary"), "latin1");
    return mark.subarray(0, PATH_MARK);
  };
}
