// Nothing that fails in the hub's clockwork may keep anything else from being done; against a real PostgreSQL, with the queue on it.
import { eq, jobs, schedules, sources } from "@xvault/db";
import { manualClock, newId, XVaultError } from "@xvault/kernel";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { ServiceDeps } from "../deps.ts";
import { createScheduleService } from "../schedules/service.ts";
import { type ServiceWorld, startServices } from "../test/services.ts";
import { createScheduler } from "./scheduler.ts";

const HOUR = 3_600_000;
/** Accepted once, by a look at its next ten runs: 23:58 and 0:00 of a 31st are too close. */
const RARELY_CLOSE = "0,58 0,23 3,5,7,9,11,30,31 * *";

let world: ServiceWorld;
beforeAll(async () => {
  world = await startServices();
});
afterAll(async () => {
  await world?.stop();
});

const within = <T>(fn: Parameters<typeof world.db.withTenant<T>>[1]) => world.db.withTenant(world.tenantId, fn);
const rowOf = async (id: string) => (await within((tx) => tx.select().from(schedules).where(eq(schedules.id, id))))[0];
const jobsOf = (sourceId: string) => within((tx) => tx.select().from(jobs).where(eq(jobs.sourceId, sourceId)));

/** A source with a schedule as its row stands there, whatever would be refused today. */
async function scheduled(cron: string, due: Date) {
  const [sourceId, id] = [newId(), newId()];
  const { tenantId } = world;
  await within(async (tx) => {
    await tx.insert(sources).values({ id: sourceId, tenantId, name: sourceId, kind: "ssh", paths: ["/srv"] });
    await tx.insert(schedules).values({ id, tenantId, sourceId, cron, timezone: "UTC", nextRunAt: due });
  });
  return { sourceId, id };
}

function spiedLog() {
  const said: Record<string, unknown>[] = [];
  const error = (about: Record<string, unknown>) => said.push(about);
  return { said, log: { ...world.deps.log, error } as unknown as ServiceDeps["log"] };
}

it("a schedule with runs that are close now and then runs on, and stops nobody's", async () => {
  const clock = manualClock(new Date("2026-06-09T00:30:00Z"));
  const { id, sourceId } = await scheduled(RARELY_CLOSE, new Date("2026-06-09T00:00:00Z"));
  const other = await scheduled("0 3 * * *", new Date("2026-06-09T00:00:00Z"));
  const { said, log } = spiedLog();
  await createScheduler({ ...world.deps, clock, log }).runDueSchedules();
  expect(said).toEqual([]);
  expect([await jobsOf(sourceId), await jobsOf(other.sourceId)].map(({ length }) => length)).toEqual([1, 1]);
  expect((await rowOf(id))?.nextRunAt).toEqual(new Date("2026-06-09T00:58:00Z"));
  // It may be switched off and on as it is; only another one is judged.
  const service = createScheduleService({ ...world.deps, clock });
  await service.update(world.caller, { id, enabled: false });
  await service.update(world.caller, { id, enabled: true });
  const again = service.update(world.caller, { id, cron: "0,58 0,23 7,9,11,30,31 * *" });
  await expect(again).rejects.toMatchObject({ code: "SCHEDULE_TOO_FREQUENT" });
});

it("a schedule that runs no more is done", async () => {
  const { id, sourceId } = await scheduled("2026-01-01T03:00:00", new Date("2026-01-01T03:00:00Z"));
  const clock = manualClock(new Date("2026-06-09T00:30:00Z"));
  await createScheduler({ ...world.deps, clock }).runDueSchedules();
  expect(await jobsOf(sourceId)).toHaveLength(1);
  expect((await rowOf(id))?.nextRunAt).toBeNull();
});

it("a schedule that cannot be read is told of once for a while, stays due, and stops nobody's", async () => {
  const due = new Date(Date.now() - HOUR);
  const broken = await scheduled("no expression", due);
  const { said, log } = spiedLog();
  const scheduler = createScheduler({ ...world.deps, log });
  const after = await scheduled("0 3 * * *", due);
  await scheduler.runDueSchedules();
  await scheduler.runDueSchedules();
  expect(said).toMatchObject([{ scheduleId: broken.id, err: { code: "SCHEDULE_INVALID" } }]);
  expect(await jobsOf(after.sourceId)).toHaveLength(1);
  // So the source becomes overdue, and somebody is told.
  expect((await rowOf(broken.id))?.nextRunAt).toEqual(due);
});

it("a job that cannot be announced keeps no other one from it", async () => {
  const due = new Date(Date.now() - HOUR);
  const made = [await scheduled("0 3 * * *", due), await scheduled("0 3 * * *", due)];
  await createScheduler(world.deps).runDueSchedules();
  const [bad, good] = (await Promise.all(made.map(({ sourceId }) => jobsOf(sourceId)))).map(([job]) => job?.id ?? "");
  const told: string[] = [];
  const announce = (id: string) => {
    if (id === bad) throw new Error("no");
    told.push(id);
  };
  const { said, log } = spiedLog();
  await createScheduler({ ...world.deps, log, feed: { ...world.deps.feed, announce } }).announceWaiting();
  expect(told).toContain(good);
  expect(said).toMatchObject([{ jobId: bad }]);
});

it("where a step fails the others are done all the same, and such turns count", async () => {
  const { said, log } = spiedLog();
  const scheduler = createScheduler({ ...world.deps, log }, { tickMs: 20 });
  const done = { leases: 0, swept: 0 };
  scheduler.runDueSchedules = () => Promise.reject(new Error("no"));
  scheduler.reapExpiredLeases = async () => void (done.leases += 1);
  scheduler.sweepInteractive = async () => void (done.swept += 1);
  const steady = vi.spyOn(performance, "now");
  scheduler.start();
  // After a start nothing is taken from workers for a minute. Were a turn with a failed step none, that minute would begin anew each time.
  for (let seconds = 10; seconds <= 90; seconds += 10) {
    steady.mockReturnValue(seconds * 1000);
    const { swept } = done;
    await vi.waitFor(() => expect(done.swept).toBeGreaterThan(swept + 1), { timeout: 10_000 });
    if (seconds < 60) expect(done.leases).toBe(0);
  }
  await scheduler.stop();
  steady.mockRestore();
  expect(done.leases).toBeGreaterThan(0);
  expect(said[0]).toMatchObject({ step: "due schedules" });
});

it("a turn without the database ends at once: one line in the log, not one for each step", async () => {
  const { said, log } = spiedLog();
  const scheduler = createScheduler({ ...world.deps, log }, { tickMs: 20 });
  let reached = 0;
  scheduler.runDueSchedules = () => Promise.reject(new XVaultError("UNAVAILABLE"));
  scheduler.bringForward = async () => void (reached += 1);
  scheduler.start();
  await vi.waitFor(() => expect(said.length).toBeGreaterThan(1), { timeout: 10_000 });
  await scheduler.stop();
  expect(reached).toBe(0);
});
