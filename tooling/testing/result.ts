import type { TestCounts } from "./stage.ts";

/** One test as any runner reports it. `why` is the failure's message, or a skip's reason. */
export interface Result {
  title: string;
  state: keyof TestCounts;
  why: string;
}
