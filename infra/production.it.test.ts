import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Credential, Job, Session, Worker } from "@xvault/contracts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "@xvault/db/embedded";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCompose } from "./checks/compose.ts";
import { parseDockerfile } from "./checks/dockerfile.ts";
import { environment } from "./checks/environment.ts";
import { answers, available, freePort, type Running, start } from "./checks/processes.ts";

const ROOT = join(import.meta.dirname, "..");
const WORKERS = ["worker-1", "worker-2"];
const SAMPLE = "one file to be kept\n";

const missing = [
  ...(available("redis-server") ? [] : ["redis-server is not installed"]),
  ...(available("caddy", "version") ? [] : ["caddy is not installed"]),
  ...(sshdAvailable() === null ? [] : [sshdAvailable()]),
].join(", ");

interface Trpc<T> {
  result: { data: T };
}
interface Call {
  body?: unknown;
  token?: string | undefined;
}

// The commands, the environment and the proxy of docker-compose.yml, as plain processes: what containers add is left out.
describe.skipIf(missing !== "")(`the production shape${missing === "" ? "" : ` (${missing})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "xvault-production-"));
  const secrets = join(folder, "secrets");
  const compose = parseCompose(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"));
  const running = new Map<string, Running>();
  let postgres: EmbeddedPostgres;
  let sshd: Sshd;
  let origin: string;

  const secret = (name: string) => readFileSync(join(secrets, name), "utf8");
  /** Moves a secret that is an address to where the test's own server is. */
  const replaceSecret = (name: string, value: string) => {
    chmodSync(join(secrets, name), 0o600);
    writeFileSync(join(secrets, name), value);
  };

  /** Runs a service by its Dockerfile's CMD in the environment that compose gives it, with addresses moved to loopback. */
  async function run(service: string, changes: Record<string, string>, ready: string): Promise<void> {
    const image = parseDockerfile(
      readFileSync(join(ROOT, `infra/docker/${service.replace(/-\d$/, "")}.Dockerfile`), "utf8"),
    );
    const [program = "", ...args] = image.command.map((part) => part.replace("/etc/caddy", "infra/proxy"));
    const env = {
      PATH: process.env["PATH"] ?? "",
      HOME: folder,
      ...environment(ROOT, compose, service, secrets),
      ...changes,
    };
    const started = start(program === "node" ? process.execPath : program, args, { env, cwd: ROOT });
    running.set(service, started);
    await started.until(() => answers(ready));
  }

  async function call(
    method: string,
    path: string,
    { body, token }: Call = {},
  ): Promise<{ status: number; body: unknown }> {
    const answer = await fetch(origin + path, {
      method,
      headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }
  async function done<T>(method: string, path: string, options?: Call): Promise<T> {
    const { status, body } = await call(method, path, options);
    if (status !== 200) throw new Error(`${method} ${path} was answered with ${status}: ${JSON.stringify(body)}`);
    return body as T;
  }

  beforeAll(async () => {
    execFileSync(join(ROOT, "infra/secrets.sh"), [secrets]);
    const ports = { redis: await freePort(), hub: await freePort(), web: await freePort(), health: await freePort() };
    origin = `http://localhost:${ports.web}`;

    postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), throwaway: true });
    replaceSecret("database_url", postgres.ownerUrl);
    replaceSecret("redis_url", secret("redis_url").replace("redis:6379", `127.0.0.1:${ports.redis}`));
    const redis = start("redis-server", [join(secrets, "redis.conf"), "--port", String(ports.redis), "--dir", folder]);
    running.set("redis", redis);
    await redis.until(() => redis.output().includes("Ready to accept connections"));

    const listen = {
      HOST: "127.0.0.1",
      PORT: String(ports.hub),
      BASE_URL: origin,
      XVAULT_WEB_DIR: join(ROOT, "apps/web/dist"),
    };
    await run("hub", listen, `http://127.0.0.1:${ports.hub}/healthz`);

    const upstreams: Record<string, string> = { XVAULT_HUB: `127.0.0.1:${ports.hub}` };
    for (const [index, name] of WORKERS.entries()) {
      const port = await freePort();
      upstreams[`XVAULT_WORKER_${index + 1}`] = `127.0.0.1:${port}`;
      const changes = {
        XVAULT_HUB_URL: `http://127.0.0.1:${ports.hub}`,
        XVAULT_HOME: join(folder, name),
        XVAULT_DATA_HOST: "127.0.0.1",
        XVAULT_DATA_PORT: String(port),
        XVAULT_DATA_URL: `${origin}/data/${name}`,
        XVAULT_ALLOWED_RANGES: "127.0.0.1/32",
      };
      mkdirSync(changes.XVAULT_HOME);
      await run(name, changes, `http://127.0.0.1:${port}/healthz`);
    }
    const site = { XVAULT_SITE: `:${ports.web}`, XVAULT_PROXY_HEALTH_PORT: String(ports.health), ...upstreams };
    await run("web", site, `http://127.0.0.1:${ports.health}/`);

    sshd = await startSshd();
    writeFileSync(join(sshd.home, "kept.txt"), SAMPLE);
  });

  afterAll(async () => {
    for (const process of [...running.values()].toReversed()) await process.stop();
    await sshd?.stop();
    await postgres?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is ready behind one origin: the hub with its database and queue, each worker under its own path", async () => {
    const ready = await done("GET", "/readyz");
    expect(ready).toMatchObject({ status: "ok", checks: { database: "ok", queue: "ok" } });
    for (const name of WORKERS) expect(await done("GET", `/data/${name}/healthz`)).toMatchObject({ status: "ok" });
    expect(await call("GET", "/data/worker-1/v1/tree")).toMatchObject({ status: 401 });
  });

  it("lets the admin of the secrets in, who sees both workers online", async () => {
    const email = environment(ROOT, compose, "hub", secrets)["XVAULT_ADMIN_EMAIL"];
    const wrong = await call("POST", "/trpc/auth.signIn", { body: { email, password: "not the password" } });
    expect(wrong.status).toBe(401);
    const session = await done<Trpc<Session>>("POST", "/trpc/auth.signIn", {
      body: { email, password: secret("admin_password") },
    });
    const token = session.result.data.access_token;
    const workers = await done<Trpc<Worker[]>>("GET", "/trpc/admin.workers", { token });
    const seen = workers.result.data.map(({ name, state, data_url }) => ({ name, state, data_url }));
    expect(seen.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual(
      WORKERS.map((name) => ({ name, state: "online", data_url: `${origin}/data/${name}` })),
    );
  });

  it("backs a server up for a workspace, through Redis and a worker, and gives a file back past the hub", async () => {
    const account = { email: "owner@example.org", password: "a long enough passphrase 17" };
    const workspace = { name: "Owner", workspace_name: "Production", key_mode: "platform" };
    await done("POST", "/trpc/auth.signUp", { body: { ...account, ...workspace } });
    const { token } = await done<{ token: string }>("POST", "/api/v1/auth/token", { body: account });
    const credential = await done<Credential>("POST", "/api/v1/credentials", {
      token,
      body: { credential: { kind: "private_key", private_key: sshd.privateKey } },
    });
    const { host, port, username, hostKey } = sshd;
    const connection = { host, port, username, host_key: hostKey, credential_id: credential.id };
    const source = await done<{ id: string }>("POST", "/api/v1/sources", {
      token,
      body: { name: "Server", connection, paths: [sshd.home] },
    });
    let job = await done<Job>("POST", `/api/v1/sources/${source.id}/backup`, { token, body: {} });
    while (["queued", "running"].includes(job.state)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      job = await done<Job>("GET", `/api/v1/jobs/${job.id}`, { token });
    }
    expect(job).toMatchObject({ state: "success", error: null });

    const ticket = await done<{ url: string }>("POST", `/api/v1/snapshots/${job.snapshot_id}/download-ticket`, {
      token,
      body: { paths: [`${sshd.home}/kept.txt`], format: "file" },
    });
    expect(ticket.url).toMatch(new RegExp(`^${origin}/data/worker-[12]/`));
    const file = await fetch(ticket.url);
    expect(await file.text()).toBe(SAMPLE);
  });

  it("writes no secret to its logs", () => {
    const logs = [...running.values()].map((process) => process.output()).join("\n");
    expect(logs).not.toBe("");
    for (const name of readdirSync(secrets).filter((file) => file !== "redis.conf")) {
      expect(logs.includes(secret(name)), name).toBe(false);
    }
    expect(logs).not.toContain(sshd.privateKey.split("\n")[1]);
  });

  it("ends in order when it is told to", async () => {
    for (const name of ["web", ...WORKERS, "hub", "redis"]) {
      expect({ name, code: await running.get(name)?.stop() }).toEqual({ name, code: 0 });
    }
  });
});
