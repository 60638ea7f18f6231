import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2, { type ServerChannel } from "ssh2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectSource, generateKeyPair, hostKeyFromBlob } from "../src/index.ts";
import { collect, everywhere, plan } from "./trees.ts";

const missing = existsSync("/usr/bin/xargs") && existsSync("/bin/tar") ? null : "GNU tar and find are not installed";

type Ending = (channel: ServerChannel, code: number) => void;

/** Ends the server's last connection. */
let drop = () => {};

/** An SSH server that runs what it is told, and ends the one command named in `odd` in its own way. */
async function shellServer(odd: string, ending: Ending) {
  const key = generateKeyPair("host");
  const server = new ssh2.Server({ hostKeys: [key.privateKey] }, (client) => {
    client.on("error", () => {});
    drop = () => client.end();
    client.on("authentication", (attempt) => attempt.accept());
    client.on("session", (accept) => {
      accept().on("exec", (take, _refuse, { command }) => {
        const channel = take();
        const child = spawn("sh", ["-c", command]);
        child.stdin.on("error", () => {});
        channel.on("error", () => {});
        channel.pipe(child.stdin);
        child.stderr.on("data", (data: Buffer) => channel.stderr.write(data));
        child.stdout.pipe(channel, { end: false });
        child.on("close", (code) => {
          if (command.includes(odd)) return ending(channel, code ?? 0);
          channel.exit(code ?? 0);
          channel.end();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const connection = await connectSource({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    username: "u",
    policy: everywhere,
    hostKey: hostKeyFromBlob(Buffer.from(key.publicKeyLine.split(" ")[1] ?? "", "base64")),
    credential: { kind: "password", password: "p" },
  });
  return {
    connection,
    stop: async () => {
      connection.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** All bytes of the tar have arrived in each of these; only how the command ended differs. */
describe.skipIf(missing)(`how a remote command ends${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let tree: string;
  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), "xvault-exit-"));
    for (let file = 0; file < 50; file++) writeFileSync(join(tree, `f${file}`), `content ${file}`);
  });
  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  const pull = async (odd: string, ending: Ending) => {
    const { connection, stop } = await shellServer(odd, ending);
    try {
      return await collect(connection, plan([tree], { transport: "tar" }));
    } finally {
      await stop();
    }
  };
  const withStatus = (status: number): Ending => {
    return (channel) => {
      channel.exit(status);
      channel.end();
    };
  };

  for (const command of ["tar --create", "find -P"]) {
    it(`is a success when ${command} ends well`, async () => {
      expect((await pull(command, withStatus(0))).order.length).toBe(51);
    });

    it(`is CONNECTION_LOST when ${command} ends without a status`, async () => {
      await expect(pull(command, (channel) => channel.end())).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    });

    it(`is CONNECTION_LOST when the link breaks behind the status of ${command}`, async () => {
      // What it had written may still have been on its way.
      const torn: Ending = (channel) => {
        channel.exit(0);
        setImmediate(() => drop());
      };
      await expect(pull(command, torn)).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    });

    it(`is REMOTE_FAILED when ${command} is killed`, async () => {
      const killed: Ending = (channel) => {
        channel.exit("KILL");
        channel.end();
      };
      await expect(pull(command, killed)).rejects.toMatchObject({ code: "REMOTE_FAILED" });
    });

    it(`is REMOTE_FAILED when ${command} fails`, async () => {
      const failing: Ending = (channel) => {
        channel.stderr.write("tar: out of memory\n");
        channel.exit(command.startsWith("tar") ? 2 : 124);
        channel.end();
      };
      await expect(pull(command, failing)).rejects.toMatchObject({ code: "REMOTE_FAILED" });
    });
  }
});
