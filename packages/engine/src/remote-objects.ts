import { MAX_LEAVES_BYTES } from "@xvault/archive";
import { type ByteReader, isXVaultError, XVaultError } from "@xvault/kernel";
import { setTimeout as sleep } from "node:timers/promises";
import type { SnapshotObjects } from "./snapshot.ts";

export interface RemoteObjectsOptions {
  /** Base URL of the worker's data listener, without a trailing slash. */
  dataUrl: string;
  /** Gives a ticket of format 'raw'. Called first with false; with true when the last one was refused. */
  ticket(renew: boolean): Promise<string>;
  signal?: AbortSignal;
  /** Waits before the tries that follow a failed one, in milliseconds. */
  retryAfter?: readonly number[];
}

const MAX_SMALL_OBJECT = MAX_LEAVES_BYTES;
const RETRY_AFTER = [250, 1000, 4000];

/**
 * The stored objects of one snapshot as a worker's data listener serves them, by ranges: `GET {dataUrl}/v1/raw/{name}`, and those of the
 * earlier ones that it refers to: `GET {dataUrl}/v1/raw/{snapshot_id}/{name}`, all with one ticket. The bytes are those on storage, still sealed; whoever reads them checks them against the signed manifest. A broken connection or a
 * listener that is busy is tried again, so that it is not taken for damage.
 *
 * Reads throw ARTIFACT_MISSING, UNAVAILABLE (after the last try), TOKEN_INVALID (a fresh ticket is refused too), CANCELLED.
 */
export function remoteObjects(options: RemoteObjectsOptions): SnapshotObjects {
  return objectsBelow(options, "");
}

/** `folder`: '' for the ticket's own snapshot, '{id}/' for an earlier one that it refers to. */
function objectsBelow(options: RemoteObjectsOptions, folder: string): SnapshotObjects {
  const read = (name: string, offset: number, length: number) =>
    withRetry(options, () => readRange(options, name, offset, length));
  const whole = async (name: string) => {
    const size = await sizeOf(options, name);
    if (size > MAX_SMALL_OBJECT) throw new XVaultError("ARTIFACT_CORRUPT", `The stored ${name} is too large.`);
    return size === 0 ? Buffer.alloc(0) : read(name, 0, size);
  };
  const reader = async (name: string): Promise<ByteReader> => {
    const size = await sizeOf(options, name);
    return {
      size,
      read: async (offset, length) => {
        if (offset < 0 || length < 0 || offset + length > size) {
          throw new XVaultError("ARCHIVE_TRUNCATED", `A read goes beyond the end of the stored ${name}.`);
        }
        return length === 0 ? Buffer.alloc(0) : read(name, offset, length);
      },
    };
  };
  return {
    manifest: () => whole(`${folder}manifest.json`),
    artifact: () => reader(`${folder}backup.tar.zst.enc`),
    index: () => reader(`${folder}index.zst.enc`),
    blocks: () => whole(`${folder}blocks.bin`),
    earlier: (snapshotId) => objectsBelow(options, `${snapshotId}/`),
  };
}

/** The whole length of an object, from the answer to a request for its first byte. */
async function sizeOf(options: RemoteObjectsOptions, name: string): Promise<number> {
  return withRetry(options, async () => {
    const response = await request(options, name, "bytes=0-0");
    await response.body?.cancel();
    const told = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (told === undefined) throw unavailable(`The worker does not serve ranges of ${name}.`);
    return Number(told);
  });
}

async function readRange(options: RemoteObjectsOptions, name: string, offset: number, length: number): Promise<Buffer> {
  const response = await request(options, name, `bytes=${offset}-${offset + length - 1}`);
  if (response.status !== 206)
    throw unavailable(`The worker answered a range of ${name} with status ${response.status}.`);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (bytes.length !== length)
    throw unavailable(`The worker sent ${bytes.length} bytes of ${name} instead of ${length}.`);
  return bytes;
}

async function request(options: RemoteObjectsOptions, name: string, range: string): Promise<Response> {
  const send = async (renew: boolean) =>
    fetch(`${options.dataUrl}/v1/raw/${name}`, {
      headers: { authorization: `Bearer ${await options.ticket(renew)}`, range },
      redirect: "error",
      ...(options.signal ? { signal: options.signal } : {}),
    });
  let response = await send(false);
  if (response.status === 401 || response.status === 403) {
    await response.body?.cancel();
    response = await send(true);
  }
  // 416 answers a range of an empty object, and still tells its length.
  if (response.status === 206 || response.status === 416) return response;
  await response.body?.cancel();
  if (response.status === 404) throw new XVaultError("ARTIFACT_MISSING");
  if (response.status === 401 || response.status === 403)
    throw new XVaultError("TOKEN_INVALID", "The worker refuses the ticket.");
  throw unavailable(`The worker answered with status ${response.status}.`);
}

async function withRetry<T>(options: RemoteObjectsOptions, attempt: () => Promise<T>): Promise<T> {
  const waits = options.retryAfter ?? RETRY_AFTER;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (options.signal?.aborted) throw new XVaultError("CANCELLED", undefined, { cause: error });
      const wait = waits[tries];
      if (wait === undefined || (isXVaultError(error) && !error.retry)) throw asReadFailure(error);
      await sleep(wait, undefined, options.signal ? { signal: options.signal } : {}).catch(() => {});
    }
  }
}

function asReadFailure(error: unknown): XVaultError {
  if (isXVaultError(error)) return error;
  return unavailable("The connection to the worker broke.", error);
}

function unavailable(message: string, cause?: unknown): XVaultError {
  return new XVaultError("UNAVAILABLE", message, { cause });
}
