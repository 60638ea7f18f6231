import { entryFromIndex, writeTarTo } from "@xvault/archive";
import { pathFromApi } from "@xvault/contracts";
import { createReportLog, keysOf, runRestore } from "@xvault/engine";
import { readThrough, toXVaultError, XVaultError } from "@xvault/kernel";
import type { Health } from "@xvault/platform";
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { WorkerContext } from "../context.ts";
import type { UploadDesk } from "../uploads/desk.ts";
import { serveUpload, TUS } from "../uploads/serve.ts";
import { createTicketDesk, type OpenTicket } from "./open-snapshots.ts";
import { parseRange } from "./range.ts";
import { responseSink } from "./response-sink.ts";
import { listTree, searchTree } from "./tree.ts";

/** The objects that a 'raw' ticket may read; of earlier snapshots all but the index. */
const RAW = {
  "manifest.json": "manifest",
  "backup.tar.zst.enc": "artifact",
  "index.zst.enc": "index",
  "blocks.bin": "blocks",
} as const;

const UPLOAD = "/v1/upload";
/** Seconds after which whoever has to wait for another package's turn may ask again. */
const RETRY_AFTER = 5;
const NOWHERE = "http://worker.invalid";

/**
 * The worker's own door for clients: backup bytes go from here straight to whoever shows a ticket of the hub, never through the hub.
 *
 * - `GET /v1/tree?path=` and `GET /v1/search?q=` (ticket 'browse'): listings as JSON
 * - `GET /v1/download` (tickets 'tar' and 'file'): the entries that the ticket names
 * - `GET /v1/raw/{object}` (ticket 'raw'): the stored objects, with byte ranges
 * - `GET /v1/raw/{snapshot_id}/{object}`: the same of an earlier snapshot that the ticket's refers to, but for its index
 * - `HEAD /v1/upload` and `PATCH /v1/upload` (ticket 'upload'): a package's bytes, by the tus protocol
 *
 * The ticket comes as a bearer token, or as `?ticket=` where a browser follows a link.
 */
export function createDataListener(context: WorkerContext, health: Health, uploads: UploadDesk): Server {
  const withTicket = createTicketDesk(context);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = request.url ?? "/";
    if (!URL.canParse(asked, NOWHERE)) throw new XVaultError("INPUT_INVALID", "The address cannot be read.");
    const url = new URL(asked, NOWHERE);
    // Behind a proxy the path begins with the worker's own prefix.
    const path = url.pathname.replace(/^\/data\/[0-9a-zA-Z-]+(?=\/)/, "");
    if (path === "/healthz") return json(response, health.live());
    if (path === "/readyz") return json(response, await health.ready());
    cors(context, request, response);
    if (request.method === "OPTIONS") return void response.writeHead(204, path === UPLOAD ? TUS : {}).end();
    const isUpload = path === UPLOAD && request.method !== "GET";
    if (!isUpload && request.method !== "GET" && request.method !== "HEAD") throw new XVaultError("NOT_FOUND");

    const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? url.searchParams.get("ticket");
    if (!shown) throw new XVaultError("UNAUTHENTICATED", "A ticket is needed here.");
    if (isUpload) return serveUpload(uploads, shown, request, response);
    return withTicket(shown, (ticket) => answer(ticket, { path, query: url.searchParams }, request, response));
  }

  async function answer(
    ticket: OpenTicket,
    { path, query }: { path: string; query: URLSearchParams },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (path === "/v1/tree") {
      const tree = await listTree(artifactOf(ticket, "browse"), query.get("path") ?? "/");
      return json(response, { status: 200, body: tree });
    }
    if (path === "/v1/search") {
      const tree = await searchTree(artifactOf(ticket, "browse"), query.get("q") ?? "");
      return json(response, { status: 200, body: tree });
    }
    if (path === "/v1/download") return download(ticket, request, response);
    const [, earlier, raw] = /^\/v1\/raw\/(?:([0-9a-f-]{36})\/)?([a-z.]+)$/.exec(path) ?? [];
    if (raw && Object.hasOwn(RAW, raw)) {
      return rawObject(ticket, { earlier, object: RAW[raw as keyof typeof RAW] }, request, response);
    }
    throw new XVaultError("NOT_FOUND");
  }

  async function download(ticket: OpenTicket, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort(new XVaultError("CANCELLED", "The client went away.")));
    if (ticket.claims.kind === "file") return downloadFile(ticket, request, response, gone.signal);
    const artifact = artifactOf(ticket, "tar");
    const begin = () =>
      response.writeHead(200, {
        "content-type": "application/x-tar",
        "content-disposition": disposition(`${ticket.filename}.tar`),
      });
    if (request.method === "HEAD") return void begin().end();
    // What lies in earlier artifacts stands in the index where it may, not where its directory is.
    const directoriesLast = ticket.earlier.length > 0;
    const target = writeTarTo(responseSink(response, begin), { signal: gone.signal, directoriesLast });
    await runRestore({
      artifact,
      paths: ticket.claims.paths,
      target,
      reporter: createReportLog().reporter,
      signal: gone.signal,
    });
  }

  async function downloadFile(
    ticket: OpenTicket,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const artifact = artifactOf(ticket, "file");
    const wanted = pathFromApi(ticket.claims.paths[0] ?? "");
    for await (let line of artifact.entries()) {
      if (!entryFromIndex(line).path.equals(wanted)) continue;
      const { linkTarget } = entryFromIndex(line);
      if (line.type === "hardlink" && linkTarget) {
        for await (const other of artifact.entries()) if (entryFromIndex(other).path.equals(linkTarget)) line = other;
      }
      if (line.type !== "file" || line.sparse)
        throw new XVaultError("INPUT_INVALID", "Only plain files can be downloaded as they are.", {
          fix: "Download it as a tar.",
        });
      // While an error can still be told as one.
      if (line.snapshot !== undefined) await artifact.prepare([line.snapshot]);
      const name = wanted.toString("utf8").split("/").at(-1) ?? "file";
      response.writeHead(200, {
        "content-type": "application/octet-stream",
        "content-length": line.size,
        "content-disposition": disposition(name),
      });
      if (request.method === "HEAD") return void response.end();
      const sink = responseSink(response);
      try {
        for await (const chunk of artifact.body(line)) {
          signal.throwIfAborted();
          await sink.write(chunk);
        }
      } finally {
        artifact.release();
      }
      return sink.close();
    }
    throw new XVaultError("NOT_FOUND", "The snapshot has no such file.");
  }

  async function rawObject(
    ticket: OpenTicket,
    which: { earlier: string | undefined; object: (typeof RAW)[keyof typeof RAW] },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (ticket.claims.kind !== "raw") throw new XVaultError("TOKEN_INVALID", "This ticket is for another use.");
    const { earlier, object } = which;
    if (earlier !== undefined && (object === "index" || !ticket.earlier.includes(earlier)))
      throw new XVaultError("NOT_FOUND");
    const place = { ...ticket.claims, ...(earlier === undefined ? {} : { snapshot_id: earlier }) };
    const reader = await ticket.store.reader(keysOf(place)[object]);
    const range = parseRange(request.headers.range, reader.size);
    const [start, end] = range ?? [0, reader.size];
    response.writeHead(range ? 206 : 200, {
      "content-type": "application/octet-stream",
      "content-length": end - start,
      "accept-ranges": "bytes",
      ...(range ? { "content-range": `bytes ${start}-${end - 1}/${reader.size}` } : {}),
    });
    if (request.method === "HEAD") return void response.end();
    const sink = responseSink(response);
    for await (const piece of readThrough(reader, start, end, 1024 * 1024)) await sink.write(piece);
    await sink.close();
  }

  // Whoever sends a package may take as long as it takes; who falls silent is cut off by the upload's own clock.
  return createServer({ requestTimeout: 0 }, (request, response) => {
    const requestId = randomUUID();
    response.setHeader("x-request-id", requestId);
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "no-referrer");
    serve(request, response).catch((error: unknown) => {
      const failure = toXVaultError(error);
      if (failure.code === "INTERNAL")
        context.log.error({ err: error, requestId }, "a request to the data listener failed");
      // Once bytes are on their way only a broken connection tells that they are not all.
      if (response.headersSent) response.destroy();
      else {
        const report = failure.report(requestId);
        // What is still on its way of a body that was refused is not read.
        if (request.method === "PATCH") response.setHeader("connection", "close");
        if (failure.code === "RATE_LIMITED") response.setHeader("retry-after", RETRY_AFTER);
        json(response, {
          status: failure.status,
          body: {
            type: "about:blank",
            title: report.message,
            status: failure.status,
            detail: report.fix,
            ...report,
            request_id: requestId,
          },
        });
      }
    });
  });
}

function artifactOf(ticket: OpenTicket, kind: OpenTicket["claims"]["kind"]) {
  if (ticket.claims.kind !== kind || !ticket.artifact)
    throw new XVaultError("TOKEN_INVALID", "This ticket is for another use.");
  return ticket.artifact;
}

function json(response: ServerResponse, answer: { status: number; body: unknown }): void {
  response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
}

function cors(context: WorkerContext, request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  response.setHeader("vary", "origin");
  if (!origin || !context.standing().web_origins.includes(origin)) return;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-allow-methods", "GET, HEAD, PATCH");
  response.setHeader(
    "access-control-allow-headers",
    "authorization, range, content-type, tus-resumable, upload-offset",
  );
  response.setHeader(
    "access-control-expose-headers",
    "content-range, content-length, x-request-id, tus-resumable, tus-version, upload-offset, upload-length",
  );
  response.setHeader("access-control-max-age", "600");
}

function disposition(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._-]/g, "_");
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)}`;
}
