import { XVaultError, type FileEntry, type TreeTarget } from "@xvault/kernel";
import { pathError } from "../browse.ts";
import type { TargetOptions } from "../types.ts";
import { Directories } from "./directories.ts";
import { kindOf } from "./packets.ts";
import { checkedParts, freeBytesAt, isSameLink, replaces } from "./policies.ts";
import { type SftpSession, isMissing } from "./session.ts";

/** A target that tells what would become of each entry, and neither writes nor makes anything. What `put` is given is not consumed. */
export async function openDryTarget(session: SftpSession, root: Buffer, options: TargetOptions): Promise<TreeTarget> {
  const exists = await isDirectory(session, root);
  const real = exists ? await session.realpath(root) : root;
  const directories = new Directories(session, real, { dry: true });
  directories.begin(null, !exists);
  let replacedBytes = 0;

  const outcomeOf = async (entry: FileEntry): Promise<"written" | "skipped"> => {
    const parts = checkedParts(entry.path, "ENTRY_PATH_UNSAFE");
    const key = parts.join("/");
    const parent = await directories.parent(parts);
    if (entry.type === "dir") {
      const known = directories.find(key) ?? (await directories.enter(key, parent));
      return known.fresh || (options.overwrite ?? "never") !== "never" ? "written" : "skipped";
    }
    const existing = await directories.lookUp(key, parent);
    if (!existing) return "written";
    if (!replaces(entry, existing, options.overwrite)) return "skipped";
    const isSame = options.overwrite === "if-changed";
    if (isSame && (await isSameLink(session, directories.absolute(key), entry, existing))) return "skipped";
    replacedBytes += existing.size ?? 0;
    return "written";
  };

  return {
    async put(entry) {
      if (options.signal?.aborted) throw new XVaultError("CANCELLED");
      try {
        return await outcomeOf(entry);
      } catch (error) {
        throw pathError(error, `/${entry.path.toString()}`);
      }
    },
    room: async () => ({ exists, freeBytes: await freeBytesAt(session, real), replacedBytes }),
    finish: async () => {},
    abort: async () => {},
  };
}

async function isDirectory(session: SftpSession, root: Buffer): Promise<boolean> {
  try {
    if (kindOf(await session.stat(root)) === "dir") return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  throw new XVaultError("ENTRY_CONFLICT", "The target is not a directory.");
}
