import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import { flushDisk } from "./measure.ts";
import { createRandom, shuffled } from "./random.ts";
import type { Row } from "./results.ts";
import type { DataSet } from "./sets.ts";
import type { Session, Subject } from "./subjects/subject.ts";

export interface MatrixOptions {
  set: DataSet;
  rttMs: number;
  subjects: Subject[];
  repeats: number;
  seed: string;
  limitS: number;
  say(line: string): void;
}

/**
 * Runs every subject over one set and one round trip, all of them interleaved: in each repeat first runs in an order that the seed
 * decides, then a change of the set, then second runs in another order. A subject that fails is told of and left out of that repeat.
 */
export async function runMatrix(lab: Lab, options: MatrixOptions): Promise<{ rows: Row[]; failures: string[] }> {
  const { set, rttMs, say } = options;
  const random = createRandom(`${options.seed} ${set.name} ${rttMs}`);
  const rows: Row[] = [];
  const failures: string[] = [];
  for (let repeat = 1; repeat <= options.repeats; repeat += 1) {
    const sessions = new Map<Subject, Session>();
    await set.rested();
    for (const run of ["first", "second"] as const) {
      if (run === "second") set.change();
      for (const subject of shuffled(options.subjects, random)) {
        const where = `${set.name}, ${rttMs} ms, ${run} run ${repeat}, ${subject.title}`;
        try {
          if (run === "first") sessions.set(subject, await open(lab, subject, options, repeat));
          await flushDisk();
          const measured = await sessions.get(subject)?.run();
          if (!measured) continue;
          rows.push({ set: set.name, rtt_ms: rttMs, run, subject: subject.name, repeat, ...rounded(measured) });
          say(`${where}: ${measured.wall_s.toFixed(2)} s`);
        } catch (error) {
          failures.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
          say(failures.at(-1) ?? "");
          await sessions.get(subject)?.close();
          sessions.delete(subject);
        }
      }
    }
    for (const session of sessions.values()) await session.close();
  }
  return { rows, failures };
}

function open(lab: Lab, subject: Subject, { set, rttMs, limitS }: MatrixOptions, repeat: number): Promise<Session> {
  const dir = join(lab.dir, "peers", `${set.name}-${rttMs}-${repeat}-${subject.name}`);
  mkdirSync(dir, { recursive: true });
  return subject.open({ lab, set, rttMs, dir, limitS });
}

/** Milliseconds and kilobytes are as fine as these measurements are. */
export function rounded<T extends object>(values: T): T {
  const round = (value: unknown) => (typeof value === "number" ? Math.round(value * 1000) / 1000 : value);
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, round(value)])) as T;
}
