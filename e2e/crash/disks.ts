import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MIB = 1024 * 1024;

/** A small disk of its own, which can be filled up to a few bytes and emptied again. */
export interface SmallDisk {
  readonly path: string;
  /** Leaves no more than `bytes` free (to the page). */
  leave(bytes: number): void;
  /** Gives the room back. */
  relieve(): void;
  unmount(): void;
}

/** Mounts so many MiB of memory; null where that is not permitted. */
export function mountSmallDisk(path: string, mib: number): SmallDisk | null {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=0755`, "tmpfs", path], { stdio: "ignore" });
  } catch {
    return null;
  }
  const ballast = join(path, "ballast");
  return {
    path,
    leave(bytes) {
      const { bavail, bsize } = statfsSync(path);
      const taken = Math.max(0, bavail * bsize - bytes);
      const zeros = Buffer.alloc(MIB);
      for (let left = taken; left > 0; left -= MIB)
        writeFileSync(ballast, left < MIB ? zeros.subarray(0, left) : zeros, { flag: "a" });
    },
    relieve: () => rmSync(ballast, { force: true }),
    unmount: () => execFileSync("umount", ["-l", path], { stdio: "ignore" }),
  };
}
