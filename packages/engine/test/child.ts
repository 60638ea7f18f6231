import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ChildOrder, ChildReport, Death } from "./backup-child.ts";
import type { BackupChanges, Lab } from "./lab.ts";

export interface ChildRun {
  place: ReturnType<Lab["run"]>["place"];
  /** Null when the process did not live to the end. */
  report: ChildReport | null;
  signal: NodeJS.Signals | null;
  /** What it said on standard error. */
  said: string;
  storeRoot: string;
  /** Every directory in which the process could leave something: the store, its working and home directory, the temporary one. */
  dirs: string[];
}

/** Runs a backup in a process of its own, with a store and a temporary directory of its own below `ground`. */
export async function backupInChild(
  lab: Lab,
  ground: string,
  paths: string[],
  options: Pick<BackupChanges, "transport"> & { death?: Death; nodeFlags?: string[]; restoreTo?: string } = {},
): Promise<ChildRun> {
  const dirs = ["store", "tmp", "home", "work"].map((name) => join(ground, name));
  for (const dir of dirs) mkdirSync(dir, { recursive: true });
  const [storeRoot = "", tmp, home, cwd] = dirs;
  const { place, jobId, attempt, workerId, payload, signer } = lab.run(paths, options);
  const { policy: _, ...connect } = lab.connectOptions();
  const order: ChildOrder = {
    storeRoot,
    connect,
    run: { jobId, attempt, workerId, payload, signer },
    death: options.death ?? null,
    restore: options.restoreTo
      ? { to: options.restoreTo, identity: lab.keys.identity, rootKey: lab.root.publicKey }
      : null,
  };
  const script = join(import.meta.dirname, "backup-child.ts");
  const child = spawn(process.execPath, [...(options.nodeFlags ?? []), script], {
    cwd,
    env: { PATH: process.env["PATH"], TMPDIR: tmp, HOME: home },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let answer = "";
  let said = "";
  child.stdout.on("data", (data: Buffer) => (answer += data.toString()));
  child.stderr.on("data", (data: Buffer) => (said += data.toString()));
  child.stdin.end(JSON.stringify(order));
  const signal = await new Promise<NodeJS.Signals | null>((resolve, reject) => {
    child.once("error", reject).once("close", (_code, killedBy) => resolve(killedBy));
  });
  return { place, report: answer === "" ? null : (JSON.parse(answer) as ChildReport), signal, said, storeRoot, dirs };
}
