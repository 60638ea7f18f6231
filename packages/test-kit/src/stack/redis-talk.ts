import { connect, type Socket } from "node:net";
import { once } from "node:events";

/** A reply of Redis; bulk strings as the bytes they are. */
export type Reply = Buffer | string | number | null | Reply[];

/** A connection that says commands to Redis in its own protocol (RESP 2), one at a time. */
export interface RedisTalk {
  say(...command: string[]): Promise<Reply>;
  /** Everything that is stored, keys and serialised values, for searching. Strings, lists, sets, hashes and streams alike. */
  everything(): Promise<Buffer>;
  close(): void;
}

export async function talkToRedis(port: number): Promise<RedisTalk> {
  const socket: Socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let buffered: Buffer = Buffer.alloc(0);
  const more = async () => {
    const [data] = (await once(socket, "data")) as [Buffer];
    buffered = Buffer.concat([buffered, data]);
  };
  const line = async (): Promise<string> => {
    for (let at = buffered.indexOf("\r\n"); ; at = buffered.indexOf("\r\n")) {
      if (at >= 0) {
        const text = buffered.subarray(0, at).toString();
        buffered = buffered.subarray(at + 2);
        return text;
      }
      await more();
    }
  };
  const read = async (): Promise<Reply> => {
    const head = await line();
    const rest = head.slice(1);
    if (head.startsWith("-")) throw new Error(`Redis said ${rest}`);
    if (head.startsWith("+")) return rest;
    if (head.startsWith(":")) return Number(rest);
    const size = Number(rest);
    if (size < 0) return null;
    if (head.startsWith("*")) {
      const items: Reply[] = [];
      for (let i = 0; i < size; i += 1) items.push(await read());
      return items;
    }
    while (buffered.length < size + 2) await more();
    const bulk = Buffer.from(buffered.subarray(0, size));
    buffered = buffered.subarray(size + 2);
    return bulk;
  };
  const say = async (...command: string[]): Promise<Reply> => {
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
    socket.write(`*${command.length}\r\n${parts.join("")}`);
    return read();
  };
  const READS: Record<string, (key: string) => string[]> = {
    string: (key) => ["GET", key],
    list: (key) => ["LRANGE", key, "0", "-1"],
    set: (key) => ["SMEMBERS", key],
    zset: (key) => ["ZRANGE", key, "0", "-1"],
    hash: (key) => ["HGETALL", key],
    stream: (key) => ["XRANGE", key, "-", "+"],
  };
  return {
    say,
    // DUMP would compress values (LZF), and what is compressed cannot be searched.
    async everything() {
      const found: Buffer[] = [];
      const keep = (reply: Reply): void => {
        if (Array.isArray(reply)) for (const one of reply) keep(one);
        else if (reply !== null) found.push(Buffer.from(reply.toString()), Buffer.from("\n"));
      };
      for (const key of (await say("KEYS", "*")) as Buffer[]) {
        found.push(key, Buffer.from(": "));
        const kind = String(await say("TYPE", key.toString()));
        const command = READS[kind]?.(key.toString());
        if (command) keep(await say(...command));
      }
      return Buffer.concat(found);
    },
    close: () => socket.destroy(),
  };
}
