// A restore that meets damage says of its copy what a check would, so that what is tried next reads a whole one.
import { alerts, and, type CopyRow, eq, isNull, jobs, type JobRow, type WorkerRow } from "@xvault/db";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { insertJob } from "../jobs/enqueue.ts";
import { createJobService } from "../jobs/service.ts";
import { type StoredWorld, startStoredWorld } from "../test/stored-world.ts";

let world: StoredWorld;
let one: WorkerRow;
let two: WorkerRow;

beforeAll(async () => {
  world = await startStoredWorld();
  one = await world.enrol("one");
  two = await world.enrol("two");
});
afterAll(() => world?.stop());
beforeEach(async () => {
  await world.inTenant((tx) => tx.update(alerts).set({ resolvedAt: new Date() }));
  await world.clearJobs();
});

const restore = (id: string) =>
  createJobService(world.deps).restore(world.caller, {
    snapshot_id: id,
    target: { source_id: world.source.id, path: "/back" },
    paths: [],
    overwrite: "never",
    verify: false,
  });
const transfers = () =>
  world.inTenant((tx) =>
    tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.type, "transfer"), eq(jobs.state, "queued"))),
  );
const open = () => world.inTenant((tx) => tx.select().from(alerts).where(isNull(alerts.resolvedAt)));
const states = async (...of: CopyRow[]) => Promise.all(of.map(async (copy) => (await world.copyNow(copy)).state));

it("the damaged copy is marked, told of and made anew, and the next restore reads the whole one", async () => {
  const { id, copies } = await world.published([{ worker: one }, {}]);
  const [near, far] = copies;
  const first = await restore(id);
  expect(await world.take(one, first)).toBe(near.storageId);
  await world.end(one, first, "ARTIFACT_CORRUPT");
  expect(await world.copyNow(near)).toMatchObject({
    state: "corrupt",
    checkedDepth: "content",
    check: { outcome: "corrupt", code: "ARTIFACT_CORRUPT", job_id: first.id },
  });
  expect(await transfers()).toMatchObject([{ params: { copy_id: far.id, storage_id: near.storageId } }]);
  const [alert, ...more] = await open();
  expect(more).toEqual([]);
  expect(alert).toMatchObject({ kind: "copy_corrupt", subjectId: near.id });
  expect(alert?.fix).toContain("is read meanwhile");
  expect(await world.take(two, await restore(id))).toBe(far.storageId);
  expect((await world.copyNow(far)).state).toBe("complete");
});

it("the same restore is tried again with the whole copy; without one it has failed", async () => {
  const now = async ({ id }: { id: string }) => {
    const [row] = await world.inTenant((tx) => tx.select().from(jobs).where(eq(jobs.id, id)));
    return row;
  };
  const both = await world.published([{ worker: one }, {}]);
  const job = await restore(both.id);
  expect(await world.take(one, job)).toBe(both.copies[0].storageId);
  await world.end(one, job, "ARTIFACT_CORRUPT");
  expect(await now(job)).toMatchObject({ state: "queued", attempt: 1 });
  await world.inTenant((tx) => tx.update(jobs).set({ runAfter: new Date() }).where(eq(jobs.id, job.id)));
  expect(await world.take(two, job)).toBe(both.copies[1].storageId);
  await world.clearJobs();
  // Control: where no other copy is whole, that is its end.
  const single = await world.published([{ worker: one }]);
  const last = await restore(single.id);
  await world.take(one, last);
  await world.end(one, last, "ARTIFACT_CORRUPT");
  expect(await now(last)).toMatchObject({ state: "failed", attempt: 1 });
});

it("of a snapshot with one copy what is whole can still be restored after that", async () => {
  const { id, copies } = await world.published([{ worker: one }]);
  for (const code of ["ARTIFACT_CORRUPT", "ARCHIVE_TRUNCATED"] as const) {
    const job = await restore(id);
    expect(await world.take(one, job)).toBe(copies[0].storageId);
    await world.end(one, job, code);
    expect(await states(...copies)).toEqual(["corrupt"]);
  }
  expect((await open())[0]?.fix).toContain("what is not damaged can still be restored");
});

it("what is missing of the last copy is told, and it stays open; of another one it is marked", async () => {
  const { id, copies } = await world.published([{ worker: one }]);
  const job = await restore(id);
  await world.take(one, job);
  await world.end(one, job, "ARTIFACT_MISSING");
  expect(await states(...copies)).toEqual(["complete"]);
  expect(await open()).toMatchObject([{ kind: "copy_missing", subjectId: copies[0].id }]);

  const both = await world.published([{ worker: one }, {}]);
  const other = await restore(both.id);
  await world.take(one, other);
  await world.end(one, other, "ARTIFACT_MISSING");
  expect(await states(...both.copies)).toEqual(["missing", "complete"]);
  // Its disk may only be away.
  expect(await transfers()).toEqual([]);
});

it("restores that wait for the worker of the damaged copy are led to the one of the whole copy", async () => {
  const { id, copies } = await world.published([{ worker: one }, { worker: two }]);
  const [first, waiting] = [await restore(id), await restore(id)];
  expect(await world.take(one, first)).toBe(copies[0].storageId);
  await world.end(one, first, "ARTIFACT_CORRUPT");
  expect((await world.jobNow(waiting.id)).targetWorkerId).toBe(two.id);
  expect(await world.take(one, waiting)).toBe(null);
  expect(await world.take(two, waiting)).toBe(copies[1].storageId);
});

it("a quote says it too, and damage in an earlier snapshot is told of where it lies", async () => {
  const base = await world.published([{ worker: one }]);
  const next = await world.published([{ worker: one }], base.copies);
  const params = { connection: world.connection, paths: [], path: "/back", overwrite: "never" };
  const by = { trigger: "manual" as const, now: new Date(), targetWorkerId: one.id };
  const job = await world.inTenant((tx) =>
    insertJob(tx, { tenantId: world.tenantId, type: "quote", params, snapshotId: next.id, ...by }),
  );
  await world.take(one, job);
  await world.end(one, job, "ARTIFACT_CORRUPT", { snapshot_id: base.id });
  expect(await states(...base.copies, ...next.copies)).toEqual(["corrupt", "corrupt"]);
  expect((await world.copyNow(next.copies[0])).check).toMatchObject({ in_snapshot_id: base.id });
  expect(await open()).toMatchObject([{ kind: "copy_corrupt", subjectId: base.copies[0].id }]);
});

it("what fails for another reason, or ends well, says nothing of the copy", async () => {
  const { id, copies } = await world.published([{ worker: one }, {}]);
  const ends = ["STORAGE_FAILED", { type: "restore", written: 1, skipped: 0, bytes: 1, problems: 0 }] as const;
  for (const how of ends) {
    const job: Pick<JobRow, "id"> = await restore(id);
    await world.take(one, job);
    await world.end(one, job, how);
  }
  expect(await states(...copies)).toEqual(["complete", "complete"]);
  // What is removed meanwhile, on purpose, is not missing.
  const last = await restore(id);
  await world.take(one, last);
  await world.setState(copies[0], "removing");
  await world.end(one, last, "ARTIFACT_MISSING");
  expect(await states(...copies)).toEqual(["removing", "complete"]);
  expect(await open()).toEqual([]);
});
