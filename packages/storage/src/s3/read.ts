import { setTimeout as sleep } from "node:timers/promises";
import type { S3 } from "@aws-sdk/client-s3";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { missing, tooLarge, truncated } from "../failures.ts";
import type { S3Connection } from "./connection.ts";

/** The SDK tries a request again until its answer begins; a body that breaks off is ours to ask for again. */
const ATTEMPTS = 3;
const PAUSE_MS = 200;

/** An answer that has begun. */
interface Answer {
  body: AsyncIterable<Uint8Array> & { destroy(): void };
  length: number | undefined;
  range: string | undefined;
}

/** Exactly `length` bytes from `offset`. @throws ARTIFACT_MISSING, ARCHIVE_TRUNCATED, STORAGE_FAILED, STORAGE_DENIED */
export function readRange(connection: S3Connection, key: string, offset: number, length: number): Promise<Buffer> {
  return read(connection, key, `bytes=${offset}-${offset + length - 1}`, (answer) => {
    if (answer.range?.startsWith(`bytes ${offset}-`) !== true) {
      throw new XVaultError("STORAGE_FAILED", "The storage ignores which part of an object is asked for.", {
        fix: "Use a storage that answers range requests.",
        retry: false,
      });
    }
    if (answer.length !== length) throw truncated(key);
    return length;
  });
}

/** A whole object of at most `limitBytes`. @throws ARTIFACT_MISSING, ARTIFACT_CORRUPT, STORAGE_FAILED, STORAGE_DENIED */
export async function readWhole(connection: S3Connection, key: string, limitBytes: number): Promise<Buffer> {
  try {
    return await read(connection, key, undefined, ({ length }) => {
      if (length === undefined || length > limitBytes) throw tooLarge(key, limitBytes);
      return length;
    });
  } catch (error) {
    // Who may not list everything is refused, instead of being told that there is nothing.
    if (isXVaultError(error, "STORAGE_DENIED") && (await connection.head(key)) === null) throw missing(key);
    throw error;
  }
}

/** Reads the body of an answer that `check` has found right; it gives how many bytes there must be. */
async function read(
  connection: S3Connection,
  key: string,
  range: string | undefined,
  check: (answer: Answer) => number,
): Promise<Buffer> {
  const { signal } = connection.options;
  const place = {
    Bucket: connection.bucket,
    Key: connection.nameOf(key),
    ...(range === undefined ? {} : { Range: range }),
  };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await connection.call("read an object", key, (s3, http) => begin(s3, place, http));
    try {
      const length = check(answer);
      return await connection.call("read an object", key, () => collect(answer.body, length, signal));
    } catch (error) {
      answer.body.destroy();
      if (attempt >= ATTEMPTS || !(error instanceof XVaultError) || !error.retry) throw error;
    }
    await sleep(PAUSE_MS * attempt);
  }
}

async function begin(
  s3: S3,
  place: Parameters<S3["getObject"]>[0],
  http: { abortSignal?: AbortSignal },
): Promise<Answer> {
  const { Body, ContentLength, ContentRange } = await s3.getObject(place, http);
  return { body: Body as unknown as Answer["body"], length: ContentLength, range: ContentRange };
}

/** The body's bytes, which must be `length`. One that breaks off rejects. */
async function collect(body: Answer["body"], length: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  const end = () => body.destroy();
  signal?.addEventListener("abort", end, { once: true });
  try {
    for await (const chunk of body) {
      if (filled + chunk.length > length) throw new Error("more came than was announced");
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
  } catch (error) {
    throw signal?.aborted ? new XVaultError("CANCELLED", undefined, { cause: error }) : error;
  } finally {
    signal?.removeEventListener("abort", end);
  }
  if (signal?.aborted) throw new XVaultError("CANCELLED");
  if (filled < length) throw new Error("the answer broke off");
  return bytes;
}
