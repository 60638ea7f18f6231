import type { WorkerOutput } from "@xvault/contracts";
import { toXVaultError, XVaultError } from "@xvault/kernel";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import type { WorkerContext } from "../context.ts";
import { runReceiveJob } from "../jobs/receive.ts";
import { type HeldJob, runHeld } from "../jobs/run-job.ts";

type Lease = WorkerOutput<"begin_upload">;

/** Bytes that wait in memory between a request and the packing. */
const WAITING = 1024 * 1024;

/** A request that is being read, and when it no longer is. */
interface Current {
  request: IncomingMessage;
  left: Promise<void>;
}

/** One package on its way from its client's requests into a snapshot. It lives in this worker's memory, and nothing of it lies anywhere in clear. */
export interface UploadSession {
  readonly size: number;
  /** How many bytes are there and need not be sent again. A request that is still at work is ended first. @throws why the session failed */
  offset(): Promise<number>;
  /**
   * Takes a request's body as the bytes from `from` on. Resolves once they are there; with the last byte, once all are those announced. From that
   * byte on the package is the worker's: nothing that a request brings or leaves out changes it any more.
   *
   * @throws CONFLICT where `from` is not the offset; BODY_TOO_LARGE; UPLOAD_HASH_MISMATCH; whatever else ends the session
   */
  append(request: IncomingMessage, from: number): Promise<void>;
  /** When it is over, in whatever way: why it failed, if it did. */
  readonly ended: Promise<XVaultError | undefined>;
}

/**
 * Begins to make a snapshot of what will come under a lease. A client that falls silent for `silenceMs` ends it, as `stopping` does: what had come
 * is dropped, and the job handed back, to be begun anew.
 */
export function startSession(
  context: WorkerContext,
  lease: Lease,
  { stopping, silenceMs }: { stopping: AbortSignal; silenceMs: number },
): UploadSession {
  const size = lease.payload.size_bytes;
  const body = new PassThrough({ highWaterMark: WAITING });
  // Whoever reads it is told; while nobody does, nobody needs to be.
  body.on("error", () => {});
  const received = Promise.withResolvers<void>();
  received.promise.catch(() => {});
  const over = new AbortController();
  const silent = new AbortController();
  let failure: XVaultError | undefined;
  let offset = 0;
  let timer: NodeJS.Timeout | undefined;
  let current: Current | undefined;

  const heard = () => {
    clearTimeout(timer);
    if (offset === size || over.signal.aborted) return;
    const reason = new XVaultError("UNAVAILABLE", "The client was silent for too long; what had come was dropped.", {
      fix: "Send the package from its beginning.",
    });
    timer = setTimeout(() => silent.abort(reason), silenceMs).unref();
  };

  const ended = runHeld(context, lease, AbortSignal.any([stopping, silent.signal]), (job) =>
    receive(context, job, body, received.resolve),
  )
    .catch((error: unknown) => toXVaultError(error))
    .then((why) => {
      failure = why;
      if (why) received.reject(why);
      clearTimeout(timer);
      over.abort();
      current?.request.destroy();
      return why;
    });

  const take = async (request: IncomingMessage) => {
    try {
      // The answer goes out over the request's own connection: not to read it to its end must not break that.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (over.signal.aborted) return;
        if (offset + chunk.length > size) throw tooLarge(size);
        offset += chunk.length;
        heard();
        const flows = body.write(chunk);
        if (offset === size) {
          // At once: the client is told that all is there, and may never end this request. What else it brings is dropped.
          body.end();
          request.resume();
          return;
        }
        if (!flows) await once(body, "drain", { signal: over.signal });
      }
    } catch (cause) {
      if (failure) throw failure;
      if (over.signal.aborted) return;
      throw cause instanceof XVaultError ? cause : new XVaultError("CANCELLED", "The client went away.", { cause });
    }
  };

  heard();
  // Of a package without bytes all is there once its client comes.
  if (size === 0) body.end();
  return {
    size,
    ended,
    async offset() {
      // Its client has come back, so the connection of the request before is dead, whatever this end of it knows.
      while (current) await end(current);
      if (failure) throw failure;
      heard();
      return offset;
    },
    async append(request, from) {
      while (current) await end(current);
      if (failure) throw failure;
      if (from !== offset) {
        throw new XVaultError("CONFLICT", `The next byte that is wanted here is number ${offset}.`, {
          fix: "Ask for the offset with HEAD and go on there.",
          data: { offset },
        });
      }
      if (from + Number(request.headers["content-length"] ?? 0) > size) throw tooLarge(size);
      const left = Promise.withResolvers<void>();
      const mine = { request, left: left.promise };
      current = mine;
      try {
        await take(request);
      } finally {
        left.resolve();
        if (current === mine) current = undefined;
      }
      if (offset === size) await received.promise;
    },
  };
}

function end({ request, left }: Current): Promise<void> {
  request.destroy();
  return left;
}

function tooLarge(size: number): XVaultError {
  return new XVaultError("BODY_TOO_LARGE", `The package was announced with ${size} bytes; more were sent.`);
}

async function receive(
  context: WorkerContext,
  job: HeldJob<Lease["payload"]>,
  body: PassThrough,
  onReceived: () => void,
) {
  const { signal } = job;
  signal.addEventListener("abort", () => body.destroy(toXVaultError(signal.reason)), { once: true });
  return runReceiveJob(context, job, body, onReceived);
}
