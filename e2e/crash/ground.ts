// What the points are tried on: a source and its snapshots, and what a whole run of each phase carries.
import { mkdirSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Job, Source } from "@xvault/contracts";
import { treeFacts } from "../system/trees.ts";
import { FILE_CALLS } from "./file-order.ts";
import { ended, type JobState, waitFor } from "./jobs.ts";
import type { Phase } from "./points.ts";
import type { World } from "./world.ts";

export type Facts = ReturnType<typeof treeFacts>;

/** What one whole run of a phase carries. */
export interface Measure {
  /** Over the SSH link, in the direction of the content. */
  bytes: number;
  /** Calls that change files on the storage, and those among them that wait for the disk. */
  fileCalls: number;
  syncs: number;
  writes: number;
  /** Bytes on the disk that is written to. */
  written: number;
}

export interface Ground {
  source: Source;
  /** The source's snapshots, oldest first, with the tree as it was. */
  snapshots: { id: string; facts: Facts }[];
  /** The number in the chain of the first of them. */
  firstSequence: number;
  /** One that was there before them and that nothing needs: the next removal takes it. */
  doomed: string;
  measures: Record<Phase, Measure>;
}

export interface Begun {
  id: string;
  /** Where a restore goes to. */
  target: string | null;
}

/** Starts a run of a phase on the ground. A first backup takes a new source. */
export async function begin(world: World, ground: Ground, phase: Phase, small = false): Promise<Begun> {
  const { api } = world.tenant;
  if (phase === "restore") {
    const target = join(small && world.targetDisk ? world.targetDisk.path : world.restores, randomUUID());
    mkdirSync(join(target, ".."), { recursive: true });
    const snapshot_id = ground.snapshots.at(-1)?.id;
    const job = await api.post<Job>("/restores", {
      snapshot_id,
      target: { source_id: ground.source.id, path: target },
    });
    return { id: job.id, target };
  }
  if (phase === "removal") {
    return { id: (await api.remove<Job>(`/snapshots/${ground.doomed}?reason=crash`)).id, target: null };
  }
  return { id: (await api.post<Job>(`/sources/${ground.source.id}/backup`)).id, target: null };
}

/** Gets the ground ready for a phase, before anything is armed. */
export async function prepare(world: World, ground: Ground, phase: Phase): Promise<void> {
  if (phase === "first backup" || phase === "removal") {
    ground.source = await world.newSource();
    ground.snapshots = [];
    ground.firstSequence = 1;
  }
  if (phase === "second backup") world.edit();
  if (phase !== "removal") return;
  const backUp = async (full: boolean) => {
    const job = await world.tenant.api.post<Job>(`/sources/${ground.source.id}/backup`, { full });
    return ended(world, job.id);
  };
  ground.doomed = (await backUp(false)).snapshot ?? "";
  // A full one needs nothing of those before it.
  note(world, ground, await backUp(true));
  ground.firstSequence = 2;
}

/** Notes a backup's snapshot. */
export function note(world: World, ground: Ground, job: JobState): void {
  if (job.snapshot !== null) ground.snapshots.push({ id: job.snapshot, facts: treeFacts(world.tree) });
}

/** A file that changed more lately may still be changing, and is pulled anew by the next run. Milliseconds, with room. */
const SETTLED = 4000;

/** Makes the ground: one whole run of each phase, measured. */
export async function layGround(world: World): Promise<Ground> {
  const made = Date.now();
  await waitFor("the tree to settle", () => Date.now() - made > SETTLED);
  const nothing = { bytes: 0, fileCalls: 0, syncs: 0, writes: 0, written: 0 };
  const ground: Ground = {
    source: await world.newSource(),
    snapshots: [],
    firstSequence: 1,
    doomed: "",
    measures: { "first backup": nothing, "second backup": nothing, restore: nothing, removal: nothing },
  };
  // The second run's change is pulled anew by the third, which is what later ones are like.
  for (const phase of ["first backup", "second backup", "second backup", "restore", "removal"] as const) {
    if (phase !== "first backup") await prepare(world, ground, phase);
    const direction = phase === "restore" ? "forth" : "back";
    world.orders.give({ kinds: FILE_CALLS, nth: 0, act: "count" });
    const before = world.wire.passed(direction);
    const { id } = await begin(world, ground, phase);
    const job = await ended(world, id);
    if (job.state !== "success") throw new Error(`a ${phase} that nobody disturbed ended as ${job.state}: ${job.code}`);
    const { sync = 0, write = 0, create = 0, rename = 0, remove = 0 } = world.orders.counts();
    world.orders.takeBack();
    const bytes = world.wire.passed(direction) - before;
    // On a disk, the tree of a restore takes what it takes on the link; an artifact does not compress below that by much.
    ground.measures[phase] = {
      bytes,
      fileCalls: sync + write + create + rename + remove,
      syncs: sync,
      writes: write,
      written: bytes,
    };
    if (phase !== "restore" && phase !== "removal") note(world, ground, job);
  }
  return ground;
}
