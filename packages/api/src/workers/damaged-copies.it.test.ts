// What is not damaged in a damaged copy can still be had: restored, quoted, checked, browsed and downloaded; from a whole copy where there is one.
import { eq, type JobRow, sessions, snapshots, type WorkerRow, workers } from "@xvault/db";
import { newId } from "@xvault/kernel";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { insertJob } from "../jobs/enqueue.ts";
import { createJobService } from "../jobs/service.ts";
import { issueTicket } from "../snapshots/tickets.ts";
import { queueTransfer } from "../storages/queue.ts";
import { type StoredWorld, startStoredWorld } from "../test/stored-world.ts";
import { createSnapshotCalls } from "./snapshot-calls.ts";

let world: StoredWorld;
let one: WorkerRow;
let two: WorkerRow;
let sessionId: string;

beforeAll(async () => {
  world = await startStoredWorld();
  one = await world.enrol("one");
  two = await world.enrol("two");
  sessionId = newId();
  const { userId } = world.caller.actor;
  const expiresAt = new Date(Date.now() + 3_600_000);
  await world.db.withSystem((tx) => tx.insert(sessions).values({ id: sessionId, userId, expiresAt }));
});
afterAll(() => world?.stop());
beforeEach(() => world.clearJobs());

const restore = (id: string) =>
  createJobService(world.deps).restore(world.caller, {
    snapshot_id: id,
    target: { source_id: world.source.id, path: "/back" },
    paths: [],
    overwrite: "never",
    verify: false,
  });
/** A job about a snapshot that any worker may take, as the callers of the service would queue it. */
const queued = (type: JobRow["type"], snapshotId: string, params: Record<string, unknown> = {}) =>
  world.inTenant((tx) =>
    insertJob(tx, {
      tenantId: world.tenantId,
      type,
      trigger: "manual",
      params: { connection: world.connection, paths: [], path: "/back", overwrite: "never", verify: false, ...params },
      snapshotId,
      now: new Date(),
    }),
  );
const redeem = async (worker: WorkerRow, snapshotId: string, kind: "browse" | "tar" | "file" | "raw") => {
  const [row] = await world.inTenant((tx) => tx.select().from(snapshots).where(eq(snapshots.id, snapshotId)));
  const caller = { ...world.caller, actor: { ...world.caller.actor, credentialId: sessionId } };
  const what = { row: row as NonNullable<typeof row>, kind, paths: [] };
  const { ticket } = await issueTicket(world.deps, caller, what, { id: worker.id, dataUrl: worker.dataUrl });
  return (await createSnapshotCalls(world.deps).redeem(worker, { ticket, sealed: null })).storage.id;
};

it("a snapshot whose only copy is damaged is restored, quoted, checked, browsed and downloaded from it", async () => {
  const { id, copies } = await world.published([{ worker: one, state: "corrupt" }]);
  const [{ storageId }] = copies;
  expect(await world.take(one, await restore(id))).toBe(storageId);
  expect(await world.take(one, await queued("quote", id))).toBe(storageId);
  expect(await world.take(one, await queued("verify", id))).toBe(storageId);
  for (const kind of ["browse", "tar", "file", "raw"] as const) expect(await redeem(one, id, kind)).toBe(storageId);
});

it("a whole copy is read before a damaged one, however near that is", async () => {
  const { id, copies } = await world.published([{ worker: one, state: "corrupt" }, {}]);
  const [, { storageId: bucket }] = copies;
  for (const worker of [one, two]) {
    const job = await queued("restore", id);
    expect(await world.take(worker, job)).toBe(bucket);
    await world.end(worker, job, "STORAGE_FAILED");
    expect(await redeem(worker, id, "browse")).toBe(bucket);
  }
});

it("a job that another worker can do better is left to it; one that it cannot take reads what is there", async () => {
  const { id, copies } = await world.published([{ worker: one, state: "corrupt" }, { worker: two }]);
  const [damaged, whole] = copies;
  const free = await queued("quote", id);
  await expect(world.take(one, free)).rejects.toMatchObject({ code: "NO_WORKER" });
  expect(await world.take(two, free)).toBe(whole.storageId);
  const bound = await queued("quote", id);
  await world.setJob(bound, { targetWorkerId: one.id });
  expect(await world.take(one, bound)).toBe(damaged.storageId);
  // A ticket is for the one worker that it names.
  expect(await redeem(one, id, "browse")).toBe(damaged.storageId);
  const elsewhere = await world.published([{ worker: two, state: "corrupt" }]);
  await expect(world.take(one, await queued("quote", elsewhere.id))).rejects.toMatchObject({ code: "NO_WORKER" });
});

it("what is missing, or lies with a worker that was revoked, is not read", async () => {
  const { id } = await world.published([{ worker: one, state: "missing" }]);
  const job = await queued("restore", id);
  expect(await world.take(one, job)).toBe(null);
  expect(await world.jobNow(job.id)).toMatchObject({ state: "failed", error: { code: "ARTIFACT_MISSING" } });
  await expect(redeem(one, id, "browse")).rejects.toMatchObject({ code: "NOT_FOUND" });

  const gone = await world.enrol("gone");
  const lost = await world.published([{ worker: gone, state: "corrupt" }]);
  await world.db.withSystem((tx) => tx.update(workers).set({ state: "revoked" }).where(eq(workers.id, gone.id)));
  const other = await queued("restore", lost.id);
  expect(await world.take(one, other)).toBe(null);
  expect(await world.jobNow(other.id)).toMatchObject({ state: "failed", error: { code: "ARTIFACT_MISSING" } });
  await expect(restore(lost.id)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
});

it("a damaged copy is not what another one is made of", async () => {
  const { id, copies } = await world.published([{}]);
  const to = await world.published([{}]);
  const [row] = await world.inTenant((tx) => tx.select().from(snapshots).where(eq(snapshots.id, id)));
  const by = { reason: "test", trigger: "manual" as const, requestedBy: null, now: new Date() };
  const target = { id: to.copies[0].storageId, kind: "s3" as const };
  const job = await world.inTenant((tx) => queueTransfer(tx, row as NonNullable<typeof row>, target, by));
  await world.setState(copies[0], "corrupt");
  expect(await world.take(one, job)).toBe(null);
  expect(await world.jobNow(job.id)).toMatchObject({ state: "failed", error: { code: "ARTIFACT_MISSING" } });
});
