import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { type JobResult, pathToApi } from "@xvault/contracts";
import { createReportLog, type Reporter, type RestoreRun, runRestore } from "@xvault/engine";
import { formatBytes, isXVaultError, type OverwritePolicy, XVaultError } from "@xvault/kernel";
import type { Call } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { dryTarget, filling, openTarget } from "../local/target.ts";
import { counted, type Output } from "../output.ts";
import type { World } from "../world.ts";
import { createLiveView } from "./view.ts";

const REDRAW = 200;

/**
 * Runs work that reports its progress in this process, and shows it as a job of the hub's is shown. What the work wants to print meanwhile
 * it prints through `aside`, so that the line with the progress is not in its way.
 */
export async function showWork<T>(
  world: World,
  output: Output,
  work: (reporter: Reporter, aside: (print: () => void) => void) => Promise<T>,
): Promise<T> {
  const log = createReportLog();
  const view = createLiveView(world, output);
  const timer = setInterval(() => view.show(log.progress()), REDRAW);
  const aside = (print: () => void) => {
    view.end();
    print();
  };
  try {
    return await work(log.reporter, aside);
  } finally {
    clearInterval(timer);
    view.end();
    for (const event of log.takeEvents()) {
      if (event.level !== "info") output.warn(event.message);
    }
  }
}

/** Where a restore goes to on this machine, and how. */
export interface Here {
  target: string;
  overwrite: OverwritePolicy | undefined;
  /** Leave out what is damaged, instead of ending with it. */
  keepGoing: boolean;
}

/** What is restored: entries of an artifact that was opened here, or a tar that a worker sends. */
type From = Pick<RestoreRun, "artifact" | "paths"> | { tar: AsyncIterable<Buffer> };

/** What became of it. `damaged` were left out. */
export type Restored = Omit<Extract<JobResult, { type: "restore" }>, "type"> & { damaged: number };

/**
 * Restores to a directory of this machine and shows it. `open` comes first, so that what cannot be opened leaves no directory behind. An entry
 * that is damaged is named at once.
 *
 * @throws what `open`, the target and the engine's restore throw, with what to do about it in its fix; CANCELLED when it was interrupted
 */
export async function restoreHere(
  { world, output, signal }: Pick<Call<{}>, "world" | "output" | "signal">,
  { target: directory, overwrite, keepGoing }: Here,
  open: (reporter: Reporter) => Promise<From>,
): Promise<Restored> {
  let damaged = 0;
  let isDamaged = false;
  let isBegun = false;
  return showWork(world, output, async (reporter, aside) => {
    try {
      const from = await open(reporter);
      const target = await openTarget(directory, overwrite, signal);
      isBegun = true;
      const onDamage: RestoreRun["onDamage"] = (failure, path) => {
        isDamaged = true;
        if (!keepGoing || !path) return keepGoing;
        damaged += 1;
        aside(() => tellDamage(output, failure, path));
        return true;
      };
      const where = { target, localRoot: resolve(directory), reporter, signal };
      const dry = { dryTarget: async () => dryTarget(directory, overwrite, () => {}), onDamage };
      const { written, skipped, bytes, problems } = await filling(target, () =>
        runRestore("tar" in from ? { ...from, ...where } : { ...from, ...where, ...dry }),
      );
      return { written, skipped, bytes, problems, damaged };
    } catch (error) {
      const failure = signal.aborted ? interrupted(error) : error;
      throw isBegun ? await withAdvice(failure, directory, overwrite, isDamaged && !keepGoing) : failure;
    }
  });
}

function tellDamage(output: Output, failure: XVaultError, path: Buffer): void {
  if (output.json) {
    output.message("damaged", { item: pathToApi(path), code: failure.code, message: failure.message });
    return;
  }
  const name = `/${path.toString("utf8").replaceAll("\n", "\\n")}`;
  output.warn(`${name} is not restored: ${failure.message}`);
}

/** Ctrl-C ends work with whatever was under way. */
function interrupted(error: unknown): XVaultError {
  if (isXVaultError(error, "CANCELLED")) return error;
  return new XVaultError("CANCELLED", "The restore was interrupted.", { cause: error });
}

/** How to go on, where something was restored already; how to do without what is damaged. */
async function withAdvice(
  error: unknown,
  directory: string,
  overwrite: OverwritePolicy | undefined,
  isDamaged: boolean,
): Promise<unknown> {
  if (!isXVaultError(error) || error.fix.includes("--overwrite")) return error;
  const isBegun = await readdir(directory).then(
    (names) => names.length > 0,
    () => false,
  );
  // One that was chosen for other reasons is kept, unless it would write everything once more.
  const chosen = isBegun && (overwrite === undefined || overwrite === "always") ? " --overwrite if-changed" : "";
  const again = isDamaged ? `Run it again with --keep-going${chosen}` : `To continue, run it again with${chosen}`;
  const kept = chosen === "" ? "" : "what is there and equal is left";
  const left = isDamaged ? "what is damaged is left out and named, all else is restored" : "";
  if (!isDamaged && chosen === "") return error;
  const advice = `${again}: ${[left, kept].filter((part) => part !== "").join("; ")}.`;
  const { code, message, retry, data } = error;
  return new XVaultError(code, message, { fix: `${error.fix} ${advice}`, retry, data, cause: error });
}

/** What was restored, in a line for people. */
export function restoredLine({ written, skipped, bytes }: Restored, where: string): string {
  const kept = skipped > 0 ? `, ${skipped} left as they were` : "";
  return `${counted(written, "entry", "entries")}, ${formatBytes(bytes)} restored to ${where}${kept}.`;
}

/** Says what a restore that came to its end lacks. @returns the exit code */
export function concludeRestored(output: Output, { problems, damaged }: Restored): number {
  if (damaged > 0) {
    const what = damaged === 1 ? "1 entry is damaged or missing" : `${damaged} entries are damaged or missing`;
    output.warn(`${what} where the snapshot is stored, and not restored; each is named above.`);
  }
  if (problems > 0) output.warn(`${problems} of them were not whole on the source when the backup ran.`);
  return damaged + problems === 0 ? EXIT.ok : EXIT.warning;
}
