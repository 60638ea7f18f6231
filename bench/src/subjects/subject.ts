import type { Lab } from "../lab.ts";
import type { Usage } from "../measure.ts";
import type { Program } from "../programs.ts";
import type { DataSet } from "../sets.ts";

/** Where and what a subject backs up. */
export interface Task {
  lab: Lab;
  set: DataSet;
  rttMs: number;
  /** An empty folder of its own. */
  dir: string;
  /** A run that takes longer is given up. Seconds. */
  limitS: number;
}

/** What a run took, and the megabytes that it added to the store. */
export type Measured = Usage & { output_mb: number };

/** One store of one subject: the first run fills it, the second follows a change of the set. */
export interface Session {
  run(): Promise<Measured>;
  /** Removes what the runs stored. */
  close(): Promise<void>;
}

/** Something that makes backups. */
export interface Subject {
  name: string;
  title: string;
  needs: Program[];
  /** Prepares an empty store. What that takes is not measured. */
  open(task: Task): Promise<Session>;
}
