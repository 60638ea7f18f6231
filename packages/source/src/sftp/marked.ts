import { CACHE_SIGNATURE, CACHE_TAG } from "../find-marked.ts";
import { kindOf } from "./packets.ts";
import { SftpError, type SftpSession } from "./session.ts";

/** Whether a directory holds one of the markers. Asks by name, all at once, so that the size of the directory does not matter. */
export async function isMarked(session: SftpSession, dir: Buffer, markers: readonly string[]): Promise<boolean> {
  if (markers.length === 0) return false;
  const base = dir.length === 1 ? dir : Buffer.concat([dir, Buffer.from("/")]);
  const answers = markers.map(async (marker) => {
    const path = Buffer.concat([base, Buffer.from(marker)]);
    try {
      const kind = kindOf(await session.lstat(path));
      return marker === CACHE_TAG ? kind === "file" && (await beginsWith(session, path, CACHE_SIGNATURE)) : true;
    } catch (error) {
      // Not there, or not to be seen; that the directory cannot be read is told when it is read.
      if (error instanceof SftpError) return false;
      throw error;
    }
  });
  return (await Promise.all(answers)).includes(true);
}

async function beginsWith(session: SftpSession, path: Buffer, start: Buffer): Promise<boolean> {
  const handle = await session.open(path);
  try {
    return (await session.read(handle, 0, start.length))?.equals(start) ?? false;
  } finally {
    session.closeHandle(handle).catch(() => {});
  }
}
