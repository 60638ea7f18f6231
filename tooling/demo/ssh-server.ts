import { generateKeyPair } from "@xvault/source";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { userInfo } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const SSHD = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].find((path) => existsSync(path));

export interface DemoSshServer {
  port: number;
  username: string;
  /** What runs: OpenSSH's sshd, or the server of the ssh2 library where there is no sshd. */
  kind: "sshd" | "ssh2";
  /** What clients call a file of the demo's folder: sshd shows the whole machine, the library's server that folder alone. */
  pathOf(file: string): string;
  stop(): Promise<void>;
}

/**
 * Starts the demo's SSH server on loopback as a process of its own: OpenSSH's sshd with a configuration and host key of its own, or, where
 * there is none, the ssh2 library's server. Lets the present user in with the key whose public line stands in `authorized_keys`.
 */
export async function startDemoSsh(directory: string, port: number): Promise<DemoSshServer> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const hostKey = join(directory, "host_key");
  if (!existsSync(hostKey)) await writeFile(hostKey, generateKeyPair("xvault demo host").privateKey, { mode: 0o600 });
  const keys = join(directory, "authorized_keys");
  // Until xVault has made its own key pair, the one that is let in is a key whose private half nobody has.
  if (!existsSync(keys)) await authorize(directory, generateKeyPair("nobody").publicKeyLine);

  let child: ChildProcess;
  if (SSHD) {
    const config = join(directory, "sshd_config");
    await writeFile(
      config,
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${hostKey}`,
        `AuthorizedKeysFile ${keys}`,
        "PidFile none",
        `AllowUsers ${userInfo().username}`,
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "Subsystem sftp internal-sftp",
        "",
      ].join("\n"),
    );
    // As root, sshd wants its directory for privilege separation.
    if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
    child = spawn(SSHD, ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  } else {
    const script = join(dirname(fileURLToPath(import.meta.url)), "server.ts");
    child = spawn(process.execPath, [script, directory, String(port)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  }
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  await untilOpen(port, () => {
    if (child.exitCode !== null) throw new Error(`the demo's SSH server did not start: ${said}`);
  });
  return {
    port,
    username: userInfo().username,
    kind: SSHD ? "sshd" : "ssh2",
    pathOf: (file) => (SSHD ? file : `/${relative(dirname(directory), file)}`),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await gone;
    },
  };
}

/** Lets a key in; the server reads the file at every login (sshd), or is to be started again (ssh2). */
export async function authorize(directory: string, publicKeyLine: string): Promise<void> {
  await writeFile(join(directory, "authorized_keys"), `${publicKeyLine}\n`, { mode: 0o600 });
}

/** The fingerprint of the demo's host key, as the person at the server would read it out. */
export async function hostKeyOf(directory: string): Promise<string> {
  const { inspectPrivateKey } = await import("@xvault/source");
  return inspectPrivateKey(await readFile(join(directory, "host_key"), "utf8")).fingerprint;
}

async function untilOpen(port: number, check: () => void): Promise<void> {
  for (;;) {
    check();
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
