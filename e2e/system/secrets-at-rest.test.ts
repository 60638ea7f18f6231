// Promise 3: a dump of the database yields no secret. Promise 6: a hub with a bad or wrong key encryption key does not start.
// Promises 40 and 41, as a tenant sees them: the journey is in the audit log, and an edit of it is found.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry, Credential, Job, Session } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addSource,
  backUp,
  createClient,
  debianPostgres,
  dumpDatabase,
  failToStart,
  findSecrets,
  newCanary,
  type Stack,
  startStack,
  type Tenant,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "./trees.ts";

// Server and pg_dump are Debian's where they are installed; else the built-in server, read out row by row.
const debian = debianPostgres();
const missing = sshdAvailable();

describe.skipIf(missing !== null)(`secrets at rest${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([
      startStack({ queue: "postgres", workers: 1, postgres: debian ?? undefined }),
      startSshd(),
    ]);
    makeTree(join(sshd.home, "tree"));
    tenant = await stack.signUp({ password: newCanary("password") });
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  it("a dump of both databases holds no password, key, identity or token (promise 3)", async () => {
    const marker = newCanary("not-a-secret");
    const canaries = { sshPassword: newCanary("ssh-password"), passphrase: newCanary("passphrase") };
    const keyFile = join(sshd.dir, "key-under-passphrase");
    writeFileSync(keyFile, sshd.privateKey, { mode: 0o600 });
    execFileSync("ssh-keygen", ["-q", "-p", "-P", "", "-N", canaries.passphrase, "-f", keyFile]);
    const underPassphrase = readFileSync(keyFile, "utf8");
    const store = (credential: unknown) => tenant.api.post<Credential>("/credentials", { credential });
    await store({ kind: "password", password: canaries.sshPassword });
    await store({ kind: "private_key", private_key: underPassphrase, passphrase: canaries.passphrase });

    const source = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree")], name: marker });
    const { snapshot_id } = await backUp(tenant, source);
    const refreshed = await createClient(stack.url).send("POST", "/trpc/auth.signIn", {
      email: tenant.email,
      password: tenant.password,
    });
    const session = (refreshed.body as { result: { data: Session } }).result.data;
    const made = await tenant.web.mutate<{ token: string }>("tokens.create", { name: "t", scopes: ["jobs:read"] });
    const admin = await stack.admin();
    const enrollment = await admin.mutate<{ token: string }>("admin.createEnrollment");
    const ticket = await tenant.api.post<{ ticket: string }>(`/snapshots/${snapshot_id}/download-ticket`, {
      format: "tar",
    });
    const kit = await tenant.web.mutate<{ content: string }>("keys.recoveryKit", {});
    const secrets: Record<string, string> = {
      ...canaries,
      "the person's password": tenant.password,
      "private key": sshd.privateKey,
      "private key under its passphrase": underPassphrase,
      "age identity": /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(kit.content)?.[0] ?? "",
      "API token": tenant.token,
      "another API token": made.token,
      "access token's signature": session.access_token.split(".")[2] ?? "",
      "refresh token": tenant.refreshToken,
      "later refresh token": /=([^;]+)/.exec(refreshed.headers.get("set-cookie") ?? "")?.[1] ?? "",
      "one-time enrolment token": enrollment.token,
      "preset enrolment token": stack.secrets.enrollment,
      "ticket's signature": ticket.ticket.split(".")[2] ?? "",
      "admin's password": stack.secrets.adminPassword,
      "key encryption key": stack.secrets.kek,
      "database password": stack.secrets.database,
    };
    for (const [name, secret] of Object.entries(secrets)) expect(secret.length, name).toBeGreaterThan(11);

    const dumps = {
      main: await dumpDatabase(stack.databases.main, debian),
      queue: await dumpDatabase(stack.databases.queue ?? "", debian),
    };
    for (const [database, text] of Object.entries(dumps)) {
      expect({ database, found: findSecrets(text, secrets) }).toEqual({ database, found: [] });
      // No private key of anybody, the hub's own included.
      expect(text.includes("PRIVATE KEY"), database).toBe(false);
    }
    // Control: the dumps are whole, and what is no secret is found in them by the same search.
    expect(findSecrets(dumps.main, { marker, email: tenant.email })).toEqual(["marker", "email"]);
    expect(dumps.main.toString()).toMatch(/(INSERT INTO|TABLE) public\.credentials/);
    expect(dumps.queue.toString()).toMatch(/TABLE /);
    await stack.sql`update sources set name = ${sshd.privateKey} where id = ${source.id}`;
    expect(findSecrets(await dumpDatabase(stack.databases.main, debian), secrets)).toEqual(["private key"]);
    await stack.sql`update sources set name = ${marker} where id = ${source.id}`;
  });

  it("what was done is in the tenant's audit log, whose chain holds (promise 40)", async () => {
    const source = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree/site/index.html")], name: "audited" });
    const { snapshot_id } = await backUp(tenant, source);
    const restored = await tenant.api.post<Job>("/restores", {
      snapshot_id,
      target: { source_id: source.id, path: join(sshd.home, "restored") },
    });
    expect(await tenant.api.ended(restored)).toMatchObject({ state: "success" });
    await tenant.api.remove(`/sources/${source.id}`);
    const { items } = await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=200");
    const actions = items.map((entry) => entry.action);
    for (const action of [
      "credential.created",
      "source.created",
      "backup.requested",
      "credential.handed_out",
      "snapshot.published",
      "backup.success",
      "restore.requested",
      "snapshot.unsealed",
      "restore.success",
      "source.removed",
      "token.created",
      "key.exported",
    ]) {
      expect(actions).toContain(action);
    }
    const [newest] = items;
    expect(await tenant.api.get("/audit/verification")).toEqual({
      ok: true,
      entries: newest?.seq,
      head: { seq: newest?.seq, hash: newest?.hash },
      problem: null,
    });
  });

  it("an edit by a superuser is found, whichever column it changes (promise 41)", async () => {
    const check = () => tenant.api.get<{ ok: boolean; problem: { seq: number } | null }>("/audit/verification");
    const of = tenant.workspaceId;
    const edits: [string, () => Promise<unknown>][] = [
      [
        "actor",
        () => stack.sql`update audit_log set actor_label = actor_label || 'x' where tenant_id = ${of} and seq = 3`,
      ],
      ["action", () => stack.sql`update audit_log set action = action || 'x' where tenant_id = ${of} and seq = 3`],
      ["data", () => stack.sql`update audit_log set data = data || '{"x": 1}' where tenant_id = ${of} and seq = 3`],
      ["time", () => stack.sql`update audit_log set at = at - interval '1 day' where tenant_id = ${of} and seq = 3`],
      ["target", () => stack.sql`update audit_log set target_id = 'x' where tenant_id = ${of} and seq = 3`],
      ["removal", () => stack.sql`delete from audit_log where tenant_id = ${of} and seq = 3`],
    ];
    await stack.sql`create table kept as select * from audit_log where tenant_id = ${of} and seq = 3`;
    for (const [what, edit] of edits) {
      expect(await check(), `before: ${what}`).toMatchObject({ ok: true, problem: null });
      await edit();
      expect(await check(), what).toMatchObject({ ok: false });
      await stack.sql`delete from audit_log where tenant_id = ${of} and seq = 3`;
      await stack.sql`insert into audit_log select * from kept`;
    }
    expect(await check()).toMatchObject({ ok: true });
  });

  it("a hub whose key encryption key is bad or another does not start, and names the one it needs (promise 6)", async () => {
    const env = { DATABASE_URL: stack.databases.main, NODE_ENV: "production", PORT: "1" };
    for (const size of [0, 31, 33]) {
      const XVAULT_KEK = randomBytes(size).toString("base64");
      const { code, said } = await failToStart("hub", { ...env, XVAULT_KEK });
      expect({ size, code }).toEqual({ size, code: 1 });
      expect(said).toContain("XVAULT_KEK");
      expect(size === 0 || !said.includes(XVAULT_KEK)).toBe(true);
    }
    const id = createHash("sha256").update("xvault-kek").update(Buffer.from(stack.secrets.kek, "base64")).digest("hex");
    const { code, said } = await failToStart("hub", { ...env, XVAULT_KEK: randomBytes(32).toString("base64") });
    expect(code).toBe(1);
    expect(said).toContain("KEK_UNKNOWN");
    expect(said).toContain(id.slice(0, 16));
    expect(findSecrets(said, { kek: stack.secrets.kek })).toEqual([]);
    // Control: with the right key it starts, and opens what is sealed.
    await stack.hub.stop();
    await stack.hub.start();
    await backUp(tenant, await addSource(tenant, sshd, { paths: [join(sshd.home, "tree/site/index.html")] }));
  });
});
