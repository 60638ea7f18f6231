import { once } from "node:events";
import http, { type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";

/** A request as a receiver gets it. */
export interface Received {
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** A real receiver of webhooks on loopback. */
export interface Receiver {
  port: number;
  url: string;
  received: Received[];
  /** How it answers from now on; at first with 200. */
  answer: (response: ServerResponse) => void;
  close(): Promise<void>;
}

/** `tls`: key and certificate (PEM) of a server that speaks https. */
export async function startReceiver(tls?: { key: string; cert: string }): Promise<Receiver> {
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      receiver.received.push({ url: request.url ?? "", headers: request.headers, body });
      receiver.answer(response);
    });
  };
  const server: Server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    port,
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}/hook`,
    received: [],
    answer: (response) => void response.writeHead(200).end(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return receiver;
}
