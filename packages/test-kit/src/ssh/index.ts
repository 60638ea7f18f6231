import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { killFamily } from "../stack/family.ts";

const SSHD = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].find((path) => existsSync(path));

/** Why no sshd can be started here, or null when one can. */
export function sshdAvailable(): string | null {
  if (process.platform === "win32") return "OpenSSH's sshd is not run on Windows";
  if (!SSHD) return "sshd is not installed (Debian: openssh-server)";
  try {
    execFileSync("ssh-keygen", ["-?"], { stdio: "ignore" });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "ssh-keygen is not installed";
  }
  return null;
}

/** Why no sshd without the right to pass over file modes can be started here, or null when one can. */
export function unprivilegedSshdAvailable(): string | null {
  const missing = sshdAvailable();
  if (missing || process.getuid?.() !== 0) return missing;
  try {
    execFileSync("setpriv", [...DROP, "true"], { stdio: "ignore" });
    return null;
  } catch {
    return "running as root, and setpriv cannot drop the right to read everything";
  }
}

const DROP = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"];

/** Why no sshd that takes a password can be started here, or null when one can: it gets a mount namespace with a shadow file of its own. */
export function passwordSshdAvailable(): string | null {
  const missing = sshdAvailable();
  if (missing) return missing;
  if (process.getuid?.() !== 0) return "only root can give an sshd a password of its own";
  try {
    execFileSync("unshare", ["--mount", "mount", "--bind", "/etc/shadow", "/etc/shadow"], { stdio: "ignore" });
    execFileSync("perl", ["-e", "1"], { stdio: "ignore" });
    return null;
  } catch {
    return "an sshd with a password of its own wants unshare, the right to mount, and perl";
  }
}

export interface SshdOptions {
  /** Holds keys, configuration and the tree `home`. Default: a fresh temporary directory, removed by `stop`. */
  dir?: string | undefined;
  /** Further lines of authorized_keys. */
  authorizedKeys?: readonly string[] | undefined;
  port?: number | undefined;
  /** The server offers SFTP alone, no shell. */
  sftpOnly?: boolean | undefined;
  /** The server offers no SFTP. */
  noSftp?: boolean | undefined;
  /** As root: without the capabilities that let root read and write whatever it likes. */
  unprivileged?: boolean | undefined;
  /** `username` gets in by this password too. It is the server's own: the machine's passwords are neither asked nor changed. */
  password?: string | undefined;
  /** Further lines of sshd_config. */
  config?: readonly string[] | undefined;
}

export interface Sshd {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly username: string;
  /** Accepted for `username`; OpenSSH's format. */
  readonly privateKey: string;
  /** The Ed25519 host key that the server presents. */
  readonly hostKey: { algorithm: string; key: string; fingerprint: string };
  readonly fingerprint: string;
  readonly dir: string;
  /** An empty directory for the test's trees. */
  readonly home: string;
  readonly pid: number;
  /** What the server has logged so far. */
  log(): string;
  /** SIGKILL to the server and to every session, which it serves in processes of their own. */
  kill(): Promise<void>;
  /** Starts it again where it was, with the same keys. */
  start(): Promise<void>;
  /** Restarts the server with another host key on the same port; `hostKey` is the new one from then on. */
  rotateHostKey(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a real OpenSSH server on loopback as an ordinary process, root or not. It lets the present user in by key. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const reason = options.unprivileged
    ? unprivilegedSshdAvailable()
    : options.password
      ? passwordSshdAvailable()
      : sshdAvailable();
  if (reason || !SSHD) throw new Error(reason ?? "no sshd");
  const dir = realpathSync(options.dir ?? mkdtempSync(join(tmpdir(), "xvault-sshd-")));
  const home = join(dir, "home");
  const login = join(dir, "login");
  for (const folder of [home, login]) mkdirSync(folder, { recursive: true });
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });

  const keygen = (name: string) => {
    rmSync(join(dir, name), { force: true });
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(dir, name)]);
    return readFileSync(join(dir, `${name}.pub`), "utf8").trim();
  };
  const readHostKey = (line: string) => {
    const [algorithm = "", key = ""] = line.split(" ");
    const hash = createHash("sha256").update(Buffer.from(key, "base64")).digest("base64").replace(/=+$/, "");
    return { algorithm, key, fingerprint: `SHA256:${hash}` };
  };
  let hostKey = readHostKey(keygen("host_key"));
  writeFileSync(
    join(dir, "authorized_keys"),
    [keygen("user_key"), ...(options.authorizedKeys ?? [])].join("\n") + "\n",
  );
  const port = options.port ?? (await freePort());
  writeFileSync(
    join(dir, "sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${join(dir, "host_key")}`,
      `AuthorizedKeysFile ${join(dir, "authorized_keys")}`,
      `PidFile ${join(dir, "sshd.pid")}`,
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin yes",
      `PasswordAuthentication ${options.password ? "yes" : "no"}`,
      "KbdInteractiveAuthentication no",
      "MaxStartups 200",
      "MaxSessions 64",
      "LogLevel VERBOSE",
      // The login scripts of whoever runs this are none of the server's: they cost each command a fraction of a second here and nothing there.
      // Of several such lines sshd takes the first alone.
      ...(options.config?.some((line) => line.startsWith("SetEnv")) ? [] : [`SetEnv HOME=${login}`]),
      ...(options.noSftp ? [] : ["Subsystem sftp internal-sftp"]),
      ...(options.sftpOnly ? ["ForceCommand internal-sftp"] : []),
      ...(options.config ?? []),
    ].join("\n") + "\n",
  );

  let log = "";
  let child: ChildProcess;
  const launch = async () => {
    const command = [SSHD, "-D", "-e", "-f", join(dir, "sshd_config")];
    if (options.unprivileged && process.getuid?.() === 0) command.unshift("setpriv", ...DROP);
    if (options.password) {
      const shadow = join(dir, "shadow");
      writeFileSync(shadow, `${userInfo().username}:${hashPassword(options.password)}:20000:0:99999:7:::\n`, {
        mode: 0o600,
      });
      command.unshift("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/shadow && exec "$@"', shadow);
    }
    const started = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
    started.stderr?.on("data", (data: Buffer) => {
      log = (log + data.toString()).slice(-256 * 1024);
    });
    child = started;
    await answers(port, () => {
      if (started.exitCode !== null) throw new Error(`sshd did not start: ${log}`);
    });
  };
  const halt = async () => {
    const running = child;
    if (running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once("exit", resolve));
    running.kill("SIGTERM");
    await gone;
  };
  await launch();
  return {
    host: "127.0.0.1",
    port,
    username: userInfo().username,
    privateKey: readFileSync(join(dir, "user_key"), "utf8"),
    get hostKey() {
      return hostKey;
    },
    get fingerprint() {
      return hostKey.fingerprint;
    },
    dir,
    home,
    get pid() {
      return child.pid ?? 0;
    },
    log: () => log,
    kill: () => killFamily(child.pid ?? 0),
    start: launch,
    rotateHostKey: async () => {
      await halt();
      hostKey = readHostKey(keygen("host_key"));
      await launch();
    },
    stop: async () => {
      await halt();
      if (!options.dir) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** As /etc/shadow holds it, by the system's own crypt(3). */
function hashPassword(password: string): string {
  const salt = `$6$${randomBytes(6).toString("hex")}$`;
  return execFileSync("perl", ["-e", "print crypt($ENV{PASSWORD}, $ENV{SALT})"], {
    env: { PASSWORD: password, SALT: salt, PATH: process.env["PATH"] ?? "" },
    encoding: "utf8",
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until the port accepts a connection. `check` may throw to give up. */
async function answers(port: number, check: () => void): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    check();
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing answers on port ${port}`);
}
