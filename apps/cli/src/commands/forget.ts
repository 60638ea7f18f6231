import { formatBytes, shortId } from "@xvault/kernel";
import { askConfirm } from "../ask.ts";
import { command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";

export const forgetCommand = command({
  name: "forget",
  description: "Remove a snapshot for good. The newest of a source, and one that later ones build on, stay.",
  args: {
    snapshot: { type: "positional", description: "An id or its last digits" },
    reason: { type: "string", description: "Stands in the audit log and in the snapshot's tombstone" },
    yes: { type: "boolean", alias: "y", description: "Do not ask" },
    ...JSON_ARG,
  },
  examples: ["xvault forget 1a2b3c4d --reason 'holds a test' --yes"],
  async act({ args, world, output }) {
    const api = hubApi(await openHub(world));
    const snapshot = await findSnapshot(api, parseSnapshotRef(args.snapshot));
    const what = `snapshot ${snapshot.short_id} of ${snapshot.source_name} (${snapshot.created_at})`;
    const unasked = new UsageError("Say --yes to remove a snapshot without being asked.");
    if (!args.yes && !(await askConfirm({ world, unasked }, `Remove ${what} for good?`))) return EXIT.failed;
    const job = await api.removeSnapshot(snapshot.id, args.reason);
    output.note(`Job ${shortId(job.id)} removes ${what}.`);
    const done = await watchJob(world, output, api, job);
    const freed = Number((done.result as { freed_bytes?: unknown } | null)?.freed_bytes ?? 0);
    return concludeJob(output, done, {
      what: "The removal",
      ids: { snapshot_id: snapshot.id, bytes_freed: freed },
      text: () => `${what} is removed: ${formatBytes(freed)} freed`,
    });
  },
});
