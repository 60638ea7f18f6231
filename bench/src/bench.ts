import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { measureMemory, measureReading, removeSet } from "./extras.ts";
import { type Lab, openLab } from "./lab.ts";
import { runMatrix } from "./matrix.ts";
import type { Options } from "./options.ts";
import { findPrograms, type Program } from "./programs.ts";
import { describeMachine, type Results } from "./results.ts";
import { makeManyFiles, makeSet } from "./sets.ts";
import { PEERS } from "./subjects/peers.ts";
import type { Subject } from "./subjects/subject.ts";
import { xvault } from "./subjects/xvault.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const SUBJECTS = [xvault("tar"), xvault("sftp"), ...PEERS];
/** With a round trip it waits for every file, for hours. Measured there when it is asked for by name. */
const ONLY_NEAR = ["rclone"];

/** Measures all that the options name. Nothing but the work folder is written. Throws when a subject is not known. */
export async function runBench(options: Options, say: (line: string) => void): Promise<Results> {
  const programs = findPrograms();
  const subjects = choose(options, programs, say);
  const results: Results = {
    at: new Date().toISOString(),
    seed: options.seed,
    scale: options.scale,
    repeats: options.repeats,
    machine: describeMachine(),
    programs,
    sets: [],
    subjects: Object.fromEntries(SUBJECTS.map(({ name, title }) => [name, title])),
    rows: [],
    extras: [],
    failures: [],
  };
  if (options.cpuProfiles) mkdirSync(options.cpuProfiles, { recursive: true });
  const lab = await openLab({ parent: options.workDir, cpuProfiles: options.cpuProfiles });
  // Whoever gives up waiting is left with no server and no files.
  const interrupt = () => void lab.stop().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, interrupt);
  try {
    if (options.sets.length > 0) await warmUp(lab, options);
    for (const name of options.sets) {
      const set = await makeSet(name, lab.sshd.home, options.seed, options.scale);
      say(`${name}: ${set.title}, ${Math.round(set.bytes / 1e6)} MB`);
      results.sets.push({ name, title: set.title, files: set.files, mb: Math.round(set.bytes / 1e6) });
      for (const rttMs of options.rtts) {
        const here = subjects.filter(
          (one) => rttMs === 0 || options.subjects.includes(one.name) || !ONLY_NEAR.includes(one.name),
        );
        const done = await runMatrix(lab, { ...options, set, rttMs, subjects: here, say });
        results.rows.push(...done.rows);
        results.failures.push(...done.failures);
      }
      if (options.extras) results.extras.push(...(await measureReading(lab, set, { ...options, programs, say })));
      removeSet(set);
    }
    if (options.million) results.extras.push(...(await measureMemory(lab, [10_000, 1_000_000], options.seed, say)));
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    await lab.stop();
  }
  return results;
}

const WARM_FILES = 10_000;
const WARM_RUNS = 3;

/** A worker runs for months: what it takes to load its code and to optimize it is nobody's backup. */
async function warmUp(lab: Lab, { seed, scale }: Options): Promise<void> {
  const set = await makeManyFiles(Math.max(200, Math.round(WARM_FILES * scale)), lab.sshd.home, seed);
  for (let run = 0; run < WARM_RUNS; run += 1) {
    for (const transport of ["tar", "sftp"] as const) {
      const dir = join(lab.dir, `warm-up-${transport}`);
      const session = await xvault(transport).open({ lab, set, rttMs: 0, dir, limitS: 600 });
      await session.run();
      await session.run();
      await session.close();
    }
  }
  removeSet(set);
}

function choose(options: Options, programs: Record<Program, string | null>, say: (line: string) => void): Subject[] {
  const unknown = options.subjects.filter((name) => !SUBJECTS.some((one) => one.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `There is no subject ${unknown.join(", ")}; there are ${SUBJECTS.map(({ name }) => name).join(", ")}.`,
    );
  }
  const wanted = SUBJECTS.filter(({ name }) => options.subjects.length === 0 || options.subjects.includes(name));
  return wanted.filter(({ title, needs }) => {
    const missing = needs.filter((program) => programs[program] === null);
    if (missing.length > 0) say(`left out: ${title} (not installed: ${missing.join(", ")})`);
    return missing.length === 0;
  });
}
