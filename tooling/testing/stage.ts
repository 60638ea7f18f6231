/** Tests that a runner ran. A file that cannot be loaded counts as one failed test. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What a stage of `npm test` found. */
export interface Outcome {
  /** `nothing`: there is no code yet which this stage could look at; never used to pass over code that is there. */
  state: "passed" | "failed" | "nothing";
  /** A few words for the stage's line: what was looked at, or what is wrong. */
  note: string;
  /** Shown below the line of a failed stage. */
  details?: string | undefined;
  counts?: TestCounts | undefined;
  /** Titles of skipped tests; the title says why. */
  skipped?: string[] | undefined;
  /** Files of tests and how long each took, where the runner tells. */
  files?: { path: string; ms: number }[] | undefined;
}

/** One stage of `npm test`. It reports; it neither prints nor exits. */
export interface Stage {
  /** What `--only` calls it. */
  name: string;
  title: string;
  run(): Promise<Outcome>;
}

export const passed = (note: string): Outcome => ({ state: "passed", note });
export const nothing = (note: string): Outcome => ({ state: "nothing", note });
export const failed = (note: string, details?: string): Outcome => ({ state: "failed", note, details });
