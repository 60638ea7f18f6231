import type { JobProgress } from "@xvault/contracts";
import { type Output, printable } from "../output.ts";
import type { World } from "../world.ts";
import { progressLine, statusFields } from "./progress-line.ts";

/** Shows work while it goes on: one line that is redrawn on a terminal, a line now and then elsewhere, JSON lines for programs. */
export interface LiveView {
  show(progress: JobProgress | null): void;
  /** A remark that stays, such as a new step or a warning. */
  remark(text: string): void;
  /** Clears the line that was redrawn. Call it before anything else is printed, and at the end. */
  end(): void;
}

/** Milliseconds between two lines where nothing can be redrawn, and before the first: what is over sooner needs none. */
const PLAIN_INTERVAL = 5000;
const PLAIN_START = 1500;
const JSON_INTERVAL = 1000;

export function createLiveView(world: World, output: Output, now: () => number = Date.now): LiveView {
  const startedAt = now();
  const { stderr } = world;
  const isTerminal = stderr.isTTY === true && !output.json;
  let shownAt = 0;
  let shownStep: string | undefined;
  let drawn = false;

  const clear = () => {
    if (drawn) stderr.write("\r\u001B[K");
    drawn = false;
  };
  const due = (interval: number, step: string | undefined) => {
    if (now() - shownAt < interval && step === shownStep) return false;
    shownAt = now();
    shownStep = step;
    return true;
  };

  return {
    show(progress) {
      if (output.json) {
        if (due(JSON_INTERVAL, progress?.step)) output.message("status", statusFields(progress, startedAt, now()));
        return;
      }
      if (!progress) return;
      if (isTerminal) {
        stderr.write(`\r${progressLine(progress, (stderr.columns || 80) - 1)}\u001B[K`);
        drawn = true;
      } else if (now() - startedAt > PLAIN_START && due(PLAIN_INTERVAL, progress.step))
        stderr.write(`${progressLine(progress, 200)}\n`);
    },
    remark(text) {
      if (output.json) return;
      clear();
      stderr.write(`${printable(text)}\n`);
    },
    end: clear,
  };
}
