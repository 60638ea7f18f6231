// What opens alerts and what ends them, against a real PostgreSQL.
import { generateSigningKey, signBytes } from "@xvault/crypto";
import {
  alerts,
  and,
  eq,
  jobs,
  type JobRow,
  openDatabase,
  schedules,
  sql,
  webhookDeliveries,
  webhooks,
  workers,
  type WorkerRow,
} from "@xvault/db";
import { newId } from "@xvault/kernel";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { insertJob } from "../jobs/enqueue.ts";
import { createPackageService } from "../packages/service.ts";
import { createScheduleService } from "../schedules/service.ts";
import { createSourceService } from "../sources/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createEnrolment } from "../workers/enrolment.ts";
import { createJobCalls } from "../workers/job-calls.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { raiseAlert, resolveAlert } from "./alerts.ts";
import { tellJobEnded } from "./job-ended.ts";
import { watchOverdue } from "./overdue.ts";
import { noticeGround } from "./test/ground.ts";

const TOKEN = "a token that any worker may enrol with";
const HOUR = 60 * 60_000;

let world: ServiceWorld;
let ground: ReturnType<typeof noticeGround>;
let worker: WorkerRow;
let sourceId: string;
let hookId: string;

beforeAll(async () => {
  world = await startServices();
  ground = noticeGround(world);
  const { publicKey, privateKey } = generateSigningKey();
  const { worker_id } = await createEnrolment(world.deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
    token: TOKEN,
    name: "w",
    public_key: publicKey,
    proof: signBytes(Buffer.from(TOKEN), privateKey),
    version: "0",
    capabilities: {},
    storage_base_path: "/nowhere",
    data_url: "http://127.0.0.1:9",
    concurrency: 1,
    free_bytes: null,
  });
  const [row] = await world.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker_id)));
  if (!row) throw new Error("the worker was not enrolled");
  worker = row;
  const hook = await ground.webhooks.create(world.caller, {
    name: "all",
    url: "http://127.0.0.1:9/",
    events: [
      "backup.started",
      "backup.succeeded",
      "backup.failed",
      "source.overdue",
      "source.host_key_changed",
      "alert.opened",
      "alert.resolved",
      "package.completed",
      "package.failed",
    ],
  });
  hookId = hook.webhook.id;
});
afterAll(() => world?.stop());
beforeEach(async () => {
  const service = createSourceService(world.deps);
  const credential = await service.createCredential(world.caller, { kind: "password", password: "secret" });
  const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const connection = { host: "h.example", port: 22, username: "u", host_key, credential_id: credential.id };
  const made = await service.create(world.caller, { name: "mail-01", connection, paths: ["/srv"], excludes: [] });
  sourceId = made.id;
  await world.db.withTenant(world.tenantId, (tx) =>
    tx.update(webhookDeliveries).set({ state: "delivered" }).where(eq(webhookDeliveries.state, "pending")),
  );
});

/** Names of the events that were told since the test began. */
async function told(): Promise<string[]> {
  const log = await ground.log(hookId);
  return log.filter(({ state }) => state === "pending").map(({ event }) => event);
}

/** Open alerts about the test's own source. */
async function open() {
  const { items } = await ground.alerts.list(world.caller, { state: "open", limit: 200 });
  return items.filter(({ subject }) => subject.id === sourceId);
}

async function leasedBackup(): Promise<JobRow> {
  const { db, tenantId, deps } = world;
  const made = await db.withTenant(tenantId, (tx) =>
    insertJob(tx, {
      tenantId,
      type: "backup",
      trigger: "schedule",
      params: { paths: ["/srv"] },
      sourceId,
      now: deps.clock.now(),
    }),
  );
  const lease = await createLeaseCall(deps)(worker, { job_id: made.id });
  if (!lease.granted) throw new Error("not granted");
  return made;
}

async function fail(code: "LOGIN_REFUSED" | "HOST_KEY_CHANGED") {
  const job = await leasedBackup();
  const error = { code, message: "It was refused.", fix: "Let it in.", retry: false } as const;
  const end = { job_id: job.id, attempt: 1, state: "failed", result: null, error, events: [] as never[] } as const;
  await createJobCalls(world.deps).complete(worker, end);
  return job;
}

describe("an alert", () => {
  it("is one for its kind and subject until it is resolved, however often its cause is seen", async () => {
    const { db, deps, tenantId } = world;
    const about = { tenantId, kind: "test_kind", subject: { kind: "source", id: sourceId } };
    const raise = (severity: "warning" | "critical") =>
      db.withTenant(tenantId, (tx) => raiseAlert(tx, deps, { ...about, severity, message: "m", fix: "f" }));
    const first = await raise("warning");
    const again = await raise("critical");
    expect(again).toMatchObject({ id: first.id, seen: 2, severity: "critical" });
    const resolved = await db.withTenant(tenantId, (tx) => resolveAlert(tx, deps, about, "It is over."));
    expect(resolved).toMatchObject({ id: first.id, resolution: "It is over." });
    expect(await db.withTenant(tenantId, (tx) => resolveAlert(tx, deps, about, "It is over."))).toBeNull();
    expect((await raise("warning")).id).not.toBe(first.id);
    expect(await told()).toEqual(["alert.opened", "alert.resolved", "alert.opened"]);
  });

  it("is resolved by hand with a note, once, in the person's name", async () => {
    await fail("LOGIN_REFUSED");
    const [alert] = await open();
    if (!alert) throw new Error("no alert");
    const before = (await ground.alerts.list(world.caller, { state: "open", limit: 1 })).open;
    const resolved = await ground.alerts.resolve(world.caller, { id: alert.id, note: "Known, a test server." });
    expect(resolved.resolution).toBe("o: Known, a test server.");
    expect((await ground.alerts.list(world.caller, { state: "open", limit: 1 })).open).toBe(before - 1);
    const again = ground.alerts.resolve(world.caller, { id: alert.id, note: "Again." });
    await expect(again).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("is listed newest first, page by page, with none left out and none shown twice", async () => {
    const { db, deps, tenantId } = world;
    await db.withTenant(tenantId, async (tx) => {
      for (let n = 0; n < 7; n++) {
        const subject = { kind: "worker", id: newId() };
        await raiseAlert(tx, deps, { tenantId, kind: "many", severity: "warning", subject, message: "m", fix: "f" });
      }
    });
    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await ground.alerts.list(world.caller, { state: "all", limit: 3, ...(cursor ? { cursor } : {}) });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor);
    const rows = await db.withTenant(tenantId, (tx) => tx.select({ id: alerts.id }).from(alerts));
    expect(seen).toHaveLength(rows.length);
    expect(new Set(seen).size).toBe(rows.length);
  });
});

describe("a backup", () => {
  it("that fails for good opens an alert; the next one that succeeds ends it", async () => {
    const job = await fail("LOGIN_REFUSED");
    expect(await told()).toEqual(["backup.started", "backup.failed", "alert.opened"]);
    expect(await open()).toMatchObject([
      {
        kind: "backup_failed",
        severity: "critical",
        subject_name: "mail-01",
        message: "The backup of mail-01 failed: It was refused.",
        fix: "Let it in.",
        data: { job_id: job.id, code: "LOGIN_REFUSED" },
      },
    ]);
    const { db, deps, tenantId } = world;
    const [row] = await db.withTenant(tenantId, (tx) => tx.select().from(jobs).where(eq(jobs.id, job.id)));
    if (!row) throw new Error("the job is gone");
    const better = { ...row, state: "success", error: null, result: { type: "backup", files: 3 } } as const;
    await db.withTenant(tenantId, (tx) => tellJobEnded(tx, deps, better));
    expect(await open()).toEqual([]);
    expect((await told()).slice(3)).toEqual(["backup.succeeded", "alert.resolved"]);
    const log = await ground.log(hookId);
    const sent = log.find(({ event, state }) => event === "backup.succeeded" && state === "pending");
    expect(sent?.payload).toMatchObject({
      subject: { kind: "job", id: job.id },
      data: { source_id: sourceId, source_name: "mail-01", files: 3 },
    });
  });

  it("that is to be tried again is no news yet", async () => {
    const job = await leasedBackup();
    const error = { code: "HOST_UNREACHABLE", message: "", fix: "", retry: true } as const;
    const end = { job_id: job.id, attempt: 1, state: "failed", result: null, error, events: [] as never[] } as const;
    await createJobCalls(world.deps).complete(worker, end);
    expect(await told()).toEqual(["backup.started"]);
    expect(await open()).toEqual([]);
  });

  it("that meets another host key opens one alert, which ends when somebody confirms the key", async () => {
    await fail("HOST_KEY_CHANGED");
    expect(await told()).toEqual(["backup.started", "backup.failed", "source.host_key_changed", "alert.opened"]);
    expect((await open()).map(({ kind }) => kind)).toEqual(["host_key_changed"]);
    const host_key = { algorithm: "ssh-ed25519", key: "BBBB", fingerprint: "SHA256:y" };
    await createSourceService(world.deps).update(world.caller, { id: sourceId, connection: { host_key } });
    expect(await open()).toEqual([]);
  });

  it("of a source that is removed has nothing to alert of any more", async () => {
    await fail("LOGIN_REFUSED");
    await createSourceService(world.deps).remove(world.caller, sourceId);
    expect(await open()).toEqual([]);
    expect((await told()).at(-1)).toBe("alert.resolved");
  });
});

describe("a source whose backup was due and did not come", () => {
  const due = async (agoMs: number) => {
    const { db, deps, tenantId, caller } = world;
    await createScheduleService(deps).create(caller, {
      source_id: sourceId,
      cron: "0 3 * * *",
      timezone: "UTC",
      enabled: true,
    });
    await db.withTenant(tenantId, (tx) =>
      tx
        .update(schedules)
        .set({ lastRunAt: new Date(Date.now() - agoMs) })
        .where(and(eq(schedules.tenantId, tenantId), eq(schedules.sourceId, sourceId))),
    );
  };

  it("is overdue after an hour, and told of once", async () => {
    await due(2 * HOUR);
    await watchOverdue(world.deps);
    await watchOverdue(world.deps);
    expect(await told()).toEqual(["source.overdue", "alert.opened"]);
    expect(await open()).toMatchObject([{ kind: "source_overdue", seen: 1, subject_name: "mail-01" }]);
    expect((await createSourceService(world.deps).get(world.caller, sourceId)).health).toBe("overdue");
  });

  it("is not before that, nor while its backup runs", async () => {
    await due(HOUR / 2);
    await watchOverdue(world.deps);
    expect(await open()).toEqual([]);
    await world.db.withTenant(world.tenantId, (tx) =>
      tx
        .update(schedules)
        .set({ lastRunAt: new Date(Date.now() - 2 * HOUR) })
        .where(eq(schedules.sourceId, sourceId)),
    );
    await leasedBackup();
    await watchOverdue(world.deps);
    expect(await open()).toEqual([]);
  });

  it("is overdue no more when it is paused", async () => {
    await due(2 * HOUR);
    await watchOverdue(world.deps);
    await createSourceService(world.deps).setPaused(world.caller, sourceId, true);
    await watchOverdue(world.deps);
    expect(await open()).toEqual([]);
    const { items } = await ground.alerts.list(world.caller, { state: "all", limit: 200 });
    expect(items.find(({ subject }) => subject.id === sourceId)?.resolution).toBe("The source was paused.");
  });
});

it("a package that its client ends is told of as it ended", async () => {
  const packages = createPackageService(world.deps);
  const input = { source_id: "laptop", path: "home", package_type: "user_data" } as const;
  for (const status of ["completed", "failed"] as const) {
    const { job_id } = await packages.ingest(world.caller, input);
    await packages.update(world.caller, { id: job_id, status });
  }
  expect(await told()).toEqual(["package.completed", "package.failed"]);
});

it("nothing is changed where no entry can be written into the audit log (promise 40)", async () => {
  const { caller, db, tenantId } = world;
  const made = await ground.webhooks.create(caller, {
    name: "kept",
    url: "https://hooks.example/",
    events: ["backup.failed"],
  });
  const { id } = made.webhook;
  const delivery = await ground.webhooks.test(caller, id);
  await fail("LOGIN_REFUSED");
  const [alert] = await open();
  if (!alert) throw new Error("no alert");
  const changes: (() => Promise<unknown>)[] = [
    () => ground.webhooks.create(caller, { name: "unseen", url: "https://hooks.example/", events: ["backup.failed"] }),
    () => ground.webhooks.update(caller, { id, name: "unseen", enabled: false }),
    () => ground.webhooks.rotateSecret(caller, id),
    () => ground.webhooks.test(caller, id),
    () => ground.webhooks.redeliver(caller, delivery.id),
    () => ground.alerts.resolve(caller, { id: alert.id, note: "unseen" }),
    () => ground.webhooks.remove(caller, id),
  ];
  const look = () =>
    db.withTenant(tenantId, async (tx) => [
      await tx.select().from(webhooks).orderBy(webhooks.id),
      await tx.select().from(webhookDeliveries).orderBy(webhookDeliveries.id),
      await tx.select().from(alerts).orderBy(alerts.id),
    ]);
  const before = await look();
  const owner = openDatabase({ appUrl: world.ownerUrl, systemUrl: world.ownerUrl }, { max: 1 });
  try {
    await owner.withSystem((tx) => tx.execute(sql`revoke insert on audit_log from xvault_app, xvault_system`));
    for (const change of changes) await expect(change()).rejects.toThrow(/audit_log/);
    expect(await look()).toEqual(before);
  } finally {
    await owner.withSystem((tx) => tx.execute(sql`grant insert on audit_log to xvault_app, xvault_system`));
    await owner.close();
  }
  for (const change of changes) await change();
  expect(await look()).not.toEqual(before);
});
