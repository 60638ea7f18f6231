import { createHmac, createSecretKey, hash, hkdfSync, type KeyObject } from "node:crypto";

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
  /** HMAC-SHA256 of a path, cut to 96 bits. */
  path(path: Buffer): Buffer;
  /** A keyed hash of what the listing tells of a file, cut to 64 bits: two that are equal mean an unchanged file. */
  stamp(stat: Stat): Buffer;
}

/** The marks under a source's plan key (32 bytes). */
export function createMarks(planKey: Uint8Array): Marks {
  const derive = (info: string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", planKey, "", `xvault plan ${info}`, bytes));
  const pathKey: KeyObject = createSecretKey(derive("path", 32));
  // A keyed prefix is a sound MAC here: every message has this one length.
  let last: { path: Buffer; mark: Buffer } | null = null;
  const message = Buffer.alloc(32 + 8 * 4 + 1);
  derive("stamp", 32).copy(message);
  return {
    fileKey: derive("file", 16),
    path: (path) => {
      // The same file is asked about several times in a row.
      if (last?.path !== path) {
        last = { path, mark: createHmac("sha256", pathKey).update(path).digest().subarray(0, PATH_MARK) };
      }
      return last.mark;
    },
    stamp: ({ size, mtimeNs, ctimeNs, inode }) => {
      message.writeBigUInt64LE(BigInt(size), 32);
      message.writeBigInt64LE(BigInt.asIntN(64, mtimeNs), 40);
      message.writeBigInt64LE(BigInt.asIntN(64, ctimeNs ?? 0n), 48);
      message.writeBigUInt64LE(BigInt.asUintN(64, inode ?? 0n), 56);
      message[64] = (ctimeNs === undefined ? 0 : 1) | (inode === undefined ? 0 : 2);
      return hash("sha256", message, "buffer").subarray(0, STAMP);
    },
  };
}
