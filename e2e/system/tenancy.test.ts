// Promise 11: every route rejects foreign ids. Roles and scopes, revocation, the platform admin, schedules.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type {
  AuditEntry,
  Delivery,
  Job,
  Member,
  Schedule,
  Snapshot,
  Source,
  Storage,
  Ticket,
  Webhook,
  Worker,
} from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addMember,
  addSource,
  backUp,
  type Client,
  createClient,
  enrolVoice,
  type Stack,
  startStack,
  type Tenant,
  until,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  BEFORE_SIGN_IN,
  NAMES_ITS_OWN,
  PLATFORM,
  type Recipe,
  RECIPES,
  type Route,
  routesOf,
  sendRest,
  sendTrpc,
  type Things,
} from "./routes-with-ids.ts";
import { makeTree } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing !== null)(`tenants, roles and tokens${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let victim: Tenant;
  let outsider: Tenant;
  let colleague: Tenant;
  let things: Things;
  let own: Things;

  async function makeThings(tenant: Tenant, member: Tenant): Promise<Things> {
    const source = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree")], name: "kept" });
    const [schedule, backup] = await Promise.all([
      tenant.api.post<Schedule>("/schedules", { source_id: source.id, cron: "0 3 * * *" }),
      backUp(tenant, source),
    ]);
    const { token } = await newToken(tenant, ["jobs:read"]);
    const tokens = await tenant.web.query<{ id: string; prefix: string }[]>("tokens.list");
    await addMember(stack.url, tenant, member, "viewer");
    const { job_id } = await tenant.api.post<{ job_id: string }>("/ingest", { source_id: "laptop", path: "home" });
    // Leads nowhere that may be reached: what is asked here is whose it is.
    const url = "https://10.0.0.1/";
    const { webhook } = await tenant.api.post<{ webhook: Webhook }>("/webhooks", {
      name: "kept",
      url,
      events: ["backup.failed"],
    });
    const delivery = await tenant.api.post<Delivery>(`/webhooks/${webhook.id}/test`);
    const drill = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${backup.snapshot_id}/drill`));
    const disks = (await tenant.api.get<{ items: Storage[] }>("/storages")).items[0];
    const bucket = await tenant.api.post<Storage>("/storages", {
      name: "kept",
      place: { kind: "s3", config: { endpoint: "http://127.0.0.1:1", bucket: "nowhere" } },
      secret: { kind: "s3", access_key_id: "nobody", secret_access_key: "nothing" },
    });
    return {
      storageId: bucket.id,
      disksId: disks?.id ?? "",
      proofId: String(drill.result?.["proof_id"]),
      webhookId: webhook.id,
      deliveryId: delivery.id,
      alertId: await openAlert(tenant, source),
      packageId: job_id,
      source,
      schedule,
      snapshot: await tenant.api.get<Snapshot>(`/snapshots/${backup.snapshot_id}`),
      job: backup,
      credentialId: source.connection?.credential.id ?? "",
      tokenId: tokens.find((one) => token.startsWith(one.prefix))?.id ?? "",
      memberId: member.userId,
    };
  }
  /** An alert, whose causes are tried in tests of their own. */
  async function openAlert(tenant: Tenant, source: Source): Promise<string> {
    const id = randomUUID();
    await stack.sql`insert into alerts (id, tenant_id, kind, severity, subject_kind, subject_id, message, fix)
      values (${id}, ${tenant.workspaceId}, 'of_a_test', 'critical', 'source', ${source.id}, 'm', 'f')`;
    return id;
  }
  const newToken = (tenant: Pick<Tenant, "web">, scopes: string[]) =>
    tenant.web.mutate<{ token: string; api_token: { id: string } }>("tokens.create", { name: "a token", scopes });

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1 }), startSshd()]);
    makeTree(join(sshd.home, "tree"));
    [victim, outsider, colleague] = await Promise.all([stack.signUp(), stack.signUp(), stack.signUp()]);
    const stranger = await stack.signUp();
    [things, own] = await Promise.all([makeThings(victim, colleague), makeThings(outsider, stranger)]);
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  describe("every route rejects foreign ids (promise 11)", () => {
    let routes: Route[];
    beforeAll(async () => {
      routes = await routesOf(stack.anyone);
    });
    const list = (procedure: string): Recipe[] => [RECIPES[procedure] ?? []].flat();

    it("the matrix has every route that takes an id", () => {
      const described = routes.filter((route) => route.takesIds).map((route) => route.procedure);
      expect(described.length).toBeGreaterThan(15);
      const listed = [...Object.keys(RECIPES), ...BEFORE_SIGN_IN, ...NAMES_ITS_OWN, ...PLATFORM];
      expect(described.toSorted()).toEqual(listed.toSorted());
    });

    it("route × caller × foreign id: nothing is there, or not for this role; never a success, never a fault", async () => {
      const operator = await addMember(stack.url, outsider, await stack.signUp(), "operator");
      const admin = await addMember(stack.url, outsider, await stack.signUp(), "admin");
      const viewer = await addMember(stack.url, outsider, await stack.signUp(), "viewer");
      const callers: Record<string, { client: Client; expected: string[] }> = {
        "owner of another workspace": { client: outsider.web, expected: ["NOT_FOUND"] },
        "API token of another workspace": { client: outsider.api, expected: ["NOT_FOUND", "SCOPE_MISSING"] },
        "admin of another workspace": { client: admin, expected: ["NOT_FOUND"] },
        "operator of another workspace": { client: operator, expected: ["NOT_FOUND", "FORBIDDEN"] },
        "viewer of another workspace": { client: viewer, expected: ["NOT_FOUND", "FORBIDDEN"] },
        "somebody who names the workspace without being a member": {
          client: createClient(stack.url, { bearer: outsider.accessToken, workspace: victim.workspaceId }),
          expected: ["NOT_FOUND"],
        },
        "a token that names a workspace which is not its own": {
          client: createClient(stack.url, { bearer: outsider.token, workspace: victim.workspaceId }),
          expected: ["NOT_FOUND"],
        },
        nobody: { client: stack.anyone, expected: ["UNAUTHENTICATED"] },
      };
      const before = await stateOf(victim);
      const wrong: string[] = [];
      let asked = 0;
      for (const procedure of Object.keys(RECIPES)) {
        const route = routes.find((one) => one.procedure === procedure);
        for (const recipe of list(procedure)) {
          const input = recipe.input(things, own);
          for (const [caller, { client, expected }] of Object.entries(callers)) {
            const answers = [
              await sendTrpc(client, procedure, route?.method === "GET", input),
              ...(route ? [await sendRest(client, route, input)] : []),
            ];
            for (const { status, text, body } of answers) {
              asked += 1;
              const fault = body as { code?: string; error?: { data: { report: { code: string } } } };
              const code = fault.error?.data.report.code ?? fault.code ?? "";
              if (status === 200 || status >= 500 || !expected.includes(code)) {
                wrong.push(`${caller}: ${procedure} was answered with ${status} ${text.slice(0, 200)}`);
              }
            }
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(asked).toBeGreaterThan(300);
      expect(await stateOf(victim)).toEqual(before);
    });

    it("streams of foreign jobs do not open", async () => {
      const watch = (client: { bearer: string; workspace: string }, id: string) =>
        fetch(`${stack.url}/trpc/jobs.watch?input=${encodeURIComponent(JSON.stringify({ id }))}`, {
          headers: {
            accept: "text/event-stream",
            authorization: `Bearer ${client.bearer}`,
            "x-xvault-workspace": client.workspace,
          },
        }).then((answer) => answer.text());
      const foreign = await watch({ bearer: outsider.accessToken, workspace: outsider.workspaceId }, things.job.id);
      expect(foreign).toContain("NOT_FOUND");
      expect(foreign).not.toContain('"kind":"job"');
      const pretended = await watch({ bearer: outsider.accessToken, workspace: victim.workspaceId }, things.job.id);
      expect(pretended).toContain("NOT_FOUND");
      expect(pretended).not.toContain('"kind":"job"');
      const mine = await watch({ bearer: victim.accessToken, workspace: victim.workspaceId }, things.job.id);
      expect(mine).toContain('"kind":"job"');
    });

    it("a ticket opens the one snapshot that it names, for its kind of use", async () => {
      const ticket = await outsider.api.post<Ticket>(`/snapshots/${own.snapshot.id}/browse-ticket`);
      const ask = (path: string, text = ticket.ticket) =>
        fetch(ticket.data_url + path, { headers: { authorization: `Bearer ${text}` } });
      expect((await ask("/v1/tree?path=/")).status).toBe(200);
      for (const path of ["/v1/download", "/v1/raw/manifest.json", "/v1/raw/backup.tar.zst.enc"]) {
        expect((await ask(path)).status, path).toBe(401);
      }
      const [head = "", claims = "", signature = ""] = ticket.ticket.split(".");
      const forged = {
        ...(JSON.parse(Buffer.from(claims, "base64url").toString()) as object),
        snapshot_id: things.snapshot.id,
      };
      const text = [head, Buffer.from(JSON.stringify(forged)).toString("base64url"), signature].join(".");
      expect((await ask("/v1/tree?path=/", text)).status).toBe(401);
      expect((await ask("/v1/tree?path=/", outsider.accessToken)).status).toBe(401);
    });

    it("signing in for a foreign workspace gives no token", async () => {
      const account = { email: outsider.email, password: outsider.password };
      await expect(
        stack.anyone.post("/auth/token", { ...account, workspace_id: victim.workspaceId }),
      ).rejects.toMatchObject({ code: "NOT_FOUND" });
      await stack.anyone.post("/auth/token", { ...account, workspace_id: outsider.workspaceId });
    });

    it("control: the owner is answered on every one of these routes", async () => {
      const wrong: string[] = [];
      for (const procedure of Object.keys(RECIPES)) {
        const route = routes.find((one) => one.procedure === procedure);
        for (const recipe of list(procedure)) {
          const answer = await sendTrpc(outsider.web, procedure, route?.method === "GET", recipe.input(own, own));
          if (answer.status !== (recipe.control ?? 200)) wrong.push(`${procedure}: ${answer.status} ${answer.text}`);
        }
      }
      expect(wrong).toEqual([]);
    });
  });

  /** All that a workspace's owner sees of it. What merely passes with time is left out. */
  async function stateOf(tenant: Tenant): Promise<unknown> {
    return {
      sources: await tenant.api.get("/sources"),
      schedules: await tenant.api.get("/schedules"),
      jobs: await tenant.api.get("/jobs"),
      snapshots: await tenant.api.get("/snapshots"),
      packages: await tenant.api.get("/packages"),
      webhooks: await tenant.api.get("/webhooks"),
      alerts: await tenant.api.get("/alerts?state=all"),
      members: await tenant.web.query<Member[]>("workspaces.members"),
      tokens: (await tenant.web.query<{ id: string; revoked_at: string | null }[]>("tokens.list")).map(
        ({ id, revoked_at }) => ({ id, revoked_at }),
      ),
      audit: (await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=1")).items[0]?.seq,
    };
  }

  describe("tokens and roles", () => {
    it("a token does what its scopes say", async () => {
      const { token } = await newToken(victim, ["jobs:read"]);
      const client = createClient(stack.url, { bearer: token });
      await client.get(`/jobs/${things.job.id}`);
      await expect(client.get("/sources")).rejects.toMatchObject({ code: "SCOPE_MISSING" });
      await expect(client.post(`/sources/${things.source.id}/backup`)).rejects.toMatchObject({ code: "SCOPE_MISSING" });
      await expect(client.post("/keys/recovery-kit")).rejects.toMatchObject({ code: "SCOPE_MISSING" });
      await expect(client.query("workspaces.members")).rejects.toMatchObject({ code: "SCOPE_MISSING" });
    });

    it("a role does what its rank says, and a token never more than the role of its person", async () => {
      const person = await stack.signUp();
      const operator = await addMember(stack.url, victim, person, "operator");
      await operator.get(`/snapshots/${things.snapshot.id}`);
      await expect(
        operator.post(`/snapshots/${things.snapshot.id}/download-ticket`, { format: "tar" }),
      ).rejects.toMatchObject({ code: "FORBIDDEN" });
      await expect(newToken({ web: operator }, ["restores:run"])).rejects.toMatchObject({ code: "SCOPE_MISSING" });
      const { token } = await newToken({ web: operator }, ["backups:run", "jobs:read"]);
      const program = createClient(stack.url, { bearer: token });
      const job = await program.post<Job>(`/sources/${things.source.id}/backup`);
      expect(await program.ended(job)).toMatchObject({ state: "success", trigger: "api" });
      // Demoted, the person's token loses what the role lost; removed, it is dead.
      await victim.web.mutate("workspaces.setRole", { user_id: person.userId, role: "viewer" });
      await expect(program.post(`/sources/${things.source.id}/backup`)).rejects.toMatchObject({ code: "FORBIDDEN" });
      await program.get("/jobs");
      await victim.web.mutate("workspaces.removeMember", { user_id: person.userId });
      await expect(program.get("/jobs")).rejects.toMatchObject({ status: 401 });
      await expect(operator.get("/jobs")).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    it("a revoked token is dead at once", async () => {
      const created = await newToken(victim, ["snapshots:read"]);
      const client = createClient(stack.url, { bearer: created.token });
      await client.get("/snapshots");
      await victim.web.mutate("tokens.revoke", { id: created.api_token.id });
      await expect(client.get("/snapshots")).rejects.toMatchObject({ status: 401, code: "TOKEN_INVALID" });
      await victim.api.get("/snapshots");
    });
  });

  describe("the platform admin", () => {
    it("sees tenants, workers and jobs; everybody else is told that nothing is there", async () => {
      const admin = await stack.admin();
      const tenants = await admin.query<{ id: string; owner_email: string }[]>("admin.tenants");
      expect(tenants).toContainEqual(expect.objectContaining({ id: victim.workspaceId, owner_email: victim.email }));
      const workers = await admin.query<Worker[]>("admin.workers");
      expect(workers).toContainEqual(expect.objectContaining({ id: stack.workers[0]?.id, state: "online" }));
      const jobs = await admin.query<{ items: { id: string }[] }>("admin.jobs", { limit: 200 });
      expect(jobs.items).toContainEqual(expect.objectContaining({ id: things.job.id, tenant_id: victim.workspaceId }));

      const ofVictim = { tenant_id: victim.workspaceId };
      const place = { kind: "local_fs", config: { folder: "shelf" } };
      const shelf = await admin.mutate<{ id: string }>("admin.createStorage", { name: "shelf", place, offered: false });
      const aKey = { kind: "s3", access_key_id: "a", secret_access_key: "of-the-key" };
      const calls: [string, boolean, unknown][] = [
        ["admin.tenants", true, undefined],
        ["admin.workers", true, undefined],
        ["admin.jobs", true, {}],
        ["admin.sources", true, ofVictim],
        ["admin.snapshots", true, ofVictim],
        ["admin.createEnrollment", false, undefined],
        ["admin.setDraining", false, { id: stack.workers[0]?.id, draining: true }],
        ["admin.revokeWorker", false, { id: stack.workers[0]?.id }],
        ["admin.restore", false, { ...ofVictim, ...restoreInput(), reason: "because I want to" }],
        ["admin.storages", true, {}],
        ["admin.createStorage", false, { name: "x", place: { kind: "local_fs", config: { folder: "x" } } }],
        ["admin.updateStorage", false, { id: shelf.id, name: "theirs" }],
        ["admin.retireStorage", false, { id: shelf.id }],
        ["admin.storageKeys", true, { id: shelf.id }],
        ["admin.setStorageKey", false, { id: shelf.id, tenant_id: victim.workspaceId, secret: aKey }],
        ["admin.removeStorageKey", false, { id: shelf.id, tenant_id: victim.workspaceId }],
      ];
      expect(calls.map(([procedure]) => procedure)).toEqual(expect.arrayContaining(PLATFORM));
      for (const [procedure, isQuery, input] of calls) {
        for (const client of [victim.web, outsider.web, victim.api]) {
          const call = isQuery ? client.query(procedure, input) : client.mutate(procedure, input);
          await expect(call, procedure).rejects.toMatchObject({ code: "NOT_FOUND" });
        }
        const nobody = isQuery ? stack.anyone.query(procedure, input) : stack.anyone.mutate(procedure, input);
        await expect(nobody, procedure).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      }
      expect(await admin.query("admin.workers")).toContainEqual(expect.objectContaining({ state: "online" }));
      // The admin is no member of anything.
      await expect(
        createClient(stack.url, { bearer: victim.accessToken, workspace: outsider.workspaceId }).get("/jobs"),
      ).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    const restoreInput = () => ({
      snapshot_id: things.snapshot.id,
      target: { source_id: things.source.id, path: join(sshd.home, "by-admin") },
    });

    it("restores for a tenant with a reason, which that tenant reads in the own audit log", async () => {
      const admin = await stack.admin();
      const input = { tenant_id: victim.workspaceId, ...restoreInput() };
      await expect(admin.mutate("admin.restore", { ...input, reason: "no" })).rejects.toMatchObject({
        code: "INPUT_INVALID",
      });
      await expect(
        admin.mutate("admin.restore", { ...input, tenant_id: outsider.workspaceId, reason: "the wrong tenant" }),
      ).rejects.toMatchObject({ code: "NOT_FOUND" });
      const reason = "Ticket 4711: the customer asked us to";
      const job = await admin.mutate<Job>("admin.restore", { ...input, reason });
      expect(await victim.api.ended(job)).toMatchObject({ state: "success", trigger: "admin" });
      const { items } = await victim.api.get<{ items: AuditEntry[] }>("/audit?limit=50");
      expect(items).toContainEqual(
        expect.objectContaining({
          action: "restore.requested_by_platform",
          actor_kind: "admin",
          actor_label: stack.secrets.adminEmail,
          data: expect.objectContaining({ reason, job_id: job.id }),
        }),
      );
      expect(await victim.api.get("/audit/verification")).toMatchObject({ ok: true });
    });

    it("revokes a worker, which is dead at once", async () => {
      const admin = await stack.admin();
      const voice = await enrolVoice(stack, "to-be-revoked");
      expect(await voice.call("reconcile", { snapshot_ids: [] })).toEqual({ known: [], pending: [] });
      await admin.mutate("admin.revokeWorker", { id: voice.id });
      await expect(voice.call("reconcile", { snapshot_ids: [] })).rejects.toMatchObject({ code: "WORKER_REVOKED" });
      await expect(voice.call("lease", { job_id: things.job.id })).rejects.toMatchObject({ code: "WORKER_REVOKED" });
      await expect(voice.call("credentials", { job_id: things.job.id, attempt: 1 })).rejects.toMatchObject({
        code: "WORKER_REVOKED",
      });
      const workers = await admin.query<Worker[]>("admin.workers");
      expect(workers.find((worker) => worker.id === voice.id)?.state).toBe("revoked");
    });
  });

  describe("schedules", () => {
    it("a run that was missed is made up for once", async () => {
      const missed = await tenantSchedule("missed");
      await stack.sql`update schedules set next_run_at = now() - interval '3 days' where id = ${missed.schedule.id}`;
      const jobsOf = async (source: Source) =>
        (await victim.api.get<{ items: Job[] }>(`/jobs?source_id=${source.id}`)).items;
      const [job] = await until(async () => {
        const found = await jobsOf(missed.source);
        return found.length > 0 ? found : null;
      });
      if (!job) throw new Error("unreachable");
      expect(await victim.api.ended(job)).toMatchObject({ state: "success", trigger: "schedule" });
      const next = (await victim.api.get<{ items: Schedule[] }>("/schedules")).items.find(
        (one) => one.id === missed.schedule.id,
      );
      expect(Date.parse(next?.next_run_at ?? "")).toBeGreaterThan(Date.now());
      // Another one that falls due later has its run by a later turn of the scheduler: the first got no second.
      const later = await tenantSchedule("later");
      await stack.sql`update schedules set next_run_at = now() - interval '1 minute' where id = ${later.schedule.id}`;
      await until(async () => (await jobsOf(later.source)).length > 0);
      expect(await jobsOf(missed.source)).toHaveLength(1);
      const { items } = await victim.api.get<{ items: AuditEntry[] }>("/audit?limit=50");
      expect(items.filter((entry) => entry.action === "backup.scheduled")).toHaveLength(2);
    });

    it("a paused source's schedule runs nothing", async () => {
      const paused = await tenantSchedule("paused");
      await victim.api.post(`/sources/${paused.source.id}/pause`);
      await stack.sql`update schedules set next_run_at = now() - interval '1 hour' where id = ${paused.schedule.id}`;
      await until(async () => {
        const [row] = await stack.sql<{
          due: boolean;
        }>`select next_run_at < now() as due from schedules where id = ${paused.schedule.id}`;
        return row?.due === false;
      });
      expect((await victim.api.get<{ items: Job[] }>(`/jobs?source_id=${paused.source.id}`)).items).toEqual([]);
      await expect(victim.api.post(`/sources/${paused.source.id}/backup`)).rejects.toMatchObject({
        code: "SOURCE_PAUSED",
      });
    });

    it("are made by those who may, and not to run all the time", async () => {
      const viewer = createClient(stack.url, { bearer: colleague.accessToken, workspace: victim.workspaceId });
      const wanted = { source_id: things.source.id, cron: "0 3 * * *" };
      await expect(viewer.post("/schedules", wanted)).rejects.toMatchObject({ code: "FORBIDDEN" });
      await expect(viewer.remove(`/schedules/${things.schedule.id}`)).rejects.toMatchObject({ code: "FORBIDDEN" });
      expect((await viewer.get<{ items: Schedule[] }>("/schedules")).items).toContainEqual(
        expect.objectContaining({ id: things.schedule.id }),
      );
      await expect(victim.api.post("/schedules", { ...wanted, cron: "* * * * *" })).rejects.toMatchObject({
        code: "SCHEDULE_TOO_FREQUENT",
      });
      await expect(victim.api.post("/schedules", { ...wanted, cron: "at noon" })).rejects.toMatchObject({
        code: "SCHEDULE_INVALID",
      });
      await expect(victim.api.post("/schedules", { ...wanted, timezone: "Mars/Olympus" })).rejects.toMatchObject({
        code: "SCHEDULE_INVALID",
      });
    });

    async function tenantSchedule(name: string): Promise<{ source: Source; schedule: Schedule }> {
      const source = await addSource(victim, sshd, { paths: [join(sshd.home, "tree/site/index.html")], name });
      const schedule = await victim.api.post<Schedule>("/schedules", { source_id: source.id, cron: "0 3 * * *" });
      return { source, schedule };
    }
  });
});
