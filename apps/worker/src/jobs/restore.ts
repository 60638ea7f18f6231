import type { JobPayloadOf } from "@xvault/contracts";
import { quoteRestore, runRestore } from "@xvault/engine";
import { formatBytes } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { openStoreOfJob } from "../stores.ts";
import { connect } from "./connect.ts";
import { later } from "./later.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { checkStored, unsealForJob } from "./unseal.ts";

/** How long a restore that was called off may take to clean up after itself. Milliseconds. */
const CLEANUP = 5000;

/** What both kinds of jobs begin with. Nothing is written before signature and headers were checked. */
async function open(context: WorkerContext, job: HeldJob<JobPayloadOf<"restore"> | JobPayloadOf<"quote">>) {
  const { held, payload, reporter, signal } = job;
  reporter.step("check", "Checking the snapshot's signature and block hashes.");
  const { store } = await openStoreOfJob(context, job, payload.storage);
  const checked = await checkStored(context, store, payload.snapshot);
  reporter.step("unlock", "Asking the hub for the snapshot's file keys.");
  const artifact = await unsealForJob(context, held, checked, signal);
  const { username, host, port } = payload.target;
  reporter.step("connect", `Connecting to ${username}@${host}:${port}.`);
  const connection = await connect(context, held, payload.target, { signal: later(signal, CLEANUP), reporter });
  return { checked, artifact, connection };
}

/** Restores to a path on a source. */
export async function runRestoreJob(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"restore">>,
): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  const { checked, artifact, connection } = await open(context, job);
  const { path } = payload.target;
  const { overwrite } = payload;
  try {
    let problems = 0;
    const target = await connection.target(path, {
      overwrite,
      verify: payload.verify,
      // Another attempt at this job goes on where this one breaks off.
      resume: held.job_id,
      signal,
      onProblem: (problem) => {
        problems += 1;
        reporter.warning(`${problem.path.toString("utf8")}: ${problem.message}`);
      },
    });
    const dryTarget = () => connection.target(path, { overwrite, dryRun: true, signal });
    reporter.step("write", `Writing below ${path}.`);
    const result = await runRestore({ artifact, paths: payload.paths, target, dryTarget, reporter, signal });
    const { bytes, reads } = checked.read;
    reporter.step("finish", `${result.written} entries written, ${result.skipped} kept as they were.`);
    reporter.info(`${formatBytes(bytes)} read of the storage, in ${reads} ranges.`);
    const all = { ...result, problems: result.problems + problems, read_bytes: bytes };
    return { state: all.problems > 0 ? "warning" : "success", result: all };
  } finally {
    connection.close();
  }
}

/** Tells what a restore to a path on a source would do. */
export async function runQuoteJob(context: WorkerContext, job: HeldJob<JobPayloadOf<"quote">>): Promise<JobOutcome> {
  const { payload, reporter, signal } = job;
  const { checked, artifact, connection } = await open(context, job);
  const { overwrite, paths } = payload;
  try {
    const target = await connection.target(payload.target.path, { overwrite, dryRun: true, signal });
    reporter.step("compare", `Looking at what is below ${payload.target.path}.`);
    const quote = await quoteRestore({ checked, artifact, paths, target, reporter, signal });
    return { state: "success", result: { type: "quote", quote } };
  } finally {
    connection.close();
  }
}
