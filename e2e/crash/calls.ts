import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Before the hub has heard of a call, or when it has answered and the worker has not heard that yet. */
export type Side = "before" | "after";

/** Carries a worker's calls to the hub, and can hold one of them at a point that is known to the byte. */
export interface Calls {
  readonly url: string;
  /** Resolves when a call of this name is at this side; it is held there until it is let go. */
  stopAt(name: string, side: Side): Promise<void>;
  letGo(): void;
  stop(): Promise<void>;
}

export async function startCalls(hubUrl: string): Promise<Calls> {
  let point: { name: string; side: Side; reached: () => void } | null = null;
  let waiting: (() => void)[] = [];
  const pass = async (name: string, side: Side) => {
    if (point?.name !== name || point.side !== side) return;
    point.reached();
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const letGo = () => {
    point = null;
    for (const go of waiting.splice(0)) go();
    waiting = [];
  };

  const forward = (incoming: IncomingMessage, body: string) =>
    new Promise<{ status: number; type: string; body: string }>((resolve, reject) => {
      const headers = { ...incoming.headers, host: new URL(hubUrl).host };
      const outgoing = request(
        `${hubUrl}${incoming.url}`,
        { method: incoming.method, headers, agent: false },
        (answer) => {
          const type = answer.headers["content-type"] ?? "";
          text(answer).then((said) => resolve({ status: answer.statusCode ?? 502, type, body: said }), reject);
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  const carry = async (incoming: IncomingMessage, response: ServerResponse) => {
    const name = incoming.url?.split("/").at(-1) ?? "";
    const body = await text(incoming);
    await pass(name, "before");
    // A worker that is gone has not called.
    if (response.destroyed) return;
    const answer = await forward(incoming, body);
    await pass(name, "after");
    if (!response.destroyed) response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
  };
  const server = createServer((incoming, response) => {
    carry(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stopAt: (name, side) =>
      new Promise((reached) => {
        point = { name, side, reached };
      }),
    letGo,
    async stop() {
      letGo();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
