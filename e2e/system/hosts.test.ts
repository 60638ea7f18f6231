// What a server may do to a backup, and where workers may go. Promises 26 (system part), 36 and 37.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry, HostKeyMessage, Job, JobEvent, Snapshot, Source } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  backUp,
  type Gate,
  type Stack,
  startGate,
  startStack,
  type StackWorker,
  type Tenant,
  until,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "./trees.ts";

const missing = sshdAvailable();

/** Ways to write this machine and its neighbours, which a worker in production must not be led to. */
const INTERNAL = [
  "127.0.0.1",
  "127.9.8.7",
  "localhost",
  "::1",
  "0.0.0.0",
  "::",
  "169.254.169.254",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "64:ff9b::7f00:1",
  "10.0.0.1",
  "192.168.0.1",
  "100.64.0.1",
  "fe80::1",
  "fd00:ec2::254",
  "224.0.0.1",
  "2130706433",
  "127.1",
  "0x7f000001",
  "0177.0.0.1",
];

describe.skipIf(missing !== null)(`servers and addresses${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let gate: Gate;
  let tenant: Tenant;
  let source: Source;
  let tree: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 0 }), startSshd()]);
    gate = await startGate(sshd.port);
    tree = join(sshd.home, "tree");
    makeTree(tree);
    tenant = await stack.signUp();
    source = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree] });
  });
  afterAll(async () => {
    await gate?.stop();
    await sshd?.stop();
    await stack?.stop();
  });

  /** Ends a process that may be ending already, as a session's helpers do when the session goes. */
  function killNow(pid: number): void {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }

  describe("a worker in production reaches no internal address unless the operator allows the range (promise 37)", () => {
    it("refuses them in every form that they can be written in, and sends nothing", async () => {
      const strict = await stack.addWorker("strict", { XVAULT_ALLOWED_RANGES: "", XVAULT_CONCURRENCY: "8" });
      const before = sshd.log();
      const answers: Record<string, string | undefined> = {};
      const ask = async (host: string) => {
        const { body } = await tenant.api.send("POST", "/api/v1/connections/host-key", { host, port: sshd.port });
        answers[host] = (body as { code?: string }).code;
      };
      // No more at once than a workspace may have open.
      for (let at = 0; at < INTERNAL.length; at += 5) await Promise.all(INTERNAL.slice(at, at + 5).map(ask));
      expect(answers).toEqual(Object.fromEntries(INTERNAL.map((host) => [host, "TARGET_FORBIDDEN"])));
      const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`));
      expect(job).toMatchObject({
        state: "failed",
        attempt: 1,
        snapshot_id: null,
        error: { code: "TARGET_FORBIDDEN" },
      });
      expect(sshd.log()).toBe(before);
      await strict.stop();
    });

    it("control: goes there when the range is allowed, and only there", async () => {
      // Without connecting again: what becomes of an attempt that fails is looked at below.
      await stack.addWorker("open", { XVAULT_RECONNECT: "0" });
      for (const host of ["127.0.0.1", "localhost", "::ffff:127.0.0.1"]) {
        const key = await tenant.api.post<HostKeyMessage>("/connections/host-key", { host, port: sshd.port });
        expect(key.fingerprint, host).toBe(sshd.fingerprint);
      }
      for (const host of ["169.254.169.254", "0.0.0.0", "10.0.0.1"]) {
        await expect(tenant.api.post("/connections/host-key", { host, port: sshd.port }), host).rejects.toMatchObject({
          code: "TARGET_FORBIDDEN",
        });
      }
      await backUp(tenant, source);
      expect(sshd.log()).toContain("Accepted publickey");
    });
  });

  it("a server that dies in the middle of a backup: nothing half is visible, the cause is told, the next attempt is whole (promise 26)", async () => {
    const before = (await snapshots()).map((snapshot) => snapshot.id);
    gate.hold(256 * 1024);
    const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true });
    await tenant.api.reaches(job, (now) => now.state === "running");
    await until(() => gate.holding());
    const worker = stack.workers.at(-1) as StackWorker;
    const [attempt] = await stack.sql<{ id: string }>`select id from snapshots where job_id = ${job.id}`;
    const directory = join(worker.home, "backups", tenant.workspaceId, source.id, attempt?.id ?? "");
    expect(existsSync(directory)).toBe(true);
    expect((await snapshots()).map((snapshot) => snapshot.id)).toEqual(before);

    const sessions = descendants(sshd.pid);
    expect(sessions.length).toBeGreaterThan(0);
    for (const pid of sessions) killNow(pid);
    gate.release();
    const waiting = await tenant.api.reaches(job, (now) => now.state === "queued");
    expect(waiting).toMatchObject({ attempt: 1, error: { code: "CONNECTION_LOST", retry: true } });
    expect(waiting.next_attempt_at).not.toBeNull();
    await until(() => !existsSync(directory));
    expect((await snapshots()).map((snapshot) => snapshot.id)).toEqual(before);

    // Its time to wait is over.
    await stack.sql`update jobs set run_after = now() where id = ${job.id}`;
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", attempt: 2 });
    expect(await snapshots()).toHaveLength(before.length + 1);
    const verified = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${ended.snapshot_id}/verify`));
    expect(verified).toMatchObject({ state: "success", result: { depth: "content" } });
    const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
    expect(items).toContainEqual(expect.objectContaining({ attempt: 1, level: "error" }));
    expect(readdirSync(join(worker.home, "backups", tenant.workspaceId, source.id)).toSorted()).toEqual(
      (await snapshots()).map((snapshot) => snapshot.id).toSorted(),
    );
  });

  it("a host key that changed stops everything before a login is tried; confirming the new one goes on (promise 36)", async () => {
    await sshd.rotateHostKey();
    const before = sshd.log().length;
    const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`));
    expect(job).toMatchObject({ state: "failed", attempt: 1, snapshot_id: null, error: { code: "HOST_KEY_CHANGED" } });
    const seen = sshd.log().slice(before);
    expect(seen).toContain("Connection from");
    for (const word of ["Accepted", "Failed", "publickey", "Postponed", "Invalid user"])
      expect(seen).not.toContain(word);

    const paused = await tenant.api.get<Source>(`/sources/${source.id}`);
    expect(paused).toMatchObject({ state: "paused", health: "paused" });
    expect(paused.paused_reason).toContain("host key");
    await expect(tenant.api.post(`/sources/${source.id}/backup`)).rejects.toMatchObject({ code: "SOURCE_PAUSED" });
    const { items } = await tenant.api.get<{ items: AuditEntry[] }>("/audit");
    expect(items).toContainEqual(
      expect.objectContaining({ action: "source.host_key_changed", target_id: source.id, actor_kind: "system" }),
    );
    // Looking around and testing with the old key say the same, and send as little.
    await expect(tenant.api.post("/connections/browse", { source_id: source.id, path: tree })).rejects.toMatchObject({
      code: "HOST_KEY_CHANGED",
    });
    expect(sshd.log().slice(before)).not.toContain("publickey");

    const host_key = await tenant.api.post<HostKeyMessage>("/connections/host-key", {
      host: sshd.host,
      port: gate.port,
    });
    expect(host_key.fingerprint).toBe(sshd.fingerprint);
    const confirmed = await tenant.api.patch<Source>(`/sources/${source.id}`, {
      connection: { host_key, port: gate.port },
    });
    expect(confirmed).toMatchObject({ state: "active", paused_reason: null });
    await backUp(tenant, source);
    expect(sshd.log().slice(before)).toContain("Accepted publickey");
  });

  it("a session that dies in the middle of a backup: the same attempt goes on over a new one", async () => {
    await stack.workers.at(-1)?.stop();
    await stack.addWorker("patient");
    gate.hold(256 * 1024);
    const job = await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true });
    await until(() => gate.holding());
    for (const pid of descendants(sshd.pid)) killNow(pid);
    gate.release();
    const ended = await tenant.api.ended(job);
    expect(ended).toMatchObject({ state: "success", attempt: 1 });
    const { items } = await tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
    const messages = items.map(({ message }) => message);
    expect(messages).toContain("The link dropped. Connecting again, try 1 of 10.");
    expect(messages).toContainEqual(expect.stringMatching(/^Going on at \//));
    expect(messages).toContainEqual(
      expect.stringMatching(/^Connected to 127\.0\.0\.1, round trip \d+ ms, cipher \S+\.$/),
    );
    expect(messages).toContain("The server has a shell, GNU tar, GNU find, SFTP.");
    expect(messages).toContain("Files come from tar on the server.");
    const verified = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${ended.snapshot_id}/verify`));
    expect(verified).toMatchObject({ state: "success", result: { depth: "content" } });
  });

  it("changing one part of a source leaves the others as they are", async () => {
    const made = await tenant.api.post<Source>("/sources", {
      name: "parts",
      connection: {
        host: sshd.host,
        port: gate.port,
        username: sshd.username,
        host_key: sshd.hostKey,
        credential_id: source.connection?.credential.id,
      },
      paths: [tree],
      excludes: ["*.log"],
      options: { one_file_system: true, transport: "tar" },
    });
    const changed = await tenant.api.patch<Source>(`/sources/${made.id}`, {
      connection: { host_key: sshd.hostKey },
      options: { transport: "sftp" },
    });
    const { connection, paths, excludes } = made;
    const options = { one_file_system: true, transport: "sftp" };
    expect(changed).toMatchObject({ connection, paths, excludes, options });
  });

  const snapshots = async () =>
    (await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${source.id}`)).items;
});

/** All processes below `pid`. */
function descendants(pid: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The name in brackets may hold anything; state and parent follow it.
        const after = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1) ?? "";
        return [{ pid: Number(name), parent: Number(after.split(" ")[1]) }];
      } catch {
        return [];
      }
    });
  const below = (one: number): number[] =>
    parents.filter(({ parent }) => parent === one).flatMap((child) => [child.pid, ...below(child.pid)]);
  return below(pid);
}
