// The production shape as plain processes: Redis, PostgreSQL, a hub and two workers run by the commands of the Dockerfiles, secrets in files.
// (Containers cannot run here; the proxy before them is tried in infra/.) Promises 23 and 25, as a whole installation keeps them.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, JobEvent, Snapshot, Source } from "@xvault/contracts";
import { redisAvailable, type RedisServer, startRedis } from "@xvault/test-kit/redis";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  backUp,
  COMMANDS,
  failToStart,
  type Gate,
  ROOT,
  type Stack,
  startGate,
  startStack,
  talkToRedis,
  type Tenant,
  until,
  WORKER_MEMORY,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "./trees.ts";

const missing = [sshdAvailable(), redisAvailable() ? null : "redis-server is not installed"]
  .filter((reason) => reason !== null)
  .join(", ");

describe("what the images run", () => {
  it.each(["hub", "worker"] as const)("is what is run here: %s", (part) => {
    const text = readFileSync(join(ROOT, `infra/docker/${part}.Dockerfile`), "utf8");
    const command = /^CMD (\[.*\])$/m.exec(text)?.[1] ?? "";
    expect(JSON.parse(command)).toEqual(COMMANDS[part]);
  });

  it("deals with memory as a worker does here", () => {
    const text = readFileSync(join(ROOT, "infra/docker/worker.Dockerfile"), "utf8");
    const set = [...text.matchAll(/(MALLOC_\w+)=(\d+)/g)].map(([, name, value]) => [name, value]);
    expect(Object.fromEntries(set)).toEqual(WORKER_MEMORY);
  });

  it("is what `npm start` runs, too", () => {
    const text = readFileSync(join(ROOT, "tooling/start/main.ts"), "utf8");
    const set = [...text.matchAll(/(MALLOC_\w+): "(\d+)"/g)].map(([, name, value]) => [name, value]);
    expect(Object.fromEntries(set)).toEqual(WORKER_MEMORY);
    const [, ...args] = COMMANDS.worker;
    expect(text).toContain(`[process.execPath, ${args.map((arg) => JSON.stringify(arg)).join(", ")}]`);
  });
});

describe("a wrong configuration names every problem at once", () => {
  it("of the hub", async () => {
    const { code, said } = await failToStart("hub", {
      NODE_ENV: "production",
      PORT: "eighty",
      BASE_URL: "ftp://vault",
      REDIS_URL: "http://redis",
      XVAULT_KEK: "short",
      XVAULT_ADMIN_EMAIL: "nobody",
      XVAULT_ENROLLMENT_TOKEN: "short",
    });
    expect(code).toBe(1);
    for (const name of [
      "PORT",
      "BASE_URL",
      "REDIS_URL",
      "XVAULT_KEK",
      "XVAULT_ADMIN_EMAIL",
      "XVAULT_ENROLLMENT_TOKEN",
    ]) {
      expect(said).toContain(name);
    }
  });
  it("of the hub, what is missing in production", async () => {
    const { code, said } = await failToStart("hub", {
      NODE_ENV: "production",
      XVAULT_ADMIN_EMAIL: "admin@example.test",
    });
    expect(code).toBe(1);
    for (const name of ["XVAULT_KEK:", "XVAULT_ADMIN_PASSWORD:", "DATABASE_URL:"]) expect(said).toContain(name);
  });
  it("of a worker", async () => {
    const { code, said } = await failToStart("worker", {
      NODE_ENV: "production",
      XVAULT_HUB_URL: "hub:8420",
      XVAULT_DATA_PORT: "99999",
      XVAULT_CONCURRENCY: "0",
      XVAULT_ALLOWED_RANGES: "everything",
      XVAULT_ENROLLMENT_TOKEN_FILE: "/nowhere/at/all",
    });
    expect(code).toBe(1);
    for (const name of [
      "XVAULT_HUB_URL",
      "XVAULT_DATA_PORT",
      "XVAULT_CONCURRENCY",
      "XVAULT_ALLOWED_RANGES",
      "XVAULT_ENROLLMENT_TOKEN",
    ]) {
      expect(said).toContain(name);
    }
  });
});

describe.skipIf(missing !== "")(`production${missing === "" ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let gate: Gate;
  let tenant: Tenant;
  let tree: string;
  let secondRedis: RedisServer | undefined;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "redis", workers: 2 }), startSshd()]);
    gate = await startGate(sshd.port);
    tree = join(sshd.home, "tree");
    makeTree(tree);
    tenant = await stack.signUp();
  });
  afterAll(async () => {
    await gate?.stop();
    await sshd?.stop();
    await stack?.stop();
    await secondRedis?.stop();
  });

  /** A backup that waits in its middle until the gate is released. */
  async function heldBackup(name: string): Promise<{ source: Source; job: Job }> {
    const source = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree], name });
    gate.hold(256 * 1024);
    const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
    const running = await tenant.api.reaches(job, (now) => now.state === "running");
    await until(() => gate.holding());
    return { source, job: running };
  }
  const snapshotsOf = async (source: Source) =>
    (await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${source.id}`)).items;

  it("is alive and ready, every part, and gives its secrets to nobody who lists processes", async () => {
    for (const url of [stack.url, ...stack.workers.map((worker) => worker.dataUrl)]) {
      expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: "ok" });
    }
    const ready = async (url: string) => (await fetch(`${url}/readyz`)).json() as Promise<unknown>;
    expect(await ready(stack.url)).toEqual({ status: "ok", checks: { database: "ok", queue: "ok" } });
    for (const worker of stack.workers) {
      expect(await ready(worker.dataUrl)).toEqual({ status: "ok", checks: { queue: "ok", storage: "ok" } });
    }
    for (const { pid } of [stack.hub, ...stack.workers]) {
      const shown = execFileSync("cat", [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
      for (const [name, secret] of Object.entries(stack.secrets)) {
        if (name !== "adminEmail") expect({ name, shown: shown.includes(secret) }).toEqual({ name, shown: false });
      }
    }
    await backUp(tenant, await addSource(tenant, sshd, { paths: [tree], name: "first" }));
  });

  it("lets no workspace add a remote of its own where the operator has not allowed it: rclone follows redirects to anywhere", async () => {
    const place = {
      kind: "rclone",
      config: { remote_type: "webdav", path: "x", parameters: { url: "https://dav.example" } },
    };
    const refused = await tenant.api.send("POST", "/api/v1/storages", { name: "remote", place });
    expect(refused).toMatchObject({ status: 403, body: { code: "FORBIDDEN" } });
    expect(refused.text).toContain("XVAULT_WORKSPACE_RCLONE");
    // Control: the operator may offer one.
    const offered = await (
      await stack.admin()
    ).send("POST", "/api/v1/platform/storages", { name: "remote", offered: false, place });
    expect(offered.status).toBe(200);
  });

  it("a worker that is told to stop hands its job back, and another finishes it", async () => {
    const { source, job } = await heldBackup("handed over");
    const worker = stack.workers.find((one) => one.id === job.worker_id);
    const stopped = worker?.stop();
    await until(() => worker?.log().includes("job handed back"));
    gate.release();
    expect(await stopped).toBe(0);
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", attempt: 2, error: null });
    expect(ended.worker_id).not.toBe(worker?.id);
    expect(await snapshotsOf(source)).toHaveLength(1);
    const rows = await stack.sql`select attempt, state from snapshots where job_id = ${job.id}`;
    expect(rows).toEqual([{ attempt: 2, state: "complete" }]);
    await worker?.start();
  });

  it.each([
    ["stops", async () => void (await stack.hub.stop())],
    ["dies", async () => stack.hub.kill()],
  ])("a hub that %s during a backup and comes back loses nothing (promise 23)", async (how, end) => {
    const { source, job } = await heldBackup(`hub ${how}`);
    await end();
    const worker = stack.workers.find((one) => one.id === job.worker_id);
    gate.release();
    // The worker goes on without it; what it has to tell waits for the hub.
    await until(async () => (await fetch(`${worker?.dataUrl}/healthz`)).ok);
    await stack.hub.start();
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", attempt: 1, worker_id: job.worker_id });
    expect(await snapshotsOf(source)).toHaveLength(1);
    const again = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${ended.snapshot_id}/verify`));
    expect(again).toMatchObject({ state: "success" });
  });

  it("a Redis that forgets everything with jobs queued and running loses none of them (promise 25)", async () => {
    const jobs = await manyJobs("flushed");
    const redis = await talkToRedis(stack.redis?.port ?? 0);
    expect(Number(await redis.say("DBSIZE"))).toBeGreaterThan(0);
    expect(await redis.say("FLUSHALL")).toBe("OK");
    redis.close();
    gate.release();
    await allEndWell(jobs);
  });

  it("a Redis that is killed and comes back empty loses none either, nor what was asked for meanwhile (promise 25)", async () => {
    const jobs = await manyJobs("killed");
    const { port = 0, pid = 0 } = stack.redis ?? {};
    process.kill(pid, "SIGKILL");
    const meanwhile = await addSource(tenant, sshd, { paths: [join(tree, "site/index.html")], name: "meanwhile" });
    jobs.push(await tenant.api.post<Job>(`/sources/${meanwhile.id}/backup`));
    await until(async () => (await fetch(`${stack.url}/readyz`)).status === 503);
    secondRedis = await startRedis({ port });
    gate.release();
    await allEndWell(jobs);
    await until(async () => (await fetch(`${stack.url}/readyz`)).ok);
  });

  /** One backup that runs, two more of its source that wait for it, and some of others. */
  async function manyJobs(name: string): Promise<Job[]> {
    const { source, job } = await heldBackup(name);
    const waiting = await Promise.all([1, 2].map(() => tenant.api.post<Job>(`/sources/${source.id}/backup`)));
    const others = await Promise.all(
      [1, 2, 3].map(async (n) => {
        const other = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree], name: `${name} ${n}` });
        return tenant.api.post<Job>(`/sources/${other.id}/backup`);
      }),
    );
    return [job, ...waiting, ...others];
  }
  async function allEndWell(jobs: Job[]): Promise<void> {
    const ended = await Promise.all(
      jobs.map(async (begun) => {
        const job = await tenant.api.ended(begun);
        const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
        const complaints = items.filter((event) => event.level !== "info").map((event) => event.message);
        return { state: job.state, attempt: job.attempt, complaints };
      }),
    );
    expect(ended).toEqual(jobs.map(() => ({ state: "success", attempt: 1, complaints: [] })));
  }

  it("ends in order when it is told to", async () => {
    for (const part of [...stack.workers, stack.hub]) expect(await part.stop()).toBe(0);
  });
});
