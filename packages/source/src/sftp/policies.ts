import { XVaultError, type FileEntry } from "@xvault/kernel";
import type { TargetOptions } from "../types.ts";
import { type Attrs, kindOf } from "./packets.ts";
import { type SftpSession, isMissing } from "./session.ts";

/** The parts of an entry's path; refuses everything that could lead out of the root. */
export function checkedParts(path: Buffer, code: "ENTRY_PATH_UNSAFE" | "LINK_OUTSIDE_ROOT"): string[] {
  const text = path.toString("latin1");
  const parts = text.split("/");
  if (text.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new XVaultError(code, undefined, { data: { path: path.toString() } });
  }
  return parts;
}

/** Whether the entry takes the place of what stands there, by the policy. @throws ENTRY_CONFLICT for a directory in its place */
export function replaces(entry: FileEntry, existing: Attrs, policy: TargetOptions["overwrite"] = "never"): boolean {
  if (kindOf(existing) === "dir") {
    throw new XVaultError("ENTRY_CONFLICT", "A directory stands where a file should be written.", {
      data: { path: entry.path.toString() },
    });
  }
  switch (policy) {
    case "always":
      return true;
    case "if-newer":
      return secondsOf(entry) > (existing.mtime ?? 0);
    case "if-changed":
      return !looksSame(entry, existing);
    default:
      return false;
  }
}

/** True when size and time say that the file that is there is the one in the snapshot. SFTP tells whole seconds. */
export function looksSame(entry: FileEntry, existing: Attrs): boolean {
  const isFile = entry.type === "file" && kindOf(existing) === "file";
  return isFile && existing.size === entry.size && existing.mtime === secondsOf(entry);
}

/** SFTP tells and sets whole seconds. */
export function secondsOf(entry: FileEntry): number {
  return Number(entry.mtimeNs / 1_000_000_000n);
}

/** True for a symbolic link that leads to the same place already. */
export async function isSameLink(
  session: SftpSession,
  place: Buffer,
  entry: FileEntry,
  existing: Attrs,
): Promise<boolean> {
  if (entry.type !== "symlink" || kindOf(existing) !== "symlink" || !entry.linkTarget) return false;
  return (await session.readlink(place)).equals(entry.linkTarget);
}

/** What the file system of a path still takes; of a path that is not there, that of the nearest directory above it. Null where unknown. */
export async function freeBytesAt(session: SftpSession, path: Buffer): Promise<number | null> {
  if (!session.has("statvfs@openssh.com")) return null;
  for (let at = path; ; at = at.subarray(0, Math.max(1, at.lastIndexOf(0x2f)))) {
    try {
      return (await session.statvfs(at)).freeBytes;
    } catch (error) {
      if (!isMissing(error) || at.length <= 1) return null;
    }
  }
}
