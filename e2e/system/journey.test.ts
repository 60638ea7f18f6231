// The way of a backup through a whole installation, on either queue. Promises 25 (a message is a hint) and 42 (no secret in queue or log).
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowseResult, HostKeyMessage, Job, JobEvent, Snapshot, Source, Ticket, Tree } from "@xvault/contracts";
import { redisAvailable } from "@xvault/test-kit/redis";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  announce,
  backUp,
  findSecrets,
  type Gate,
  newCanary,
  queueContents,
  type Stack,
  startGate,
  startStack,
  type Tenant,
  until,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree, treeFacts } from "./trees.ts";

const missing = {
  postgres: [sshdAvailable()].filter((reason) => reason !== null),
  redis: [sshdAvailable(), redisAvailable() ? null : "redis-server is not installed"].filter(
    (reason) => reason !== null,
  ),
};

describe.each(["postgres", "redis"] as const)("a journey with the queue on %s", (queue) => {
  describe.skipIf(missing[queue].length > 0)(missing[queue].join(", ") || "from sign-up to restore", () => {
    const canaries = {
      password: newCanary("password"),
      passphrase: newCanary("passphrase"),
      content: newCanary("content"),
      fileName: newCanary("name"),
    };
    const secrets: Record<string, string> = {};
    let stack: Stack;
    let sshd: Sshd;
    let gate: Gate;
    let tenant: Tenant;
    let source: Source;
    let snapshotId: string;
    let tree: string;

    beforeAll(async () => {
      [stack, sshd] = await Promise.all([startStack({ queue, workers: 2 }), startSshd()]);
      gate = await startGate(sshd.port);
      tree = join(sshd.home, "tree");
      makeTree(tree, { [canaries.fileName]: `${canaries.content}\n` });
    });
    afterAll(async () => {
      await gate?.stop();
      await sshd?.stop();
      await stack?.stop();
    });

    it("signs up, stores a login, sees the host's key, tests the connection and looks around", async () => {
      tenant = await stack.signUp({ password: canaries.password });
      const { api } = tenant;
      const address = { host: sshd.host, port: gate.port };
      const hostKey = await api.post<HostKeyMessage>("/connections/host-key", address);
      expect(hostKey.fingerprint).toBe(sshd.fingerprint);

      // The key as people have it: under a passphrase.
      const keyFile = join(sshd.dir, "key-under-passphrase");
      writeFileSync(keyFile, sshd.privateKey, { mode: 0o600 });
      execFileSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", canaries.passphrase, "-f", keyFile]);
      const private_key = readFileSync(keyFile, "utf8");
      Object.assign(secrets, {
        password: canaries.password,
        passphrase: canaries.passphrase,
        "private key": private_key,
        "the plain private key": sshd.privateKey,
        "access token": tenant.accessToken.split(".")[2] ?? "",
        "refresh token": tenant.refreshToken,
        "API token": tenant.token,
        "key encryption key": stack.secrets.kek,
        "enrolment token": stack.secrets.enrollment,
        "admin's password": stack.secrets.adminPassword,
        "database password": stack.secrets.database,
      });
      for (const [name, secret] of Object.entries(secrets)) expect(secret.length, name).toBeGreaterThan(11);

      const credential = await api.post<{ id: string }>("/credentials", {
        credential: { kind: "private_key", private_key, passphrase: canaries.passphrase },
      });
      const connection = { ...address, username: sshd.username, host_key: hostKey, credential_id: credential.id };
      const test = await api.post<{ ok: boolean; checks: { status: string }[] }>("/connections/test", {
        connection,
        paths: [tree],
      });
      expect(test).toMatchObject({ ok: true });
      const listing = await api.post<BrowseResult>("/connections/browse", { connection, path: tree });
      expect(listing.entries.map((entry) => entry.name)).toContain(canaries.fileName);

      source = await api.post<Source>("/sources", { name: "journey", connection, paths: [tree] });
      expect(source).toMatchObject({ state: "active", health: "unprotected" });
    });

    it("backs the source up and tells how it went", async () => {
      const { api } = tenant;
      const job = await backUp(tenant, source);
      snapshotId = job.snapshot_id;
      const { items } = await api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`);
      const steps = [...new Set(items.map((event) => event.step))];
      expect(steps).toEqual(expect.arrayContaining(["connect", "list", "pull", "verify", "publish"]));
      expect(items.filter((event) => event.level === "error")).toEqual([]);
      const snapshot = await api.get<Snapshot>(`/snapshots/${snapshotId}`);
      expect(snapshot).toMatchObject({ state: "complete", partial: false, key_holder: "platform", problems: 0 });
      expect(snapshot.files).toBe([...treeFacts(tree).values()].filter((fact) => fact.startsWith("file")).length);
      expect(await api.get(`/sources/${source.id}`)).toMatchObject({ health: "protected", snapshot_count: 1 });
    });

    it("lists the snapshot's files at the worker, and gives them as a file and as a tar that GNU tar reads", async () => {
      const { api } = tenant;
      const ticket = await api.post<Ticket>(`/snapshots/${snapshotId}/browse-ticket`);
      const authorization = { authorization: `Bearer ${ticket.ticket}` };
      const listed = await fetch(`${ticket.data_url}/v1/tree?path=${encodeURIComponent(tree)}`, {
        headers: authorization,
      });
      const { entries } = (await listed.json()) as Tree;
      expect(entries.map((entry) => entry.name).toSorted()).toEqual(readdirSync(tree).toSorted());
      expect((await fetch(`${ticket.data_url}/v1/tree`)).status).toBe(401);

      const wanted = join(tree, canaries.fileName);
      const file = await api.post<{ url: string }>(`/snapshots/${snapshotId}/download-ticket`, {
        paths: [wanted],
        format: "file",
      });
      expect(await (await fetch(file.url)).text()).toBe(`${canaries.content}\n`);

      const tar = await api.post<{ url: string }>(`/snapshots/${snapshotId}/download-ticket`, {
        paths: [],
        format: "tar",
      });
      const archive = join(sshd.dir, "download.tar");
      writeFileSync(archive, Buffer.from(await (await fetch(tar.url)).arrayBuffer()));
      const names = execFileSync("tar", ["-tf", archive], { encoding: "utf8" });
      expect(names).toContain(wanted.slice(1));
      const out = join(sshd.dir, "untarred");
      execFileSync("sh", ["-c", `mkdir ${out} && tar -xpf ${archive} -C ${out}`]);
      expect(treeFacts(join(out, tree))).toEqual(treeFacts(tree));
    });

    it("restores to the source what was backed up, to the byte", async () => {
      const { api } = tenant;
      const target = join(sshd.home, "restored");
      const job = await api.ended(
        await api.post<Job>("/restores", {
          snapshot_id: snapshotId,
          target: { source_id: source.id, path: target },
        }),
      );
      expect(job).toMatchObject({ state: "success", error: null });
      expect(treeFacts(join(target, tree))).toEqual(treeFacts(tree));
    });

    it("cancels a backup that runs, and leaves nothing of it", async () => {
      const { api } = tenant;
      gate.hold(64 * 1024);
      const job = await api.post<Job>(`/sources/${source.id}/backup`, { full: true });
      const running = await api.reaches(job, (now) => now.state === "running");
      await until(() => gate.holding());
      await api.post(`/jobs/${job.id}/cancel`);
      const ended = await api.ended(job);
      gate.cut();
      expect(ended).toMatchObject({ state: "cancelled", snapshot_id: null });
      expect((await api.get<{ items: Snapshot[] }>("/snapshots")).items.map((one) => one.id)).toEqual([snapshotId]);
      const worker = stack.workers.find((one) => one.id === running.worker_id);
      expect(worker).toBeDefined();
      const kept =
        worker?.id === (await api.get<Snapshot>(`/snapshots/${snapshotId}`)).locator.worker_id ? [snapshotId] : [];
      await until(() => snapshotsOn(worker?.home ?? "").join() === kept.join());
      await expect(api.post(`/jobs/${job.id}/cancel`)).rejects.toMatchObject({ code: "JOB_NOT_CANCELLABLE" });
    });

    it("backs two sources up at once, and the jobs of one source one after another", async () => {
      const { api } = tenant;
      const other = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree], name: "other" });
      const third = await addSource(tenant, sshd, { paths: [tree], name: "third" });
      gate.hold(64 * 1024);
      const first = await api.post<Job>(`/sources/${other.id}/backup`);
      await api.reaches(first, (now) => now.state === "running");
      await until(() => gate.holding());
      const second = await api.post<Job>(`/sources/${other.id}/backup`);
      // Another source's backup goes through while the first of this one waits in its middle.
      await backUp(tenant, third);
      expect((await api.get<Job>(`/jobs/${second.id}`)).state).toBe("queued");
      expect((await api.get<Job>(`/jobs/${first.id}`)).state).toBe("running");
      gate.release();
      const [one, two] = [await api.ended(first), await api.ended(second)];
      expect([one.state, two.state]).toEqual(["success", "success"]);
      expect(Date.parse(two.started_at ?? "")).toBeGreaterThanOrEqual(Date.parse(one.finished_at ?? ""));
      const chain = (await api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${other.id}`)).items;
      expect(chain.map((snapshot) => snapshot.sequence)).toEqual([2, 1]);
    });

    it("takes a message for what it is, a hint: to the wrong worker, twice, or about nothing, it changes nothing", async () => {
      const { api } = tenant;
      const [worker, wrong] = stack.workers;
      if (!worker || !wrong) throw new Error("two workers are needed");
      const targeted = await addSource(tenant, { ...sshd, port: gate.port }, { paths: [tree], name: "targeted" });
      await stack.sql`update sources set worker_id = ${worker.id} where id = ${targeted.id}`;
      gate.hold(64 * 1024);
      const job = await api.post<Job>(`/sources/${targeted.id}/backup`);
      await api.reaches(job, (now) => now.state === "running");
      const waiting = await api.post<Job>(`/sources/${targeted.id}/backup`);
      for (const id of [job.id, waiting.id, "0190b6f0-0000-7000-8000-000000000000"]) {
        await announce(stack, { v: 1, jobId: id, attempt: 0 }, wrong.id);
        await announce(stack, { v: 1, jobId: id, attempt: 7 });
      }
      // A later message to the same worker is handled, so those before it were.
      await backUp(tenant, await addSource(tenant, sshd, { paths: [tree], name: "after" }));
      gate.release();
      for (const each of [job, waiting]) {
        expect(await api.ended(each)).toMatchObject({ state: "success", attempt: 1, worker_id: worker.id });
      }
    });

    it("verifies what it stored", async () => {
      const job = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${snapshotId}/verify`));
      expect(job).toMatchObject({ state: "success", result: { depth: "content" } });
    });

    it("kept every secret out of queue, logs, job tables and answers (promise 42)", async () => {
      const kit = await tenant.web.mutate<{ content: string }>("keys.recoveryKit", {});
      secrets["age identity"] = /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(kit.content)?.[0] ?? "";
      expect(secrets["age identity"]).not.toBe("");
      const logs = [stack.hub, ...stack.workers].map((part) => part.log()).join("\n");
      expect(logs).toContain("hub ready");
      const queued = await queueContents(stack);
      const jobs = JSON.stringify([
        await stack.sql`select * from jobs`,
        await stack.sql`select * from job_events`,
        await stack.sql`select * from audit_log`,
      ]);
      const refused = await Promise.all([
        tenant.api.send("POST", "/api/v1/credentials", {
          credential: {
            kind: "private_key",
            private_key: secrets["private key"],
            passphrase: `${canaries.passphrase}x`,
          },
        }),
        stack.anyone.send("POST", "/trpc/auth.signIn", { email: tenant.email, password: `${canaries.password}x` }),
        stack.anyone.send("GET", "/api/v1/me"),
      ]);
      expect(refused.map((answer) => answer.status >= 400)).toEqual([true, true, true]);
      const answers = refused.map((answer) => answer.text).join("\n");
      for (const [where, text] of Object.entries({ logs, queued, jobs, answers })) {
        expect({ where, found: findSecrets(text, { ...secrets, content: canaries.content }) }).toEqual({
          where,
          found: [],
        });
      }
      // Names of files are the customer's too: what a job says of paths stays in its own tables.
      for (const [where, text] of Object.entries({ logs, queued, answers })) {
        expect({ where, found: findSecrets(text, { name: canaries.fileName }) }).toEqual({ where, found: [] });
      }
      // The search does find: what it looks for is there where it belongs, and what queues and logs carry is seen.
      expect(findSecrets(kit.content, secrets)).toEqual(["age identity"]);
      expect(findSecrets(Buffer.from(`--${canaries.content}--`).toString("base64"), canaries)).toEqual(["content"]);
      expect(findSecrets(logs, { job: await lastJob() })).toEqual(["job"]);
      await stack.workers[0]?.stop();
      await stack.workers[1]?.stop();
      const unheard = await tenant.api.post<Job>(`/sources/${source.id}/backup`);
      await until(async () => findSecrets(await queueContents(stack), { job: unheard.id }).length === 1);
    });

    const lastJob = async () => (await tenant.api.get<{ items: Job[] }>("/jobs?limit=1")).items[0]?.id ?? "";
  });
});

/** The snapshots whose files lie on a worker's storage. */
function snapshotsOn(home: string): string[] {
  const below = (folder: string) => {
    try {
      return readdirSync(folder).map((name) => join(folder, name));
    } catch {
      return [];
    }
  };
  return below(join(home, "backups"))
    .flatMap(below)
    .flatMap(below)
    .map((folder) => folder.split("/").at(-1) ?? "");
}
