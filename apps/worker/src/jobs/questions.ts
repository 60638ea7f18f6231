import type { JobPayloadOf } from "@xvault/contracts";
import { preflightSource, probeHostKey } from "@xvault/source";
import type { WorkerContext } from "../context.ts";
import { connect, connectOptions } from "./connect.ts";
import type { HeldJob, JobOutcome } from "./run-job.ts";

/** Answers what somebody at a screen asked of a server. */
export async function runQuestion(
  context: WorkerContext,
  job: HeldJob<JobPayloadOf<"preflight"> | JobPayloadOf<"browse"> | JobPayloadOf<"probe">>,
): Promise<JobOutcome> {
  const { held, payload, reporter, signal } = job;
  reporter.step("connect", "Connecting.");
  if (payload.type === "probe") {
    const host_key = await probeHostKey({ host: payload.host, port: payload.port, policy: context.policy, signal });
    return { state: "success", result: { type: "probe", host_key } };
  }
  if (payload.type === "preflight") {
    const options = await connectOptions(context, held, payload.connection, { signal, reporter });
    const { checks } = await preflightSource(options, payload.paths);
    return { state: "success", result: { type: "preflight", checks } };
  }
  const connection = await connect(context, held, payload.connection, { signal, reporter });
  try {
    const { path, entries, truncated } = await connection.browse(payload.path);
    const shown = entries.map(({ name, nameB64, type, size, mtime }) => ({
      name,
      representable: nameB64 === undefined,
      type,
      size,
      mtime,
    }));
    return { state: "success", result: { type: "browse", listing: { path, entries: shown, truncated } } };
  } finally {
    connection.close();
  }
}
