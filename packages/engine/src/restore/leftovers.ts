import { lstat, readdir, unlink } from "node:fs/promises";

/** As a target on this machine names what it has not finished writing. */
const LEFTOVER = /^\.xvault-[0-9a-f]{12}-[1-9][0-9]*\.tmp$/;

/**
 * Removes from a directory what a restore that was killed had not finished writing: regular files whose whole name is of that form, nothing
 * else, and nothing below it. Never throws: what cannot be removed stays.
 */
export async function removeLeftovers(directory: Buffer): Promise<void> {
  // In latin1 no two names become the same, and the form has nothing that it would change.
  const names = await readdir(directory, "latin1").catch(() => []);
  for (const name of names.filter((one) => LEFTOVER.test(one))) {
    const full = Buffer.concat([directory, Buffer.from(`/${name}`)]);
    const found = await lstat(full).catch(() => null);
    if (found?.isFile()) await unlink(full).catch(() => {});
  }
}
