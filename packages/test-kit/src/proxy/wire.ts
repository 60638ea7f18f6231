import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";

/** `forth`: from the client to the target, `back`: the other way. */
type Direction = "forth" | "back";

/** A TCP proxy on loopback with a point on it: when so many bytes have passed, it stands still until it is told how to go on. */
export interface Wire {
  readonly port: number;
  /** Bytes that have passed so far, over all connections. */
  passed(direction: Direction): number;
  /** How many connections have been opened so far. */
  connections(): number;
  /** Sets the point `bytes` further on; resolves when it is reached, from when on nothing passes in either direction. */
  stopAt(direction: Direction, bytes: number): Promise<void>;
  /** Forgets the point and lets everything through, in its order; with `garble`, one bit of what was held back first is turned over. */
  letGo(options?: { garble?: boolean }): void;
  /** Forgets the point and resets every open connection. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startWire(targetPort: number): Promise<Wire> {
  const passed = { forth: 0, back: 0 };
  let connections = 0;
  const open = new Set<Socket>();
  let point: { direction: Direction; at: number; reached: () => void } | null = null;
  let standing = false;
  let held: { from: Socket; to: Socket; data: Buffer }[] = [];

  const send = (from: Socket, to: Socket, data: Buffer) => {
    if (to.destroyed || to.write(data)) return;
    from.pause();
    to.once("drain", () => !standing && from.resume());
  };
  const carry = (direction: Direction, from: Socket, to: Socket, data: Buffer) => {
    if (standing) {
      from.pause();
      held.push({ from, to, data });
      return;
    }
    const room = point?.direction === direction ? point.at - passed[direction] : Number.POSITIVE_INFINITY;
    const now = data.length > room ? data.subarray(0, room) : data;
    passed[direction] += now.length;
    if (now.length > 0) send(from, to, now);
    if (now.length < room) return;
    standing = true;
    from.pause();
    if (now.length < data.length) held.push({ from, to, data: data.subarray(now.length) });
    point?.reached();
  };
  const end = (to: Socket) => (standing ? undefined : to.end());

  const server = createServer({ noDelay: true }, (client) => {
    connections += 1;
    const target = createConnection({ host: "127.0.0.1", port: targetPort, noDelay: true });
    for (const socket of [client, target]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => open.delete(socket));
    }
    client.on("data", (data: Buffer) => carry("forth", client, target, data));
    target.on("data", (data: Buffer) => carry("back", target, client, data));
    client.on("end", () => end(target));
    target.on("end", () => end(client));
    client.on("close", () => target.destroy());
    target.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });

  const goOn = () => {
    point = null;
    standing = false;
    const rest = held;
    held = [];
    return rest;
  };
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    passed: (direction) => passed[direction],
    stopAt: (direction, bytes) =>
      new Promise((reached) => {
        point = { direction, at: passed[direction] + bytes, reached };
      }),
    letGo({ garble = false } = {}) {
      const rest = goOn();
      const first = rest[0]?.data;
      if (garble && first) first[first.length >> 1] = (first[first.length >> 1] ?? 0) ^ 1;
      for (const { from, to, data } of rest) send(from, to, data);
      for (const socket of open) socket.resume();
    },
    cut() {
      goOn();
      for (const socket of open) socket.resetAndDestroy();
    },
    async stop() {
      goOn();
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
