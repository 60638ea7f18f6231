import type { UploadTicket } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { failureOf, notOurs, unreachable } from "./http.ts";

/** The tus protocol, as the worker's data listener speaks it. */
const VERSION = { "tus-resumable": "1.0.0" };

/** How many bytes of a package the worker has. @throws UNAVAILABLE, RATE_LIMITED while another package has its turn, CANCELLED */
export async function uploadedBytes(to: UploadTicket, signal: AbortSignal): Promise<number> {
  const response = await ask(to, { method: "HEAD" }, signal);
  // An answer to HEAD has no body to say more in.
  if (response.status === 429) {
    throw new XVaultError("RATE_LIMITED", "Another package or job of this source has its turn.");
  }
  if (response.status === 401) throw new XVaultError("TOKEN_EXPIRED");
  return offsetIn(response, to);
}

/** Sends a piece of a package and gives how many bytes the worker has then. @throws what the worker refuses; UNAVAILABLE, CANCELLED */
export async function sendPiece(to: UploadTicket, from: number, piece: Buffer, signal: AbortSignal): Promise<number> {
  const headers = { "upload-offset": String(from), "content-type": "application/offset+octet-stream" };
  const body = new Uint8Array(piece.buffer as ArrayBuffer, piece.byteOffset, piece.length);
  const response = await ask(to, { method: "PATCH", headers, body }, signal);
  if (response.status !== 204) throw await failureOf(response, peerOf(to));
  return offsetIn(response, to);
}

async function ask(to: UploadTicket, request: RequestInit, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(to.upload_url, {
      ...request,
      headers: { ...VERSION, authorization: `Bearer ${to.ticket}`, ...request.headers },
      redirect: "manual",
      signal,
    });
  } catch (error) {
    throw unreachable(error, peerOf(to), signal);
  }
}

function peerOf(to: UploadTicket) {
  return { role: "worker", url: to.upload_url };
}

function offsetIn(response: Response, to: UploadTicket): number {
  const offset = response.headers.get("upload-offset");
  if (!response.ok || offset === null) throw notOurs(peerOf(to), response.status);
  return Number(offset);
}
