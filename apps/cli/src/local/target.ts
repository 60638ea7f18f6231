import { lstatSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import { resolve } from "node:path";
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
    put: (entry, body) => target.put(entry, body),
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
  return {
    async put(entry) {
      const outcome = entry.type !== "dir" && isKept(root, entry, overwrite ?? "never") ? "skipped" : "written";
      onEntry(entry, outcome);
      return outcome;
    },
    finish: async () => {},
    abort: async () => {},
  };
}

function isKept(root: Buffer, entry: FileEntry, policy: OverwritePolicy): boolean {
  let found;
  try {
    found = lstatSync(Buffer.concat([root, entry.path]), { bigint: true });
  } catch {
    return false;
  }
  if (policy === "if-newer") return entry.mtimeNs <= found.mtimeNs;
  if (policy === "if-changed") {
    const apart = entry.mtimeNs - found.mtimeNs;
    return entry.type === "file" && found.size === BigInt(entry.size) && apart > -1000n && apart < 1000n;
  }
  return policy === "never";
}
