// What must hold after whatever happened.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Job, Manifest, Snapshot } from "@xvault/contracts";
import { ROOT } from "@xvault/test-kit/stack";
import { treeFacts } from "../system/trees.ts";
import { type Begun, begin, type Facts, type Ground, note, prepare } from "./ground.ts";
import { ended, type JobState } from "./jobs.ts";
import type { Phase } from "./points.ts";
import type { World } from "./world.ts";

const run = promisify(execFile);

/** Snapshots that were verified since they came. */
const verified = new WeakMap<World, Set<string>>();

/** That a run ended well, or as clearly as it may, and did what it says. */
export async function checkRun(
  world: World,
  ground: Ground,
  phase: Phase,
  { target }: Begun,
  job: JobState,
  { mayFail = false } = {},
): Promise<void> {
  if (job.state === "failed" && mayFail) return;
  if (job.state !== "success")
    throw new Error(`the ${phase} ended as ${job.state} (${job.code}) at attempt ${job.attempt}`);
  if (phase === "removal") {
    const folder = join(world.storage, "backups", world.tenant.workspaceId, ground.source.id, ground.doomed);
    expectSame("what is left of a removed snapshot", readdirSync(folder), ["tombstone.json"]);
    return;
  }
  if (phase !== "restore") note(world, ground, job);
  else if (target !== null)
    expectSame("what was restored", treeFacts(join(target, world.tree)), ground.snapshots.at(-1)?.facts);
}

/** That nothing half is visible, nothing is left over, nothing is stuck, and every snapshot is what it says. */
export async function inspect(world: World, ground: Ground): Promise<void> {
  const { stack, tenant, storage, worker, scratch } = world;
  const waiting = await stack.sql`select id, type, state, attempt from jobs where state in ('queued', 'running')`;
  expectNone("jobs that are not over", waiting);
  expectNone("reserved snapshots", await stack.sql`select id, job_id, attempt from snapshots where state = 'pending'`);

  const { items } = await tenant.api.get<{ items: Snapshot[] }>(`/snapshots?source_id=${ground.source.id}&limit=200`);
  expectSame(
    "the source's snapshots",
    items.map(({ id, state, sequence }) => `${id} ${state} ${sequence}`).toReversed(),
    ground.snapshots.map(({ id }, at) => `${id} complete ${at + ground.firstSequence}`),
  );
  const known = await stack.sql<{ id: string }>`select id from snapshots where worker_id = ${worker.id}`;
  expectSame(
    "the snapshots on the storage",
    foldersBelow(join(storage, "backups"), 3).toSorted(),
    known.map(({ id }) => id).toSorted(),
  );
  const parts = readdirSync(storage, { recursive: true, encoding: "utf8" }).filter((path) => path.includes(".part-"));
  expectNone("temporary files on the storage", parts);
  expectNone("the worker's scratch files", readdirSync(scratch));
  expectSame("the worker's home", readdirSync(worker.home), ["worker"]);
  expectSame("the worker's files", readdirSync(join(worker.home, "worker")), ["identity.json"]);

  const done = verified.get(world) ?? new Set<string>();
  verified.set(world, done);
  for (const { id } of ground.snapshots.filter((one) => !done.has(one.id))) {
    await verify(world, id);
    done.add(id);
  }
}

/** The same once more, undisturbed: it succeeds at once. */
export async function nextRun(world: World, ground: Ground, phase: Phase): Promise<void> {
  const next = phase === "restore" ? "restore" : "second backup";
  await prepare(world, ground, next);
  const begun = await begin(world, ground, next);
  const job = await ended(world, begun.id);
  if (job.attempt !== 1) throw new Error(`the next ${next} needed ${job.attempt} attempts`);
  await checkRun(world, ground, next, begun, job);
  if (begun.target !== null) rmSync(begun.target, { recursive: true, force: true });
}

/** That every snapshot that was ever made and not removed verifies, and that one opens without the hub, with `xvault recover` and, where it is alone, stock programs. */
export async function inspectAll(world: World, ground: Ground): Promise<void> {
  await inspect(world, ground);
  // Also what lies on other sources: each new one left the snapshots before it behind.
  const { items } = await world.tenant.api.get<{ items: Snapshot[] }>("/snapshots?limit=200");
  for (const { id } of items) await verify(world, id);
  const folder = mkdtempSync(join(world.sshd.dir, "recovered-"));
  const identity = join(folder, "kit.txt");
  writeFileSync(identity, world.kit, { mode: 0o600 });
  const from = join(world.storage, "backups", world.tenant.workspaceId, ground.source.id);
  for (const [at, { id, facts }] of ground.snapshots.entries()) {
    if (at !== 0 && at !== ground.snapshots.length - 1) continue;
    const target = join(folder, id);
    const recover = ["apps/cli/bin/xvault", "recover", "--from", from, "--snapshot", id, "--identity", identity];
    await run(process.execPath, [...recover, "--target", target], { cwd: ROOT });
    expectSame("what was recovered", treeFacts(join(target, world.tree)), facts);
    const { manifest } = await world.tenant.api.get<{ manifest: Manifest }>(`/snapshots/${id}`);
    if (manifest.references.length > 0 || !existsSync("/usr/bin/age")) continue;
    const script =
      'set -o pipefail; mkdir "$3"; age -d -i "$1" "$2/backup.tar.zst.enc" | zstd -d -q | tar -xpf - -C "$3"';
    await run("bash", ["-c", script, "stock", identity, join(from, id), `${target}-stock`]);
    expectSame("what stock programs unpacked", treeFacts(join(`${target}-stock`, world.tree)), facts);
  }
  rmSync(folder, { recursive: true, force: true });
}

async function verify(world: World, id: string): Promise<void> {
  const job = await ended(world, (await world.tenant.api.post<Job>(`/snapshots/${id}/verify`)).id);
  if (job.state !== "success") throw new Error(`snapshot ${id} does not verify: ${job.code}`);
}

function foldersBelow(folder: string, depth: number): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => (depth === 1 ? [name] : foldersBelow(join(folder, name), depth - 1)));
}

function expectNone(what: string, found: readonly unknown[]): void {
  if (found.length > 0) throw new Error(`${what}: ${JSON.stringify(found).slice(0, 1000)}`);
}

function expectSame(
  what: string,
  found: readonly string[] | Facts,
  wanted: readonly string[] | Facts | undefined,
): void {
  const lines = (of: readonly string[] | Facts | undefined) =>
    of instanceof Map ? [...of].map(([path, fact]) => `${path}: ${fact}`).toSorted() : [...(of ?? [])];
  const [is, should] = [lines(found), lines(wanted)];
  if (is.join("\n") === should.join("\n")) return;
  const [a, b] = [new Set(is), new Set(should)];
  const surplus = is.filter((line) => !b.has(line)).slice(0, 5);
  const missing = should.filter((line) => !a.has(line)).slice(0, 5);
  throw new Error(
    `${what} is not as it should be; there is ${JSON.stringify(surplus)}, there should be ${JSON.stringify(missing)}`,
  );
}
