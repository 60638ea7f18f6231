// What a clock that was ahead leaves behind must not keep a job from running; against a real PostgreSQL, with the queue on it.
import { generateSigningKey, signBytes } from "@xvault/crypto";
import { eq, jobs, queueUrl, type WorkerRow, workers } from "@xvault/db";
import type { WorkerId } from "@xvault/kernel";
import { createJobConsumer, type JobConsumer } from "@xvault/queue";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { createSourceService } from "../sources/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createEnrolment } from "../workers/enrolment.ts";
import { createJobCalls } from "../workers/job-calls.ts";
import { createLeaseCall } from "../workers/lease.ts";
import { insertJob } from "./enqueue.ts";
import { createScheduler } from "./scheduler.ts";

const TOKEN = "a token that any worker may enrol with";
const DAY = 24 * 60 * 60_000;
const PATIENCE = { timeout: 20_000, interval: 20 };

let world: ServiceWorld;
let worker: WorkerRow;
let consumer: JobConsumer | undefined;
let sourceId: string;

beforeAll(async () => {
  world = await startServices();
  const { deps } = world;
  const { publicKey, privateKey } = generateSigningKey();
  const { worker_id } = await createEnrolment(deps, { presetToken: TOKEN, webOrigins: [] }).enrol({
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
  const [row] = await deps.db.withSystem((tx) => tx.select().from(workers).where(eq(workers.id, worker_id)));
  if (!row) throw new Error("the worker was not enrolled");
  worker = row;
});
afterAll(async () => {
  await world?.stop();
});
beforeEach(async () => {
  const service = createSourceService(world.deps);
  const credential = await service.createCredential(world.caller, { kind: "password", password: "secret" });
  const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
  const connection = { host: "h.example", port: 22, username: "u", host_key, credential_id: credential.id };
  sourceId = (await service.create(world.caller, { connection, paths: ["/srv"], excludes: [] })).id;
});
afterEach(async () => {
  vi.useRealTimers();
  await consumer?.close();
  consumer = undefined;
});

const rowOf = async (id: string) => {
  const [row] = await world.db.withTenant(world.tenantId, (tx) => tx.select().from(jobs).where(eq(jobs.id, id)));
  if (!row) throw new Error("the job is gone");
  return row;
};

/** A backup whose first attempt failed for a reason that may pass. */
async function failedOnce() {
  const { deps, tenantId } = world;
  const made = {
    tenantId,
    type: "backup",
    trigger: "manual",
    params: { paths: ["/srv"] },
    sourceId,
    now: deps.clock.now(),
  } as const;
  const { id } = await deps.db.withTenant(tenantId, (tx) => insertJob(tx, made));
  const lease = await createLeaseCall(deps)(worker, { job_id: id });
  if (!lease.granted) throw new Error("not granted");
  const error = { code: "HOST_UNREACHABLE", message: "", fix: "", retry: true } as const;
  const end = { job_id: id, attempt: 1, state: "failed", result: null, error, events: [] as never[] } as const;
  await createJobCalls(deps).complete(worker, end);
  return rowOf(id);
}

/** What workers hear from now on. */
function listen(): string[] {
  const heard: string[] = [];
  consumer = createJobConsumer(
    { kind: "postgres", url: queueUrl(world.ownerUrl) },
    {
      workerId: worker.id as WorkerId,
      concurrency: 1,
      handle: async (message) => void heard.push(`${message.jobId}.${message.attempt}`),
      onError: () => {},
    },
  );
  return heard;
}

it("a retry that a clock which was a day ahead has put off runs when the clock is right again (promise 28)", async () => {
  const scheduler = createScheduler(world.deps);
  // Of the whole process, as when the machine's clock was wrong: the queue's library reads it too.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
  const job = await failedOnce();
  expect(job).toMatchObject({ state: "queued", attempt: 1 });
  vi.useRealTimers();
  expect(job.runAfter.getTime()).toBeGreaterThan(Date.now() + DAY / 2);

  await scheduler.bringForward();
  expect((await rowOf(job.id)).runAfter.getTime()).toBeLessThanOrEqual(Date.now());
  await scheduler.announceWaiting();
  const heard = listen();
  await vi.waitFor(() => expect(heard).toEqual([`${job.id}.1`]), PATIENCE);
  expect(await createLeaseCall(world.deps)(worker, { job_id: job.id })).toMatchObject({ granted: true, attempt: 2 });
});

it("a retry waits for its time, and is announced when that has come", async () => {
  const scheduler = createScheduler(world.deps);
  const job = await failedOnce();
  const before = job.runAfter.getTime();
  expect(before).toBeGreaterThan(Date.now());
  await scheduler.bringForward();
  await scheduler.announceWaiting();
  expect((await rowOf(job.id)).runAfter.getTime()).toBe(before);
  expect(await createLeaseCall(world.deps)(worker, { job_id: job.id })).toEqual({ granted: false });
  const heard = listen();

  vi.useFakeTimers({ toFake: ["Date"], now: before + 1 });
  await scheduler.announceWaiting();
  vi.useRealTimers();
  await vi.waitFor(() => expect(heard).toEqual([`${job.id}.1`]), PATIENCE);
});

it("a job that a clock which was ahead wrote down runs when the clock is right again", async () => {
  const { deps, tenantId } = world;
  const now = new Date(Date.now() + DAY);
  const made = { tenantId, type: "backup", trigger: "schedule", params: { paths: ["/srv"] }, sourceId, now } as const;
  const { id } = await deps.db.withTenant(tenantId, (tx) => insertJob(tx, made));
  expect(await createLeaseCall(deps)(worker, { job_id: id })).toEqual({ granted: false });
  await createScheduler(deps).bringForward();
  expect(await createLeaseCall(deps)(worker, { job_id: id })).toMatchObject({ granted: true });
});
