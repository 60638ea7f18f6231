import { execFile } from "node:child_process";
import { chmod, chown, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { XVaultError } from "@xvault/kernel";

const run = promisify(execFile);

/** A system user that the server runs as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Who runs the server: null for ourselves; PostgreSQL refuses root, so as root the owner of existing data, else `postgres`, else `nobody`. */
export async function serverAccount(dataFolder: string): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const existing = await stat(dataFolder).catch(() => null);
  if (existing && existing.uid !== 0) return { name: `user ${existing.uid}`, uid: existing.uid, gid: existing.gid };
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
      return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // no such user here
    }
  }
  throw new XVaultError("CONFIG_INVALID", "PostgreSQL does not run as root, and there is no other user to run it as.", {
    fix: "Make a system user 'postgres', start xVault as another user, or set DATABASE_URL.",
  });
}

/** The nearest folder at or above `path` that `account` cannot pass through; null when it can reach `path`. */
export async function closedFolder(path: string, account: Account): Promise<string | null> {
  for (let at = path; ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
    if ((bits & 0o1) === 0) return at;
    if (at === dirname(at)) return null;
  }
}

/** Hands `path` to the account, for it alone. */
export async function giveTo(account: Account | null, path: string, mode: number): Promise<void> {
  await chmod(path, mode);
  if (account) await chown(path, account.uid, account.gid);
}
