import { XVaultError } from "@xvault/kernel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import type { UploadDesk } from "./desk.ts";

/** The protocol's version, on every answer. https://tus.io/protocols/resumable-upload */
const VERSION = "1.0.0";
export const TUS = { "tus-resumable": VERSION, "tus-version": VERSION } as const;

/**
 * The core of the tus protocol, version 1.0.0, for the one upload that a ticket names: `HEAD` says how many bytes are there, `PATCH` brings more from
 * there on. The hub has made the upload, so none is made here. A client that does not name the protocol's version is served as well.
 */
export async function serveUpload(
  desk: UploadDesk,
  ticket: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("tus-resumable", VERSION);
  const version = request.headers["tus-resumable"];
  if (version !== undefined && version !== VERSION) {
    return void response.writeHead(412, { "tus-version": VERSION, connection: "close" }).end();
  }
  if (request.method === "HEAD") {
    const session = await desk.sessionOf(ticket);
    const offset = await session.offset();
    return void response.writeHead(200, { "upload-offset": offset, "upload-length": session.size }).end();
  }
  if (request.method !== "PATCH") throw new XVaultError("NOT_FOUND");
  if (request.headers["content-type"] !== "application/offset+octet-stream") {
    return void response.writeHead(415, { connection: "close" }).end();
  }
  const from = request.headers["upload-offset"];
  if (typeof from !== "string" || !/^\d{1,16}$/.test(from)) {
    throw new XVaultError("INPUT_INVALID", "The header upload-offset says where the bytes belong.");
  }
  const session = await desk.sessionOf(ticket);
  await session.append(request, Number(from));
  // Where the package is whole, the request's end is not waited for, nor is what else it may hold; but what has come already is looked at.
  await setImmediate();
  if (!request.complete) response.setHeader("connection", "close");
  response.writeHead(204, { "upload-offset": await session.offset() }).end();
}
