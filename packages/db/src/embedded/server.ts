import { spawn } from "node:child_process";
import { chmod, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { randomBytes, XVaultError } from "@xvault/kernel";
import { connect } from "../connection.ts";
import { databaseCode, translated } from "../errors.ts";
import { type Account, closedFolder, giveTo, serverAccount } from "./account.ts";
import { reachableBinaries } from "./binaries.ts";
import { createDatabase, onServer } from "./databases.ts";
import { isAlive, type Postmaster, readPostmaster, stopPostmaster } from "./postmaster.ts";

const OWNER = "xvault_owner";
const DATABASE = "xvault";

export interface EmbeddedPostgresOptions {
  /** Folder for everything of this server: the data, its password, its log. Made when missing. */
  dataDir: string;
  /** Default: a free one. A server that is found running keeps its own. */
  port?: number;
  /** Hears what is done, in sentences. */
  log?: (message: string) => void;
  /** Folder with `initdb` and `postgres`. Default: those that npm has installed. */
  binaries?: string;
  /** For tests: nothing is made sure to be on the disk, so that all is faster, and more connections are let in. */
  throwaway?: boolean;
}

export interface EmbeddedPostgres {
  /** The owner's URL, password included. */
  ownerUrl: string;
  port: number;
  /** Stops the server, dropping its clients. Harmless when repeated. */
  stop(): Promise<void>;
}

interface Folders {
  home: string;
  data: string;
  password: string;
  log: string;
  holder: string;
}

/**
 * Starts a PostgreSQL of our own that listens on 127.0.0.1 alone and asks for a password. A server that was left behind by a process
 * that died is taken over as it runs. As root it runs as another user.
 *
 * @throws CONFLICT when another living process uses the folder; CONFIG_INVALID when the server's user cannot reach it; UNAVAILABLE
 *   with the end of the server's log when it does not come up.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const home = resolve(options.dataDir);
  const at = (name: string) => join(home, name);
  const folders: Folders = {
    home,
    data: at("data"),
    password: at("password"),
    log: at("server.log"),
    holder: at("holder.pid"),
  };

  await mkdir(home, { recursive: true, mode: 0o700 });
  await hold(folders);
  const account = await serverAccount(folders.data);
  if (account) await openWay(folders, account);

  const left = await readPostmaster(folders.data);
  let hasDied = () => false;
  if (left) {
    log(`taking over the PostgreSQL that runs on port ${left.port} (process ${left.pid})`);
  } else {
    const binaries = options.binaries ?? (await reachableBinaries(account, home));
    if (!(await exists(folders.data))) {
      log("making the database");
      await initialise(folders, binaries, account, options.throwaway === true);
    }
    hasDied = await launch(folders, binaries, account, options);
  }
  const { pid, port } = await untilReady(folders, hasDied);
  const password = (await readFile(folders.password, "utf8")).trim();
  const ownerUrl = `postgres://${OWNER}:${password}@127.0.0.1:${port}/${DATABASE}`;
  await ensureDatabase(ownerUrl);
  log(`PostgreSQL answers on 127.0.0.1:${port}`);

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await stopPostmaster(pid);
    await rm(folders.holder, { force: true });
  };
  return { ownerUrl, port, stop: () => (stopping ??= stop()) };
}

/** Writes down that we use the folder, unless another living process does. */
async function hold({ home, holder }: Folders): Promise<void> {
  const other = Number(await readFile(holder, "utf8").catch(() => "0"));
  if (other > 0 && other !== process.pid && isAlive(other)) {
    throw new XVaultError("CONFLICT", `Another xVault (process ${other}) uses the database in ${home}.`, {
      fix: "Stop it first, or give this one a place of its own with XVAULT_HOME.",
    });
  }
  await writeFile(holder, `${process.pid}\n`, { mode: 0o600 });
}

/** Lets the server's user through to the data: through our own two folders by their mode; any other closed one is the operator's. */
async function openWay({ home }: Folders, account: Account): Promise<void> {
  for (const own of [dirname(home), home]) {
    const { mode, uid } = await stat(own);
    if (uid === 0 && (mode & 0o1) === 0) await chmod(own, (mode & 0o7777) | 0o11);
  }
  const closed = await closedFolder(home, account);
  if (closed !== null) {
    throw new XVaultError(
      "CONFIG_INVALID",
      `PostgreSQL runs as ${account.name}, which cannot pass through ${closed}.`,
      {
        fix: "Set XVAULT_HOME to a folder that others can pass through, such as /var/lib/xvault.",
        data: { folder: closed },
      },
    );
  }
}

/** Makes the data folder beside its place and moves it there whole, so that a half one is never taken for a database. */
async function initialise(
  folders: Folders,
  binaries: string,
  account: Account | null,
  throwaway: boolean,
): Promise<void> {
  const half = `${folders.data}.new`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  await giveTo(account, half, 0o700);
  await writeFile(folders.password, `${Buffer.from(randomBytes(24)).toString("base64url")}\n`, { mode: 0o600 });
  await giveTo(account, folders.password, 0o600);
  const args = [
    `--pgdata=${half}`,
    `--username=${OWNER}`,
    `--pwfile=${folders.password}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    ...(throwaway ? ["--no-sync"] : []),
  ];
  const output = await open(folders.log, "w", 0o600);
  try {
    const child = spawn(join(binaries, "initdb"), args, { stdio: ["ignore", output.fd, output.fd], ...runAs(account) });
    const code = await new Promise((done, fail) => child.on("error", fail).on("exit", done));
    if (code !== 0) throw await startFailed(folders, "PostgreSQL could not make its database.");
  } finally {
    await output.close();
  }
  await rename(half, folders.data);
}

/**
 * Starts the server in a process group of its own: Ctrl-C reaches us alone, and we stop it when we are done with it.
 *
 * @returns tells whether it has ended meanwhile
 */
async function launch(
  folders: Folders,
  binaries: string,
  account: Account | null,
  options: EmbeddedPostgresOptions,
): Promise<() => boolean> {
  const settings = {
    port: String(options.port ?? (await freePort())),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(options.throwaway
      ? { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "300" }
      : {}),
  };
  const args = ["-D", folders.data, ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`])];
  // A file that is stale (see readPostmaster) would make the server refuse to start.
  await rm(join(folders.data, "postmaster.pid"), { force: true });
  const output = await open(folders.log, "w", 0o600);
  try {
    const stdio = ["ignore", output.fd, output.fd] as const;
    const child = spawn(join(binaries, "postgres"), args, { stdio: [...stdio], detached: true, ...runAs(account) });
    await new Promise((done, fail) => child.on("error", fail).on("spawn", done));
    child.unref();
    return () => child.exitCode !== null || child.signalCode !== null;
  } finally {
    await output.close();
  }
}

function runAs(account: Account | null) {
  // The server needs nothing from our environment, and some of it is secret.
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
  return { env, cwd: "/", ...(account ? { uid: account.uid, gid: account.gid } : {}) };
}

async function untilReady(folders: Folders, hasDied: () => boolean): Promise<Postmaster> {
  // Crash recovery after a power cut may take its time; a server that has died is noticed at once.
  for (let waited = 0; waited < 300_000 && !hasDied(); waited += 10) {
    const running = await readPostmaster(folders.data);
    if (running?.ready) return running;
    await sleep(10);
  }
  throw await startFailed(folders, "PostgreSQL did not start.");
}

async function startFailed(folders: Folders, message: string): Promise<XVaultError> {
  const said = await readFile(folders.log, "utf8").catch(() => "");
  const cause = new Error(said.trim().split("\n").slice(-12).join("\n"));
  return new XVaultError("UNAVAILABLE", message, { fix: `See ${folders.log}.`, retry: false, cause });
}

async function ensureDatabase(ownerUrl: string): Promise<void> {
  const sql = connect(ownerUrl, { max: 1, name: "xvault start" });
  try {
    await sql`select 1`;
  } catch (error) {
    if (databaseCode(error) !== "3D000") throw translated(error);
    await createDatabase(ownerUrl, DATABASE);
    // This server is ours alone: its other databases are nobody's business.
    await onServer(
      ownerUrl,
      ...["postgres", "template1", DATABASE].map((name) => `revoke connect on database ${name} from public`),
    );
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.on("error", fail).listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === "object" ? done(address.port) : fail(new Error("no port")),
      );
    });
  });
}
