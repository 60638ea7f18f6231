import { spawn } from "node:child_process";
import { dirname, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface Run {
  code: number;
  /** What the command wrote to stdout. */
  stdout: string;
  /** stdout and stderr as they came, cut at the front where they are very long. */
  output: string;
}

const KEEP_CHARACTERS = 400_000;

/**
 * Runs a command of node_modules/.bin or of the system to its end, without a shell and without stdin.
 * A command that cannot be started or that outlives `minutes` (15 unless told) ends with a code other than 0 and says so in `output`.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; minutes?: number; wholeStdout?: boolean } = {},
): Promise<Run> {
  const minutes = options.minutes ?? 15;
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1", ...options.env };
  env["PATH"] = `${join(ROOT, "node_modules", ".bin")}${delimiter}${process.env["PATH"] ?? ""}`;
  // Hundreds of processes load the same files: what one has compiled, the next takes ready-made.
  env["NODE_COMPILE_CACHE"] ??= join(ROOT, "node_modules/.cache/xvault-compiled");
  // npm test's own lifecycle names would confuse an npm, or a test, that runs below it.
  delete env["npm_lifecycle_event"];
  delete env["FORCE_COLOR"];
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: minutes * 60_000,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let output = "";
    const keep = (text: string) => {
      output = (output + text).slice(-KEEP_CHARACTERS);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout = options.wholeStdout === true ? stdout + text : (stdout + text).slice(-KEEP_CHARACTERS);
      keep(text);
    });
    child.stderr.setEncoding("utf8").on("data", keep);
    child.on("error", (error) => resolve({ code: 127, stdout, output: `${output}\n${error.message}` }));
    child.on("close", (code, signal) => {
      if (signal !== null) keep(`\n${command} was ended by ${signal} (limit: ${minutes} minutes).\n`);
      resolve({ code: code ?? 1, stdout, output });
    });
  });
}

/** Calls `work` for every item, at most `width` at a time; results keep the order of the items. */
export async function inParallel<T, R>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
