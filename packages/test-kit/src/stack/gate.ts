import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

/** A TCP proxy that can hold back what the target sends, and lets all of it through later: a job waits in its middle for a test. */
export interface Gate {
  readonly port: number;
  /** From now on `bytes` more pass towards clients; then nothing does. */
  hold(bytes: number): void;
  /** True when something is being held back. */
  holding(): boolean;
  /** Lets everything through, in its order. */
  release(): void;
  /** Resets every open connection. New ones are let through. */
  cut(): void;
  stop(): Promise<void>;
}

/** Starts a gate on loopback in front of `targetPort`. */
export async function startGate(targetPort: number): Promise<Gate> {
  let room = Number.POSITIVE_INFINITY;
  const held: { to: Socket; from: Socket; data: Buffer }[] = [];
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const target = createConnection({ host: "127.0.0.1", port: targetPort, noDelay: true });
    for (const socket of [client, target]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => open.delete(socket));
    }
    client.on("data", (data: Buffer) => target.write(data));
    client.on("close", () => target.destroy());
    target.on("data", (data: Buffer) => {
      const passed = data.subarray(0, Math.max(0, Math.min(data.length, room)));
      room -= passed.length;
      if (passed.length > 0 && !client.write(passed)) {
        target.pause();
        client.once("drain", () => {
          if (!held.some((one) => one.from === target)) target.resume();
        });
      }
      if (passed.length < data.length) {
        held.push({ to: client, from: target, data: data.subarray(passed.length) });
        target.pause();
      }
    });
    target.on("end", () => client.end());
    target.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const release = () => {
    room = Number.POSITIVE_INFINITY;
    for (const { to, from, data } of held.splice(0)) {
      if (!to.destroyed) to.write(data);
      from.resume();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    hold: (bytes) => {
      room = bytes;
    },
    holding: () => held.length > 0,
    release,
    cut: () => {
      held.length = 0;
      room = Number.POSITIVE_INFINITY;
      for (const socket of open) socket.resetAndDestroy();
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
