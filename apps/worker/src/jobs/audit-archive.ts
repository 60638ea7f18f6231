import type { JobPayloadOf } from "@xvault/contracts";
import type { WorkerContext } from "../context.ts";
import { runReceiveJob } from "./receive.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** Archives entries of a workspace's audit log: they come from the hub page by page, and become a snapshot of one file. */
export function runAuditArchiveJob(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"audit_archive">>,
): Promise<JobOutcome> {
  return runReceiveJob(context, job, pagesOf(context, job));
}

async function* pagesOf(
  { hub }: WorkerContext,
  { held, signal }: Pick<HeldJob, "held" | "signal">,
): AsyncGenerator<Buffer, void, undefined> {
  for (let after: number | null = 0; after !== null;) {
    const page: { lines: string; next_after: number | null } = await hub.insist(
      "audit_entries",
      { ...held, after_seq: after },
      signal,
    );
    if (page.lines !== "") yield Buffer.from(page.lines, "utf8");
    after = page.next_after;
  }
}
