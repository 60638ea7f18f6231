export { startWire, type Wire } from "./wire.ts";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";

/** What goes wrong on the way, counted over all that a connection carries from the target back to the client. */
export interface ProxyFaults {
  /** Added to each direction. Milliseconds. */
  delayMs?: number | undefined;
  /** After this many bytes both ends are reset. */
  resetAfter?: number | undefined;
  /** After this many bytes nothing arrives any more in either direction, and nobody is told (a half-open link). */
  blackHoleAfter?: number | undefined;
}

export interface FaultyProxy {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Bytes that went from the target to clients so far. */
  bytesBack(): number;
  connections(): number;
  /** From now on these hold, for open connections too. */
  setFaults(faults: ProxyFaults): void;
  stop(): Promise<void>;
}

/** Starts a TCP proxy on loopback that can be told to misbehave. */
export async function startProxy(options: { host?: string; port: number } & ProxyFaults): Promise<FaultyProxy> {
  let faults: ProxyFaults = options;
  let back = 0;
  let connections = 0;
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    connections += 1;
    const target = createConnection({ host: options.host ?? "127.0.0.1", port: options.port, noDelay: true });
    let seen = 0;
    const holed = () => faults.blackHoleAfter !== undefined && seen >= faults.blackHoleAfter;
    for (const socket of [client, target]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => open.delete(socket));
    }
    const reset = () => {
      client.resetAndDestroy();
      target.resetAndDestroy();
    };
    const later = (work: () => void) => (faults.delayMs ? setTimeout(work, faults.delayMs) : work());
    const pipe = (from: Socket, to: Socket, onData: (data: Buffer) => Buffer | null) => {
      from.on("data", (data: Buffer) => {
        const passed = onData(data);
        if (!passed) return;
        later(() => {
          if (to.destroyed || holed()) return;
          if (!to.write(passed) && !from.isPaused()) {
            from.pause();
            to.once("drain", () => from.resume());
          }
        });
      });
      from.on("end", () => later(() => !holed() && to.end()));
      from.on("close", () => later(() => !holed() && to.destroy()));
    };
    pipe(client, target, (data) => (holed() ? null : data));
    pipe(target, client, (data) => {
      if (holed()) return null;
      const limit = faults.resetAfter ?? Number.POSITIVE_INFINITY;
      const room = Math.min(limit, faults.blackHoleAfter ?? Number.POSITIVE_INFINITY) - seen;
      const passed = data.length > room ? data.subarray(0, room) : data;
      seen += passed.length;
      back += passed.length;
      if (seen >= limit) later(reset);
      return passed.length > 0 ? passed : null;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    bytesBack: () => back,
    connections: () => connections,
    setFaults: (next) => {
      faults = next;
    },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
