import type { JobResult } from "@xvault/contracts";
import { runVerify } from "@xvault/engine";
import { formatBytes, sampleClaim, shortId } from "@xvault/kernel";
import { command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { showWork } from "../live/local-work.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { readIdentityFile } from "../local/identity.ts";
import { openRemotely } from "../local/open-remotely.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";
import { counted } from "../output.ts";

type VerifyResult = Extract<JobResult, { type: "verify" }>;
type Result = Partial<Pick<VerifyResult, "depth" | "files" | "bytes" | "confidence" | "lost_below">>;

export const verifyCommand = command({
  name: "verify",
  description: "Read a snapshot's stored bytes and check them: by the worker, or here with --identity.",
  args: {
    snapshot: { type: "positional", description: "An id, its last digits, 'latest' or 'latest@SOURCE'" },
    depth: {
      type: "enum",
      options: ["presence", "sample", "whole", "content"],
      description: "How deeply: all but 'content' need no key. Without it, as deeply as the keys allow",
    },
    identity: {
      type: "string",
      valueHint: "file",
      description: "Decrypt and check every file here; the identity never leaves this machine",
    },
    ...JSON_ARG,
  },
  examples: [
    "xvault verify latest@web-01",
    "xvault verify latest@web-01 --depth sample",
    "xvault verify 1a2b3c4d --identity key.txt",
  ],
  async act({ args, world, output, signal }) {
    if (args.identity !== undefined && args.depth !== undefined && args.depth !== "content") {
      throw new UsageError("--identity checks the contents; leave --depth out.");
    }
    const ref = parseSnapshotRef(args.snapshot);
    const api = hubApi(await openHub(world, args.identity === undefined ? undefined : signal));
    const snapshot = await findSnapshot(api, ref);
    if (args.identity !== undefined) {
      const file = await readIdentityFile(args.identity);
      const result = await showWork(world, output, async (reporter) => {
        reporter.step("check", "Checking signature and hashes.");
        const { checked, artifact } = await openRemotely(api, snapshot.id, file, signal);
        reporter.step("read", "Reading every file.");
        return runVerify({ checked, artifact, reporter, signal });
      });
      output.message("summary", { snapshot_id: snapshot.id, state: "success", ...result });
      output.line(textOf(snapshot.short_id, result));
      return EXIT.ok;
    }
    const job = await api.check(snapshot.id, { depth: args.depth ?? null });
    output.note(`Job ${shortId(job.id)} verifies snapshot ${snapshot.short_id}.`);
    const done = await watchJob(world, output, api, job);
    return concludeJob(output, done, {
      what: "The check",
      ids: { snapshot_id: snapshot.id },
      text: (finished) => textOf(snapshot.short_id, (finished.result ?? {}) as Result),
    });
  },
});

function textOf(id: string, { depth, files, bytes, confidence, lost_below: lost }: Result): string {
  const amount = formatBytes(bytes ?? 0);
  switch (depth) {
    case "content":
      return `snapshot ${id} is sound: ${counted(files ?? 0, "file")}, ${amount}, decrypted and compared with their hashes`;
    case "presence":
      return `snapshot ${id} is there: ${amount}, as long as the signed manifest says`;
    case "sample":
      return `snapshot ${id}: ${sampleClaim(confidence ?? 1, lost ?? 0)}; ${amount} read and compared with the signed hashes`;
    default:
      return `snapshot ${id} is sound: ${amount} as stored, compared with the signed hashes (the contents need the key)`;
  }
}
