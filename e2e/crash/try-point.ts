import { FILE_CALLS } from "./file-order.ts";
import { type Begun, begin, type Ground, type Measure, prepare } from "./ground.ts";
import { checkRun, inspect, nextRun } from "./inspect.ts";
import { ended, isOver, type JobState, readJob, waitFor } from "./jobs.ts";
import type { Point } from "./points.ts";
import type { World } from "./world.ts";

/** Errors that say what happened, by which a person knows what to do. */
const CLEAR: Partial<Record<Point["blow"], string[]>> = {
  "storage is full": ["SPACE_REQUIRED"],
  "target is full": ["SPACE_REQUIRED"],
  "sync fails": ["STORAGE_FAILED"],
};

/** What became of a point: `missed` when the run was over before it came so far. */
export interface Tried {
  result: "struck" | "missed";
  job: JobState;
}

/**
 * Lets a run come to the point, strikes, puts right what broke, and sees that all is well: the job ends well, nothing half is visible, nothing is
 * left, every snapshot verifies, and the next run succeeds. @throws an error that says what is not
 */
export async function tryPoint(world: World, ground: Ground, point: Point): Promise<Tried> {
  await prepare(world, ground, point.phase);
  const over = new AbortController();
  const reached = arm(world, ground.measures[point.phase], point, over.signal);
  reached.catch(() => {});
  const begun = await begin(world, ground, point.phase, point.blow === "target is full");
  const struck = point.blow in CLEAR ? await clearFailure(world, point, begun) : await comesTo(world, reached, begun);
  over.abort();
  const deadAttempt = struck ? await strike(world, point, begun) : null;
  disarm(world);
  const job = await ended(world, begun.id, deadAttempt);
  await checkRun(world, ground, point.phase, begun, job, { mayFail: point.blow in CLEAR });
  await inspect(world, ground);
  await nextRun(world, ground, point.phase);
  return { result: struck ? "struck" : "missed", job };
}

/** False when the job is over before the point is reached. */
async function comesTo(world: World, reached: Promise<void>, { id }: Begun): Promise<boolean> {
  const over = new AbortController();
  const whole = waitFor("the point, or the job's end", async () => isOver(await readJob(world, id)), over);
  whole.catch(() => {});
  const came = await Promise.race([reached.then(() => true), whole.then(() => false)]);
  over.abort();
  return came;
}

/** Waits for the end of the first attempt; false when it ended well. @throws when it does not say clearly what went wrong */
async function clearFailure(world: World, { blow }: Point, { id }: Begun): Promise<boolean> {
  const job = await waitFor("the first attempt's end", async () => {
    const now = await readJob(world, id);
    return isOver(now) || (now.state === "queued" && now.attempt > 0) ? now : null;
  });
  if (job.code === null) return false;
  if (!CLEAR[blow]?.includes(job.code)) throw new Error(`where the ${blow}, the job says ${job.code}`);
  return true;
}

/** Resolves when the point is reached; things stand still there until they are struck or disarmed. */
function arm(world: World, measure: Measure, { when, blow, phase }: Point, signal: AbortSignal): Promise<void> {
  const { wire, calls, orders } = world;
  const nth = (count: number) => 1 + Math.floor(("share" in when ? when.share : 0) * count);
  const ordered = async () => void (await waitFor("the file call", () => orders.done(), { signal }));
  switch (when.at) {
    case "bytes":
    case "step":
      return wire.stopAt(phase === "restore" ? "forth" : "back", Math.floor(when.share * measure.bytes));
    case "call":
      return calls.stopAt(when.name, when.side);
    case "file":
      if (blow === "sync fails") orders.give({ kinds: ["sync"], nth: nth(measure.syncs), act: "EIO" });
      else orders.give({ kinds: FILE_CALLS, nth: nth(measure.fileCalls), act: `die ${when.side}` });
      return ordered();
    case "room": {
      const disk = blow === "target is full" ? world.targetDisk : world.storageDisk;
      if (disk) {
        disk.leave(Math.floor(when.share * measure.written));
        // The attempt comes to the end of the room by itself.
        return Promise.resolve();
      }
      orders.give({ kinds: ["write"], nth: nth(measure.writes), act: "ENOSPC" });
      return ordered();
    }
  }
}

function disarm({ wire, calls, orders, storageDisk, targetDisk }: World): void {
  wire.letGo();
  calls.letGo();
  orders.takeBack();
  storageDisk?.relieve();
  targetDisk?.relieve();
}

/** Does it, and puts right what it broke. Gives the attempt that died with its worker. */
async function strike(world: World, { blow, when }: Point, begun: Begun): Promise<number | null> {
  const { stack, worker, sshd, wire, calls } = world;
  const now = await readJob(world, begun.id);
  if (when.at === "step") {
    await waitFor("the step to be reported", async () => (await readJob(world, begun.id)).step !== null, {
      limitMs: 20_000,
    });
  }
  const goOn = () => {
    wire.letGo();
    calls.letGo();
  };
  switch (blow) {
    case "worker dies": {
      await worker.kill();
      world.orders.takeBack();
      goOn();
      await worker.start();
      return now.attempt;
    }
    case "hub dies":
      await stack.hub.kill();
      goOn();
      await stack.hub.start();
      return null;
    case "sshd dies":
      await sshd.kill();
      goOn();
      await sshd.start();
      return null;
    case "postgres dies":
      await stack.postgres.kill();
      goOn();
      await stack.postgres.start();
      return null;
    case "redis dies":
      await stack.redis?.kill();
      goOn();
      await stack.redis?.start();
      return null;
    case "link is reset":
      wire.cut();
      return null;
    case "link garbles":
      wire.letGo({ garble: true });
      return null;
    case "link stands still":
      await heartbeats(world, begun, 2);
      return null;
    case "link falls silent": {
      const before = wire.connections();
      // A backup gives the link up and connects again; a restore ends its attempt.
      await waitFor("the link to be given up", async () => {
        return wire.connections() > before || (await readJob(world, begun.id)).state !== "running";
      });
      wire.cut();
      return null;
    }
    case "storage is full":
    case "target is full":
    case "sync fails":
      return null;
  }
}

/** Waits until the worker has said so often that it lives, which it does every ten seconds in any case: the lease holds while the link stands. */
async function heartbeats(world: World, { id }: Begun, count: number): Promise<void> {
  const seen = new Set<string | null>();
  await waitFor("heartbeats", async () => {
    const job = await readJob(world, id);
    if (job.state !== "running") return true;
    return seen.add(job.heartbeat).size > count;
  });
}
