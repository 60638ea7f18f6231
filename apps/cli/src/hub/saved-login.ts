import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { randomUUID, XVaultError } from "@xvault/kernel";
import { z } from "zod";

const savedLoginSchema = z.object({
  version: z.literal(1),
  url: z.string(),
  token: z.string(),
  email: z.string().optional(),
  workspace: z.object({ id: z.string(), name: z.string() }).optional(),
  expires_at: z.string().optional(),
});

/** What `xvault login` keeps. */
export type SavedLogin = z.infer<typeof savedLoginSchema>;

/** Keeps a sign-in in a file that only its owner can read: 0600 in a directory of 0700. */
export async function saveLogin(file: string, login: SavedLogin): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600, flag: "wx" });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * The sign-in that was kept, or null. A file that others could read is closed to them.
 *
 * @throws CONFIG_INVALID when it cannot be read or understood.
 */
export async function loadLogin(file: string): Promise<SavedLogin | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
    if (((await stat(file)).mode & 0o077) !== 0) await chmod(file, 0o600);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new XVaultError("CONFIG_INVALID", `${file} cannot be read.`, {
      fix: "See to its rights, or sign in anew.",
      cause,
    });
  }
  try {
    return savedLoginSchema.parse(JSON.parse(text));
  } catch {
    // The cause may quote the token, so it is not passed on.
    throw new XVaultError("CONFIG_INVALID", `${file} is not a sign-in of xvault's.`, {
      fix: "Remove the file and sign in anew: xvault login.",
    });
  }
}

/** Forgets the sign-in. True when there was one. */
export async function forgetLogin(file: string): Promise<boolean> {
  try {
    await rm(file);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new XVaultError("CONFIG_INVALID", `${file} cannot be removed.`, { fix: "See to its rights.", cause });
  }
}
