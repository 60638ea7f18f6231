// Once the last byte of a package has come it is packed, whatever becomes of the request that brought it: the client is told that all is there,
// and stops.
import { XVaultError } from "@xvault/kernel";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { serveUpload } from "./serve.ts";
import { begin } from "./test/begin-session.ts";

/** How long a session that has all it needs may take, before it counts as stuck. Milliseconds. */
const SOON = 10_000;
/** More than waits in memory between a request and the packing: its end has to wait for room. */
const content = randomBytes(3 * 1024 * 1024);

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const within = <T>(promise: Promise<T>) => Promise.race([promise, sleep(SOON, "stuck" as const, { ref: false })]);

/** A package on its way; `packed` when it became a snapshot. */
async function start(bytes: Buffer) {
  const { session, said, stored } = await begin(bytes, 60_000);
  const packed = async () => {
    expect(await within(session.ended)).toBe(undefined);
    expect(said).toContain("publish");
    expect((await stored()).length).toBeGreaterThan(0);
  };
  return { session, packed };
}

/** The same behind a server; what a client sends to it as it stands, and what it hears. */
async function serve(bytes: Buffer) {
  const { session, packed } = await start(bytes);
  const desk = { sessionOf: () => Promise.resolve(session), ended: () => Promise.resolve() };
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    serveUpload(desk, "ticket", request, response).catch((error: unknown) => {
      const code = error instanceof XVaultError ? error.code : "INTERNAL";
      response.writeHead(500, { connection: "close" }).end(code);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
  closing.push(() => socket.destroy());
  let heard = "";
  socket.on("data", (piece: Buffer) => (heard += piece.toString("latin1")));
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(heard)));
  const patch = (...headers: string[]) =>
    socket.write(
      [
        "PATCH /v1/upload HTTP/1.1",
        "host: worker.example",
        "upload-offset: 0",
        "content-type: application/offset+octet-stream",
        ...headers,
        "\r\n",
      ].join("\r\n"),
    );
  return { session, packed, socket, patch, closed };
}

/** A request without a connection, which is open until somebody ends it. */
const requestOf = (stream: Readable) => Object.assign(stream, { headers: {} }) as unknown as IncomingMessage;
const openRequest = () => requestOf(new Readable({ read: () => {} }));
const chunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

it("a request in chunks that is never ended is answered, and its package packed", async () => {
  const { packed, socket, patch, closed } = await serve(content);
  patch("transfer-encoding: chunked");
  socket.write(chunk(content));
  expect(await within(closed)).toContain("HTTP/1.1 204");
  await packed();
});

it("a connection that breaks at the last byte takes nothing back, and its client need not come again", async () => {
  const { session, packed, socket, patch } = await serve(content);
  patch("transfer-encoding: chunked");
  socket.write(chunk(content), () => socket.destroySoon());
  await packed();
  expect(await session.offset()).toBe(content.length);
});

it("a request that breaks while its last bytes wait for room takes nothing back", async () => {
  const { session, packed } = await start(content);
  const request = openRequest();
  const appended = session.append(request, 0).then(
    () => "received",
    (error: { code: string }) => error.code,
  );
  request.push(content);
  await expect.poll(() => request.readableLength).toBe(0);
  request.destroy();
  expect(await within(appended)).toBe("received");
  await packed();
});

it("what comes after the last byte is dropped, and refused in a request of its own", async () => {
  const { session, packed } = await start(content);
  const unended = openRequest();
  unended.push(content);
  const appended = session.append(unended, 0);
  await expect.poll(() => unended.readableLength).toBe(0);
  unended.push(Buffer.from("more"));
  await appended;
  // Its answer goes out over its connection.
  expect(unended.destroyed).toBe(false);
  const another = requestOf(Readable.from([Buffer.from("more")]));
  await expect(session.append(another, content.length)).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
  await packed();
  // Who has not heard that it is whole may ask again.
  await session.append(requestOf(Readable.from([])), content.length);
});

it("a request that is ended in order keeps its connection", async () => {
  const { packed, socket, patch, closed } = await serve(content);
  patch(`content-length: ${content.length}`, "connection: keep-alive");
  socket.write(content);
  await packed();
  socket.write("HEAD /v1/upload HTTP/1.1\r\nhost: worker.example\r\nconnection: close\r\n\r\n");
  const heard = await within(closed);
  expect(heard).toContain("HTTP/1.1 204");
  expect(heard).toContain(`upload-length: ${content.length}`);
});

it("of a package without bytes all is there when its client asks how many are", async () => {
  const { session, packed } = await start(Buffer.alloc(0));
  expect(await session.offset()).toBe(0);
  await packed();
});
