// A receiver of webhooks as somebody else would write it: it knows the documentation and nothing of xVault's code.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrival {
  event: string;
  delivery: string;
  isGenuine(secret: string): boolean;
  payload: { id: string; subject: { kind: string; id: string }; data: Record<string, unknown> };
}

export interface Receiver {
  url: string;
  port: number;
  arrived: Arrival[];
  /** The status of its answers from now on. */
  status: number;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const [, time = "", mac = ""] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers["x-xvault-signature"])) ?? [];
      receiver.arrived.push({
        event: String(request.headers["x-xvault-event"]),
        delivery: String(request.headers["x-xvault-delivery"]),
        isGenuine: (secret) => createHmac("sha256", secret).update(`${time}.`).update(body).digest("hex") === mac,
        payload: JSON.parse(body.toString("utf8")) as Arrival["payload"],
      });
      response.writeHead(receiver.status).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    arrived: [],
    status: 200,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return receiver;
}
