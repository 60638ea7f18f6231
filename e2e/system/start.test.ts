// `npm start` as a newcomer has it: one command, a real server backed up and restored, stock programs that open the artifact, a Ctrl-C that
// leaves nothing behind, and a next start that still has everything.
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, freePort, ROOT, startChild, until } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const has = (program: string) => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const missing = ["age", "zstd", "tar"]
  .filter((program) => !has(program))
  .map((program) => `${program} is not installed`);

let home: string;
let port: number;
const running: Child[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "xvault-start-"));
  // As root, PostgreSQL runs as another user, who must get through.
  await chmod(home, 0o711);
  port = await freePort();
});
afterAll(async () => {
  for (const child of running) await child.stop();
  await rm(home, { recursive: true, force: true });
});

/** The environment without what the test runner puts there (its BASE_URL means another thing). */
function environment(more: Record<string, string>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => name !== "BASE_URL" && !name.startsWith("VITE"));
  return { ...Object.fromEntries(own), XVAULT_HOME: home, ...more };
}

/** Starts everything and waits until it says that it runs. */
async function start(): Promise<Child> {
  const child = startChild([process.execPath, "tooling/start.ts"], {
    cwd: ROOT,
    env: environment({ PORT: String(port), NODE_COMPILE_CACHE: join(home, "cache") }),
  });
  running.push(child);
  await until(() => {
    if (child.ended()) throw new Error(`it ended: ${child.log()}`);
    return child.log().includes("Ctrl-C stops everything");
  });
  return child;
}

/** Processes whose command or environment names this installation's folder. */
async function processes(): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const [command, environment] = await Promise.all(
      ["cmdline", "environ"].map((file) => readFile(`/proc/${pid}/${file}`, "latin1").catch(() => "")),
    );
    if (`${command}\0${environment}`.includes(home)) found.push(pid);
  }
  return found;
}

describe("npm start", () => {
  let said: string;

  it("backs a server up and restores a file, and says how to go on", async () => {
    const child = await start();
    said = child.log();
    expect(said).toMatch(/✓ demo: 10 files, .* backed up as snapshot [0-9a-f]{8}/);
    expect(said).toMatch(/✓ demo: report\.json restored, and it is the same, byte for byte/);
    expect(said).toContain(`xVault runs at http://localhost:${port}`);
    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  });

  it.skipIf(missing.length > 0)(
    `prints three stock programs that open the artifact (${missing.join(", ") || "they are here"})`,
    () => {
      const [line] = /age -d -i [\s\S]*?tar -tvf -/.exec(said) ?? [];
      const listing = execFileSync("sh", ["-c", line ?? "false"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      for (const name of ["sample.txt", "report.json", "data/backup-001.log", "empty.bin", "config.ini"]) {
        expect(listing).toContain(`mock-data/${name}`);
      }
    },
  );

  it("leaves no process behind when it is interrupted", async () => {
    expect((await processes()).length).toBeGreaterThan(3);
    running.at(-1)?.signal("SIGINT");
    await until(async () => (await processes()).length === 0);
  });

  it("has everything again at the next start, without doing the demo twice", async () => {
    const child = await start();
    expect(child.log()).not.toContain("backed up as snapshot");
    const { email, password } = JSON.parse(await readFile(join(home, "demo/demo.json"), "utf8")) as Record<
      string,
      string
    >;
    const signIn = await fetch(`http://127.0.0.1:${port}/api/v1/auth/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    const { token } = (await signIn.json()) as { token: string };
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/snapshots`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { items } = (await answer.json()) as { items: { files: number }[] };
    expect(items.map((item) => item.files)).toEqual([10]);
    child.signal("SIGTERM");
    await until(async () => (await processes()).length === 0);
  });

  it("says what to do when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port: number } = taken.address() as AddressInfo;
    const child = startChild([process.execPath, "tooling/start.ts"], {
      cwd: ROOT,
      env: environment({ PORT: String(number) }),
    });
    running.push(child);
    expect(await child.exit).toBe(1);
    expect(child.log()).toContain(`Port ${number} is taken`);
    expect(child.log()).toMatch(/PORT=\d+ npm start/);
    taken.close();
  });
});
