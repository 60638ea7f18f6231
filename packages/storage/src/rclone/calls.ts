import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { XVaultError } from "@xvault/kernel";
import { missing, storageError, truncated } from "../failures.ts";
import type { Daemon, DaemonAddress } from "./daemon.ts";
import { rcloneError, type Scrub } from "./failures.ts";

/** The remote's name within the process. It has no configuration but this. */
export const REMOTE = "xv:";
const MAX_ANSWER = 256 * 1024 * 1024;
const MAX_ERROR = 64 * 1024;

export interface RemoteEntry {
  /** Below the remote. */
  Path: string;
  Name: string;
  Size: number;
  IsDir: boolean;
  /** RFC 3339; '' where it was not asked for. */
  ModTime: string;
}

/** A failure that rclone reported, with its status, before it is put in our words. */
export class CallFailed extends Error {
  readonly status: number;
  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

/** What is sent while it is being made. */
export interface Upload {
  /** Resolves when more can be taken. */
  write(chunk: Buffer): Promise<void>;
  /** Ends it. Resolves when rclone has put everything on the remote. */
  end(): Promise<void>;
  /** Breaks it off. */
  destroy(): void;
}

export interface Calls {
  /** Asks for `name` of rclone's remote control about the remote. Throws {@link CallFailed}. */
  ask(name: string, input: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Exactly these bytes of a file. */
  read(key: string, path: string, offset: number, length: number): Promise<Buffer>;
  /** Begins to put a file into a folder. */
  upload(folder: string, name: string): Promise<Upload>;
  /** What failed, in our words; CANCELLED once the process is not started again. */
  inWords(error: unknown, operation: string, key: string): XVaultError;
}

/** rclone's remote control, spoken over loopback. */
export function createCalls(daemon: Daemon, scrub: Scrub): Calls {
  const agent = new Agent({ keepAlive: true });

  const open = (
    { port, authorization }: DaemonAddress,
    method: string,
    path: string,
    headers: Record<string, string>,
  ) => request({ agent, host: "127.0.0.1", port, method, path, headers: { authorization, ...headers } });
  const wordsOf = async (response: IncomingMessage): Promise<string> => {
    const text = (await bodyOf(response, MAX_ERROR)).toString("utf8");
    try {
      const answer: unknown = JSON.parse(text);
      if (typeof answer === "object" && answer !== null && "error" in answer) return scrub(String(answer.error));
    } catch {
      // Not JSON: taken as it is.
    }
    return scrub(text);
  };

  return {
    inWords(error, operation, key) {
      if (daemon.closed) return new XVaultError("CANCELLED", undefined, { cause: error });
      if (error instanceof CallFailed) return rcloneError(operation, key, error.message);
      return storageError(error, operation, key);
    },
    ask: (name, input) =>
      daemon.use(async (address) => {
        const sent = open(address, "POST", `/${name}`, { "content-type": "application/json" });
        const response = answerOf(sent);
        sent.end(JSON.stringify({ fs: REMOTE, ...input }));
        const answer = await response;
        if (answer.statusCode !== 200) throw new CallFailed(answer.statusCode ?? 0, await wordsOf(answer));
        return JSON.parse((await bodyOf(answer, MAX_ANSWER)).toString("utf8")) as Record<string, unknown>;
      }),
    read: (key, path, offset, length) =>
      daemon.use(async (address) => {
        const where = path.split("/").map(encodeURIComponent).join("/");
        const sent = open(address, "GET", `/[${REMOTE}]/${where}`, { range: `bytes=${offset}-${offset + length - 1}` });
        const response = answerOf(sent);
        sent.end();
        const answer = await response;
        if (answer.statusCode === 206 || (answer.statusCode === 200 && offset === 0)) {
          const bytes = await bodyOf(answer, length);
          if (bytes.length < length) throw truncated(key);
          return bytes;
        }
        const words = await wordsOf(answer);
        if (answer.statusCode === 404) throw missing(key);
        if (answer.statusCode === 416) throw truncated(key);
        throw rcloneError("read an object", key, words);
      }),
    upload: (folder, name) =>
      new Promise<Upload>((resolve, reject) => {
        // The process is in use until the answer has come.
        daemon
          .use(async (address) => {
            const query = new URLSearchParams({ fs: REMOTE, remote: folder });
            const boundary = `xvault-${name.replaceAll(/[^A-Za-z0-9-]/g, "")}`;
            const sent = open(address, "POST", `/operations/uploadfile?${query}`, {
              "content-type": `multipart/form-data; boundary=${boundary}`,
            });
            const answered = answerOf(sent).then(async (answer) => {
              if (answer.statusCode !== 200) throw new CallFailed(answer.statusCode ?? 0, await wordsOf(answer));
              await bodyOf(answer, MAX_ERROR);
            });
            resolve(multipart(sent, answered, boundary, name));
            await answered.catch(() => {});
          })
          .catch(reject);
      }),
  };
}

function multipart(sent: ClientRequest, answered: Promise<void>, boundary: string, name: string): Upload {
  let over = false;
  const ended = () => {
    over = true;
  };
  answered.then(ended, ended); // reported to whoever writes or ends
  const send = async (bytes: Buffer | string): Promise<void> => {
    if (over || sent.destroyed) return answered;
    if (sent.write(bytes)) return;
    const drained = new Promise<void>((resolve) => void sent.once("drain", resolve));
    // An answer before the end is a refusal.
    await Promise.race([drained, answered]);
  };
  void send(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  ).catch(() => {});
  return {
    write: send,
    async end() {
      if (!sent.writableEnded) sent.end(`\r\n--${boundary}--\r\n`);
      await answered;
    },
    destroy: () => void sent.destroy(),
  };
}

function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", resolve);
    sent.on("error", (cause) =>
      reject(new XVaultError("STORAGE_FAILED", "rclone ended, or does not answer.", { cause })),
    );
  });
}

/** A body of at most so many bytes; the rest of a longer one is dropped with its connection. */
async function bodyOf(response: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limit) break;
    }
  } catch (cause) {
    throw new XVaultError("STORAGE_FAILED", "The storage broke off in the middle of an answer.", { cause });
  }
  return Buffer.concat(chunks).subarray(0, limit);
}
