import type { UploadTicket } from "@xvault/contracts";
import type { Reporter } from "@xvault/engine";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import type { FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { HubApi } from "../hub/api.ts";
import { sendPiece, uploadedBytes } from "../hub/upload.ts";

/** Bytes that are sent, and read into memory, at a time. */
const PIECE = 8 * 1024 * 1024;
/** Milliseconds before what failed is tried again: doubled each time up to the longest. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
/** A worker keeps what it has for this long: after that, trying on would begin anew. Milliseconds. */
const PATIENCE = 10 * 60_000;

interface Sending {
  api: HubApi;
  /** Of the package. */
  id: string;
  file: FileHandle;
  size: number;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Sends a file as the bytes of a package, in pieces; goes on after a connection has broken where the worker is. Resolves when all is sent, or the package
 * has ended meanwhile: its job says how.
 *
 * @throws UPLOAD_HASH_MISMATCH, CANCELLED when the signal aborts, what lasts for longer than the worker keeps what it has
 */
export async function sendFile(sending: Sending): Promise<void> {
  const { api, id, file, size, reporter, signal } = sending;
  let to: UploadTicket | null = null;
  let at = 0;
  let shown = 0;
  let failingSince: number | null = null;
  let wait = FIRST_WAIT;
  let waiting = false;
  for (;;) {
    try {
      if (to === null) {
        to = await api.uploadPackage(id);
        at = await uploadedBytes(to, signal);
      }
      do {
        reporter.advance({ bytes: at - shown });
        shown = at;
        at = await sendPiece(to, at, await readPiece(file, at, size), signal);
        failingSince = null;
        wait = FIRST_WAIT;
      } while (at < size);
      reporter.advance({ files: 1, bytes: at - shown });
      return;
    } catch (error) {
      if (signal.aborted) throw new XVaultError("CANCELLED", undefined, { cause: error });
      if (to === null && isXVaultError(error, "CONFLICT") && !error.retry) return;
      if (!mayPass(error)) throw error;
      if (isXVaultError(error, "RATE_LIMITED")) {
        if (!waiting) reporter.info("Waiting for its turn: what comes from one source is stored one after the other.");
        waiting = true;
      } else {
        failingSince ??= Date.now();
        if (Date.now() - failingSince > PATIENCE) throw error;
      }
      // A new ticket, and the worker that it names is asked how much it has.
      to = null;
      await sleep(wait, undefined, { signal }).catch(() => {});
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }
}

function mayPass(error: unknown): boolean {
  return isXVaultError(error) && (error.retry || ["UNAVAILABLE", "TOKEN_EXPIRED", "CONFLICT"].includes(error.code));
}

/** @throws SOURCE_CHANGED where the file has become shorter */
async function readPiece(file: FileHandle, at: number, size: number): Promise<Buffer> {
  const piece = Buffer.alloc(Math.min(PIECE, size - at));
  for (let filled = 0; filled < piece.length;) {
    const { bytesRead } = await file.read(piece, filled, piece.length - filled, at + filled);
    if (bytesRead === 0) {
      throw new XVaultError("SOURCE_CHANGED", "The file has become shorter while it was sent.", { retry: false });
    }
    filled += bytesRead;
  }
  return piece;
}
