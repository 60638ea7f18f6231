import { XVaultError, type FileEntry } from "@xvault/kernel";
import { showPath } from "../failures.ts";

/**
 * Our own rules for entries, ours or a stranger's; each rejection is thrown.
 *
 * @throws ENTRY_TYPE_DENIED; ENTRY_PATH_UNSAFE for a path that is empty, absolute, has an empty, '.' or '..' part or a NUL;
 * LINK_OUTSIDE_ROOT for a hard link to such a path. A symbolic link may point anywhere, since it is data: that nothing is
 * written through one is the target's duty.
 */
export function checkEntry(entry: FileEntry): void {
  const { type, path, linkTarget } = entry;
  if (type !== "file" && type !== "dir" && type !== "symlink" && type !== "hardlink") {
    throw new XVaultError("ENTRY_TYPE_DENIED", undefined, { data: { path: showPath(path) } });
  }
  if (!isSafePath(path)) {
    throw new XVaultError(
      "ENTRY_PATH_UNSAFE",
      `The path '${showPath(path)}' is absolute or climbs out of the target.`,
      {
        data: { path: showPath(path) },
      },
    );
  }
  if (type === "hardlink" && (!linkTarget || !isSafePath(linkTarget))) {
    throw new XVaultError("LINK_OUTSIDE_ROOT", undefined, { data: { path: showPath(path) } });
  }
  if (type === "symlink" && (!linkTarget || linkTarget.length === 0 || linkTarget.includes(0))) {
    throw new XVaultError("ENTRY_PATH_UNSAFE", `The symbolic link '${showPath(path)}' has no usable target.`, {
      data: { path: showPath(path) },
    });
  }
}

/** Relative, without empty, '.' or '..' parts and without NUL. */
function isSafePath(path: Buffer): boolean {
  if (path.length === 0) return false;
  let start = 0;
  for (let i = 0; i <= path.length; i += 1) {
    const byte = path[i];
    if (byte === 0) return false;
    if (i < path.length && byte !== 0x2f) continue;
    const length = i - start;
    if (length === 0) return false;
    if (path[start] === 0x2e && (length === 1 || (length === 2 && path[start + 1] === 0x2e))) return false;
    start = i + 1;
  }
  return true;
}
