import { setTimeout as sleep } from "node:timers/promises";
import { isXVaultError, randomUUID } from "@xvault/kernel";
import { PROBE_PREFIX } from "../keys.ts";
import type { S3Connection } from "./connection.ts";
import type { LockMode } from "./options.ts";
import { type LockPlace, lockedUntil, lockObject } from "./retention.ts";

/** Long enough for a deletion to be tried meanwhile, on a slow link and by clocks that differ a little. */
const LOCK_MS = 10_000;
/** How long the end of the lock is waited for. */
const PATIENCE_MS = 3 * LOCK_MS;

/** See `S3Store.proveLock`. */
export async function proveLock(connection: S3Connection, mode: LockMode): Promise<boolean> {
  const free = await writeVersion(connection);
  const locked = await writeVersion(connection);
  if (free.versionId === undefined || locked.versionId === undefined) {
    for (const place of [free, locked]) await tryDelete(connection, place);
    return false; // without versions there is nothing that a lock could hold
  }
  const inherited = await lockedUntil(connection, free);
  // Only who may delete can be refused by a lock. A bucket that locks everything by itself leaves nothing to try that on.
  const mayDelete = (await tryDelete(connection, free)) || inherited !== null;
  const untilMs = Date.now() + LOCK_MS;
  const taken = await accepted(lockObject(connection, locked, mode, Math.max(untilMs, inherited ?? 0)));
  if (!taken) {
    await tryDelete(connection, locked);
    return false;
  }
  const deleted = await tryDelete(connection, locked);
  const kept = !deleted && (await stillThere(connection, locked));
  if (kept && mayDelete && inherited === null) await outwait(connection, locked);
  return kept && mayDelete;
}

async function writeVersion(connection: S3Connection): Promise<LockPlace> {
  const name = connection.nameOf(`${PROBE_PREFIX}/${randomUUID()}`);
  const { VersionId } = await connection.call("write an object", name, (s3, http) =>
    s3.putObject({ Bucket: connection.bucket, Key: name, Body: Buffer.from("xVault tries a lock.\n") }, http),
  );
  return { name, versionId: VersionId };
}

/** True when the deletion was carried out. */
function tryDelete(connection: S3Connection, { name, versionId }: LockPlace): Promise<boolean> {
  const place = { Bucket: connection.bucket, Key: name, ...(versionId === undefined ? {} : { VersionId: versionId }) };
  return accepted(connection.call("remove an object", name, (s3, http) => s3.deleteObject(place, http)));
}

async function stillThere(connection: S3Connection, { name, versionId }: LockPlace): Promise<boolean> {
  return accepted(
    connection.call("look for an object", name, (s3, http) =>
      s3.headObject(
        { Bucket: connection.bucket, Key: name, ...(versionId === undefined ? {} : { VersionId: versionId }) },
        http,
      ),
    ),
  );
}

/** Removes the test object once its lock ends. What a server holds on to for longer stays. */
async function outwait(connection: S3Connection, place: LockPlace): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await tryDelete(connection, place))) {
    if (Date.now() > end) return;
    await sleep(500);
  }
}

/** False when the server refused. A server that did not answer has refused nothing. */
async function accepted(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (isXVaultError(error) && !error.retry && error.code !== "CANCELLED") return false;
    throw error;
  }
}
