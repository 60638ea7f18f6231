// The server of our own: made, stopped, found again, taken over after a crash of its parent; and the same with Debian's PostgreSQL.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestPostgres } from "@xvault/test-kit/postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../src/connection.ts";
import { closedFolder } from "../src/embedded/account.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../src/embedded/index.ts";
import { isAlive, readPostmaster } from "../src/embedded/postmaster.ts";
import * as db from "../src/index.ts";

const asRoot = process.getuid?.() === 0;

let folder: string;
let running: EmbeddedPostgres[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "xvault-embedded-"));
  running = [];
});
afterEach(async () => {
  for (const server of running) await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const home = () => join(folder, "postgres");
async function start(options: { port?: number; log?: (message: string) => void } = {}) {
  const server = await startEmbeddedPostgres({ dataDir: home(), throwaway: true, ...options });
  running.push(server);
  return server;
}
async function ask(url: string, statement: string) {
  const sql = connect(url, { max: 1, name: "test" });
  try {
    return (await sql.unsafe(statement))[0] as Record<string, unknown> | undefined;
  } finally {
    await sql.end();
  }
}
const processOf = async () => (await readPostmaster(join(home(), "data")))?.pid ?? 0;

it("makes its data for itself alone, listens on loopback alone, and asks for the password", async () => {
  const server = await start();
  const mode = async (name: string) => ((await stat(join(home(), name))).mode & 0o777).toString(8);
  expect([await mode("data"), await mode("password"), await mode("server.log")]).toEqual(["700", "600", "600"]);
  const shown = await ask(
    server.ownerUrl,
    "select current_setting('listen_addresses') as a, current_setting('unix_socket_directories') as s, current_user as u",
  );
  expect(shown).toEqual({ a: "127.0.0.1", s: "", u: "xvault_owner" });
  const guess = new URL(server.ownerUrl);
  guess.password = "guess";
  await expect(ask(guess.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
  expect(asRoot ? (await stat(join(home(), "data"))).uid : 1).not.toBe(0);
});

it("keeps its data and password from one start to the next, and leaves no process", async () => {
  const first = await start();
  await ask(first.ownerUrl, "create table kept (n int)");
  await ask(first.ownerUrl, "insert into kept values (7)");
  const pid = await processOf();
  await first.stop();
  await first.stop();
  expect(isAlive(pid)).toBe(false);
  const second = await start();
  expect(await ask(second.ownerUrl, "select n from kept")).toEqual({ n: 7 });
  expect(new URL(second.ownerUrl).password).toBe(new URL(first.ownerUrl).password);
});

it("takes a server over whose parent was killed, and stops it", async () => {
  const script = join(folder, "parent.ts");
  const module = new URL("../src/embedded/index.ts", import.meta.url).href;
  await writeFile(
    script,
    `import { startEmbeddedPostgres } from ${JSON.stringify(module)};
     const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(home())}, throwaway: true });
     process.stdout.write(server.ownerUrl + "\\n");
     setInterval(() => {}, 1000);`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    parent.stdout.once("data", (text: Buffer) => resolve(text.toString().trim()));
    parent.once("exit", () => reject(new Error("the parent ended")));
  });
  const pid = await processOf();
  await expect(start(), "while the parent lives").rejects.toMatchObject({ code: "CONFLICT" });
  const ended = new Promise((resolve) => parent.once("exit", resolve));
  parent.kill("SIGKILL");
  await ended;
  expect(isAlive(pid)).toBe(true);
  const said: string[] = [];
  const server = await start({ log: (message) => said.push(message) });
  expect(server.ownerUrl).toBe(url);
  expect(said[0]).toContain("taking over");
  expect(await processOf()).toBe(pid);
  await server.stop();
  expect(isAlive(pid)).toBe(false);
});

it("starts over when a half-made database and a stale pid file lie there", async () => {
  await mkdir(join(home(), "data.new"), { recursive: true });
  await writeFile(join(home(), "data.new", "junk"), "");
  await (await start()).stop();
  // A process that exists and is no PostgreSQL: ourselves.
  await writeFile(
    join(home(), "data", "postmaster.pid"),
    `${process.pid}\n${join(home(), "data")}\n0\n1\n\n127.0.0.1\n\nready   \n`,
  );
  const server = await start();
  expect(await ask(server.ownerUrl, "select 1 as n")).toEqual({ n: 1 });
});

it("says why when it cannot start", async () => {
  await (await start()).stop();
  await writeFile(join(home(), "data", "postgresql.conf"), "max_connections = many\n");
  const failed = await startEmbeddedPostgres({ dataDir: home(), throwaway: true }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "UNAVAILABLE" });
  expect(String((failed as Error).cause)).toContain("max_connections");
  expect(await readFile(join(home(), "server.log"), "utf8")).toContain("max_connections");
});

describe.skipIf(!asRoot)("as root (skipped for other users, who run the server themselves)", () => {
  it("names the folder that its user cannot pass through", async () => {
    await chmod(folder, 0o700);
    const deep = join(folder, "a", "b", "postgres");
    await mkdir(deep, { recursive: true });
    await expect(startEmbeddedPostgres({ dataDir: deep })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      data: { folder },
    });
  });

  it("copies the binaries out when its user cannot reach them", async () => {
    const { reachableBinaries } = await import("../src/embedded/binaries.ts");
    const nobody = { name: "nobody", uid: 65_534, gid: 65_534 };
    await chmod(folder, 0o755);
    const installed = await reachableBinaries(nobody, folder);
    expect(await closedFolder(installed, nobody)).toBeNull();
    const hidden = join(folder, "closed", "bin");
    await mkdir(hidden, { recursive: true });
    await chmod(join(folder, "closed"), 0o700);
    expect(await closedFolder(hidden, nobody)).toBe(join(folder, "closed"));
    await writeFile(join(hidden, "postgres"), "binary");
    const copied = await reachableBinaries(nobody, folder, hidden);
    expect(await closedFolder(copied, nobody)).toBeNull();
    expect(await readFile(join(copied, "postgres"), "utf8")).toBe("binary");
    expect(await reachableBinaries(nobody, folder, hidden)).toBe(copied);
  });
});

const DEBIAN = "/usr/lib/postgresql/15/bin";
describe.skipIf(!existsSync(join(DEBIAN, "initdb")))(
  "Debian's PostgreSQL 15 (skipped where postgresql-15 is not installed)",
  () => {
    it("runs everything: migrations, row-level security, the audit chain, notices", async () => {
      const old = await startTestPostgres({ binaries: DEBIAN });
      try {
        expect(await ask(old.baseUrl, "select current_setting('server_version') as v")).toMatchObject({
          v: expect.stringMatching(/^15\./),
        });
        await db.migrate(old.baseUrl);
        const handle = db.openDatabase(old.baseUrl);
        const { makeWorkspace } = await import("./world.ts");
        const [a, b] = [await makeWorkspace(handle, "a"), await makeWorkspace(handle, "b")];
        for (const { id } of [a, b]) {
          expect(
            (await handle.withTenant(id, (tx) => tx.select().from(db.sources))).map(({ tenantId }) => tenantId),
          ).toEqual([id]);
          expect(await handle.withTenant(id, (tx) => db.verifyAuditChain(tx, id))).toMatchObject({
            ok: true,
            entries: 1,
          });
        }
        const foreign = handle.withTenant(b.id, (tx) =>
          tx.insert(db.sources).values({ id: a.userId, tenantId: a.id, name: "x", kind: "edge" }),
        );
        await expect(foreign).rejects.toMatchObject({ code: "42501" });
        await expect(ask(db.queueUrl(old.baseUrl), "create table job (id int)")).resolves.toBeUndefined();
        await handle.close();
      } finally {
        await old.stop();
      }
    });
  },
);
