// The crash matrix: an installation, a list of points, and what became of each.
import { layGround } from "./ground.ts";
import { inspectAll } from "./inspect.ts";
import type { Point } from "./points.ts";
import { tryPoint } from "./try-point.ts";
import { startWorld, type World } from "./world.ts";

/** No point takes as long; one that does is a failure. Milliseconds. */
const POINT_LIMIT = 300_000;

export interface Outcome {
  point: Point;
  result: "struck" | "missed" | "failed";
  attempts: number;
  ms: number;
  why: string;
}

/** Starts an installation, tries the points on it, checks everything at the end, and ends all that it started. */
export async function tryPoints(
  queue: World["queue"],
  points: readonly Point[],
  report: (outcome: Outcome, world: World) => void,
): Promise<void> {
  const world = await startWorld(queue);
  const interrupted = () => void world.stop().then(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  try {
    const ground = await layGround(world);
    for (const point of points) {
      const started = performance.now();
      const tell = (result: Outcome["result"], attempts: number, why = "") =>
        report({ point, result, attempts, ms: performance.now() - started, why }, world);
      try {
        const { result, job } = await limited(tryPoint(world, ground, point));
        tell(result, job.attempt);
      } catch (error) {
        // What it left makes no sense for the next point.
        tell("failed", 0, error instanceof Error ? (error.stack ?? error.message) : String(error));
        return;
      }
    }
    await inspectAll(world, ground);
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
    await world.stop();
  }
}

async function limited<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the point took too long")), POINT_LIMIT);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
