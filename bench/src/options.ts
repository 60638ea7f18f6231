import { parseArgs } from "node:util";
import { SET_NAMES, type SetName } from "./sets.ts";

export interface Options {
  sets: SetName[];
  rtts: number[];
  /** Names of subjects; empty: all, but for what only waits where there is a round trip. */
  subjects: string[];
  repeats: number;
  scale: number;
  seed: string;
  limitS: number;
  extras: boolean;
  million: boolean;
  /** Figures of sets that are not measured this time stay as they are. */
  keep: boolean;
  /** Where everything is written that is not kept. */
  workDir: string | undefined;
  cpuProfiles: string | undefined;
  /** Whether results and documents of the repository are written; else only what `--out` names. */
  publish: boolean;
  out: string | undefined;
}

export const HELP = `npm run bench -- [options]
  --quick             small versions of the sets, each once, at 0 and 20 ms; some three minutes
  --sets a,b          of small, large, mixed (all)
  --rtts a,b          round trips in milliseconds (0,20,80)
  --subjects a,b      of xvault-tar, xvault-sftp, pipe, rsync-restic, rsync-borg, rclone (all; rclone at 0 ms alone)
  --repeats n         how often each is run (3)
  --scale x           size of the sets, 1 being the whole
  --seed text         decides contents, changes and order
  --limit seconds     a run that takes longer is given up (600)
  --no-extras         without restores and the single file
  --keep              sets that are left out keep their last figures, which else disappear
  --million           also the worker's memory at 10,000 and at 1,000,000 files
  --work-dir folder   where sets and stores are put (the system's temporary folder)
  --cpu-prof folder   the worker writes a CPU profile there when it ends
  --out file          where the results are written (bench/results/latest.json for whole sets, else quick.json beside it)
Only runs over whole sets change docs/performance.md and its charts.`;

/** Reads the command line. Throws with a sentence about what is wrong with it; null when help was asked for. */
export function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      sets: { type: "string" },
      rtts: { type: "string" },
      subjects: { type: "string", default: "" },
      repeats: { type: "string" },
      scale: { type: "string" },
      seed: { type: "string", default: "xvault" },
      limit: { type: "string", default: "600" },
      "no-extras": { type: "boolean", default: false },
      million: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      "work-dir": { type: "string" },
      "cpu-prof": { type: "string" },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  const sets = list(values.sets ?? SET_NAMES.join(","));
  const unknown = sets.filter((name) => !SET_NAMES.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`There is no set ${unknown.join(", ")}; there are ${SET_NAMES.join(", ")}.`);
  const scale = number("--scale", values.scale ?? (quick ? "0.02" : "1"));
  return {
    sets: sets as SetName[],
    rtts: list(values.rtts ?? (quick ? "0,20" : "0,20,80")).map((one) => number("--rtts", one)),
    subjects: list(values.subjects),
    repeats: number("--repeats", values.repeats ?? (quick ? "1" : "3")),
    scale,
    seed: values.seed,
    limitS: number("--limit", values.limit),
    extras: !values["no-extras"],
    million: values.million,
    keep: values.keep,
    workDir: values["work-dir"],
    cpuProfiles: values["cpu-prof"],
    publish: scale === 1 && values.out === undefined,
    out: values.out,
  };
}

function list(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new Error(`${name} takes numbers, not '${text}'.`);
  return value;
}
