import { XVaultError } from "@xvault/kernel";
import { cleanPath } from "./selection.ts";
import { STATUS, kindOf } from "./sftp/packets.ts";
import { type NamedAttrs, SftpError, type SftpSession } from "./sftp/session.ts";
import type { Listing, RemoteEntry } from "./types.ts";

const MOST = 5_000;

/** What a refused request means where one path is all that was asked for. */
export function pathError(error: unknown, path: string): unknown {
  if (!(error instanceof SftpError)) return error;
  const data = { path };
  if (error.status === STATUS.NO_SUCH_FILE) return new XVaultError("PATH_MISSING", undefined, { cause: error, data });
  if (error.status === STATUS.PERMISSION_DENIED)
    return new XVaultError("PATH_DENIED", undefined, { cause: error, data });
  return new XVaultError("REMOTE_FAILED", `The source could not read the path: ${error.message}`, {
    cause: error,
    data,
  });
}

/**
 * The children of one directory over SFTP.
 *
 * @throws PATH_INVALID, PATH_MISSING, PATH_DENIED, CONNECTION_LOST
 */
export async function browseBySftp(session: SftpSession, path: string | Buffer): Promise<Listing> {
  const clean = cleanPath(path);
  const shown = clean.toString();
  const entries: RemoteEntry[] = [];
  let truncated = false;
  try {
    if (kindOf(await session.stat(clean)) === "file") {
      throw new XVaultError("PATH_INVALID", "The path is a file, not a directory.", { data: { path: shown } });
    }
    const handle = await session.opendir(clean);
    for (;;) {
      const batch = await session.readdir(handle);
      if (!batch) break;
      entries.push(...batch.filter(({ name }) => !/^\.\.?$/.test(name.toString("latin1"))).map(toEntry));
      if (entries.length > MOST) {
        truncated = true;
        entries.length = MOST;
        break;
      }
    }
    await session.closeHandle(handle);
  } catch (error) {
    throw pathError(error, shown);
  }
  return { path: shown, entries: sortEntries(entries), truncated };
}

function toEntry({ name, attrs }: NamedAttrs): RemoteEntry {
  const kind = kindOf(attrs);
  return remoteEntry(
    name,
    kind === "unknown" ? "other" : kind,
    attrs.size ?? 0,
    attrs.mtime === undefined ? null : attrs.mtime * 1000,
  );
}

function remoteEntry(name: Buffer, type: RemoteEntry["type"], size: number, mtimeMs: number | null): RemoteEntry {
  const text = name.toString();
  const exact = Buffer.from(text).equals(name);
  const mtime = mtimeMs === null ? null : new Date(mtimeMs).toISOString();
  return { name: text, ...(exact ? {} : { nameB64: name.toString("base64") }), type, size, mtime };
}

function sortEntries(entries: RemoteEntry[]): RemoteEntry[] {
  const rank = (entry: RemoteEntry) => (entry.type === "dir" ? 0 : 1);
  return entries.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
