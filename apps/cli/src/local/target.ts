import { type BigIntStats, existsSync, lstatSync, readlinkSync } from "node:fs";
import { readdir, rmdir, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import { type FileEntry, type OverwritePolicy, type TreeTarget, XVaultError } from "@xvault/kernel";

export const OVERWRITE_ARG = {
  type: "enum",
  options: ["always", "if-changed", "if-newer", "never"],
  description: "What to do with files that are there already. Without it, the target must be new or empty",
} as const;

/**
 * A directory of this machine to restore to. Without a policy it must be new or empty, so that a mistyped one is noticed before a
 * file is replaced.
 *
 * @throws TARGET_NOT_EMPTY, PATH_DENIED
 */
export async function openTarget(
  directory: string,
  overwrite: OverwritePolicy | undefined,
  signal: AbortSignal,
): Promise<TreeTarget> {
  const root = resolve(directory);
  const isNew = await checkFresh(root, overwrite);
  const target = await createLocalTarget(root, { signal, ...(overwrite ? { overwrite } : {}) });
  return {
    put: (entry, body, sha256) => target.put(entry, body, sha256),
    room: async () => ({ freeBytes: null, replacedBytes: 0, ...(await target.room?.()), exists: !isNew }),
    finish: () => target.finish(),
    async abort() {
      await target.abort();
      // Made for nothing: a failure before the first entry leaves no empty directory behind.
      if (isNew) await rmdir(root).catch(() => {});
    },
  };
}

/** Runs work that fills a target; whatever makes it fail, the target is told. */
export async function filling<T>(target: TreeTarget, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** True when the directory is not there yet. */
export async function checkFresh(root: string, overwrite: OverwritePolicy | undefined): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(root);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    const message = code === "ENOTDIR" ? `${root} is not a directory.` : `${root} cannot be read.`;
    throw new XVaultError("PATH_DENIED", message, { fix: "Choose a directory that this user may write.", cause });
  }
  if (names.length > 0 && !overwrite) {
    throw new XVaultError("TARGET_NOT_EMPTY", `${root} is not empty.`, {
      fix: "Choose a new directory, or say with --overwrite what to do with files that are there.",
    });
  }
  return false;
}

/** A target that writes nothing and tells what would have become of each entry. */
export function dryTarget(
  directory: string,
  overwrite: OverwritePolicy | undefined,
  onEntry: (entry: FileEntry, outcome: "written" | "skipped") => void,
): TreeTarget {
  const root = Buffer.from(`${resolve(directory)}/`);
  let replacedBytes = 0;
  return {
    async put(entry) {
      const found = entry.type === "dir" ? undefined : standing(root, entry);
      const outcome = found && isKept(root, found, entry, overwrite ?? "never") ? "skipped" : "written";
      if (found && outcome === "written") replacedBytes += Number(found.size);
      onEntry(entry, outcome);
      return outcome;
    },
    room: async () => ({ exists: existsSync(root), freeBytes: await freeBytesAt(resolve(directory)), replacedBytes }),
    finish: async () => {},
    abort: async () => {},
  };
}

function standing(root: Buffer, entry: FileEntry): BigIntStats | undefined {
  try {
    return lstatSync(Buffer.concat([root, entry.path]), { bigint: true });
  } catch {
    return undefined;
  }
}

function isKept(root: Buffer, found: BigIntStats, entry: FileEntry, policy: OverwritePolicy): boolean {
  if (policy === "if-newer") return entry.mtimeNs <= found.mtimeNs;
  if (policy === "if-changed") {
    const apart = entry.mtimeNs - found.mtimeNs;
    if (entry.type === "symlink" && found.isSymbolicLink() && entry.linkTarget) {
      return readlinkSync(Buffer.concat([root, entry.path]), { encoding: "buffer" }).equals(entry.linkTarget);
    }
    return entry.type === "file" && found.size === BigInt(entry.size) && apart > -1000n && apart < 1000n;
  }
  return policy === "never";
}

/** What the file system of a directory still takes; of one that is not there yet, that of the nearest one above it. */
export async function freeBytesAt(directory: string): Promise<number | null> {
  for (let at = directory; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch {
      if (at === dirname(at)) return null;
    }
  }
}
