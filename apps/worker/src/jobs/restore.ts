import type { JobPayloadOf } from "@xvault/contracts";
import { runRestore } from "@xvault/engine";
import { formatBytes } from "@xvault/kernel";
import type { WorkerContext } from "../context.ts";
import { connect } from "./connect.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";
import { checkStored, unsealForJob } from "./unseal.ts";

/** Restores to a path on a source. Nothing is written before signature and headers were checked. */
export async function runRestoreJob(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"restore">>,
): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  reporter.step("check", "Checking the snapshot's signature and block hashes.");
  const checked = await checkStored(context, payload.snapshot);
  reporter.step("unlock", "Asking the hub for the snapshot's file keys.");
  const artifact = await unsealForJob(context, held, checked, signal);
  reporter.step("connect", `Connecting to ${payload.target.username}@${payload.target.host}:${payload.target.port}.`);
  const connection = await connect(context, held, payload.target, { signal, reporter });
  try {
    let problems = 0;
    const target = await connection.target(payload.target.path, {
      overwrite: payload.overwrite,
      // Another attempt at this job goes on where this one breaks off.
      resume: held.job_id,
      signal,
      onProblem: (problem) => {
        problems += 1;
        reporter.warning(`${problem.path.toString("utf8")}: ${problem.message}`);
      },
    });
    reporter.step("write", `Writing below ${payload.target.path}.`);
    const result = await runRestore({ artifact, paths: payload.paths, target, reporter, signal });
    const { bytes, reads } = checked.read;
    reporter.step("finish", `${result.written} entries written, ${result.skipped} kept as they were.`);
    reporter.info(`${formatBytes(bytes)} read of the storage, in ${reads} ranges.`);
    const all = { ...result, problems: result.problems + problems, read_bytes: bytes };
    return { state: all.problems > 0 ? "warning" : "success", result: all };
  } finally {
    connection.close();
  }
}
