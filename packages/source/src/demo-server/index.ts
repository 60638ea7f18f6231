import { timingSafeEqual } from "node:crypto";
import { realpath } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import ssh2, { type Connection, type ParsedKey } from "ssh2";
import { XVaultError } from "@xvault/kernel";
import { hostKeyFromBlob } from "../keys.ts";
import type { HostKey } from "../types.ts";
import { serveSftp } from "./sftp-server.ts";

export interface DemoServerOptions {
  /** The directory that clients see as '/'. */
  root: string;
  /** A private key in OpenSSH or PEM format, as `generateKeyPair` makes it. */
  hostKeyPem: string;
  /** The one key that is let in, as a line of authorized_keys. */
  authorizedKeyLine: string;
  username: string;
  /** 0: any free one. */
  port: number;
}

export interface DemoServer {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly hostKey: HostKey;
  stop(): Promise<void>;
}

/**
 * Starts an SSH server on loopback with SFTP alone, for demonstrations on machines that have no sshd. It lets one user in by one key,
 * runs no commands, and shows one directory.
 *
 * @throws KEY_INVALID; what listening throws (a port that is taken)
 */
export async function startDemoServer(options: DemoServerOptions): Promise<DemoServer> {
  const root = await realpath(options.root);
  const hostKey = parse(options.hostKeyPem);
  const allowed = parse(options.authorizedKeyLine);
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [options.hostKeyPem] }, (client) => {
    clients.add(client);
    client.on("error", () => {}); // a client that hangs up is nothing to report
    client.on("close", () => clients.delete(client));
    client.on("authentication", (attempt) => {
      if (attempt.username !== options.username || attempt.method !== "publickey") return attempt.reject(["publickey"]);
      const blob = allowed.getPublicSSH();
      const same = attempt.key.data.length === blob.length && timingSafeEqual(attempt.key.data, blob);
      if (!same) return attempt.reject(["publickey"]);
      // Without a signature it is the question whether the key would do.
      if (!attempt.signature || !attempt.blob) return attempt.accept();
      // Despite its type it answers with an Error, which is truthy, when the signature cannot be checked.
      const valid: unknown = allowed.verify(attempt.blob, attempt.signature, attempt.hashAlgo);
      if (valid === true) attempt.accept();
      else attempt.reject(["publickey"]);
    });
    client.on("ready", () => {
      client.on("session", (accept) => {
        const session = accept();
        session.on("subsystem", (take, refuse, info) => {
          if (info.name === "sftp") serveSftp(take(), root);
          else refuse();
        });
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", () => resolve());
  });
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    hostKey: hostKeyFromBlob(hostKey.getPublicSSH()),
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.end();
      await closed;
    },
  };
}

function parse(text: string): ParsedKey {
  const parsed = ssh2.utils.parseKey(text);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (parsed instanceof Error || !key || key instanceof Error)
    throw new XVaultError("KEY_INVALID", undefined, { cause: parsed });
  return key;
}
