import { createReportLog, type Reporter } from "@xvault/engine";
import type { Output } from "../output.ts";
import type { World } from "../world.ts";
import { createLiveView } from "./view.ts";

const REDRAW = 200;

/** Runs work that reports its progress in this process, and shows it as a job of the hub's is shown. */
export async function showWork<T>(world: World, output: Output, work: (reporter: Reporter) => Promise<T>): Promise<T> {
  const log = createReportLog();
  const view = createLiveView(world, output);
  const timer = setInterval(() => view.show(log.progress()), REDRAW);
  try {
    return await work(log.reporter);
  } finally {
    clearInterval(timer);
    view.end();
    for (const event of log.takeEvents()) {
      if (event.level !== "info") output.warn(event.message);
    }
  }
}
