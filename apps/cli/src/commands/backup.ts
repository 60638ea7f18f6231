import { formatBytes, shortId } from "@xvault/kernel";
import { command, JSON_ARG } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { findSource } from "../names/find.ts";
import { counted } from "../output.ts";

export const backupCommand = command({
  name: "backup",
  description: "Back a source up now and watch it. Ctrl-C cancels the job.",
  args: {
    source: { type: "positional", description: "Name, id or last digits of the id" },
    detach: { type: "boolean", alias: "d", description: "Start it and do not wait" },
    full: { type: "boolean", description: "Pull every file, also those that have not changed since the last run" },
    ...JSON_ARG,
  },
  examples: ["xvault backup web-01", "xvault backup web-01 --json | jq .", "xvault backup web-01 --detach"],
  async act({ args, world, output }) {
    // Without the signal: Ctrl-C is the watcher's, who still needs the hub to cancel the job.
    const api = hubApi(await openHub(world));
    const source = await findSource(api, args.source);
    const job = await api.backUp(source.id, args.full ? { full: true } : {});
    if (args.detach) {
      output.message("job", job);
      output.line(`Job ${shortId(job.id)} backs ${source.name} up.`);
      output.note(`Follow it: xvault jobs show ${shortId(job.id)}`);
      return EXIT.ok;
    }
    output.note(`Job ${shortId(job.id)} backs ${source.name} up.`);
    const done = await watchJob(world, output, api, job);
    const result = (done.result ?? {}) as Partial<
      Record<"files" | "unchanged_files" | "plain_bytes" | "size_bytes" | "problems", number>
    >;
    const unchanged = result.unchanged_files ? ` (${result.unchanged_files} unchanged)` : "";
    return concludeJob(output, done, {
      what: `The backup of ${source.name}`,
      ids: {
        source_id: source.id,
        snapshot_id: done.snapshot_id,
        total_files_processed: result.files ?? null,
        files_unmodified: result.unchanged_files ?? null,
        total_bytes_processed: result.plain_bytes ?? null,
        data_added: result.size_bytes ?? null,
      },
      text: (finished) =>
        `snapshot ${finished.snapshot_id ? shortId(finished.snapshot_id) : "?"} saved: ${counted(result.files ?? 0, "file")}${unchanged}, ` +
        `${formatBytes(result.plain_bytes ?? 0)}, stored ${formatBytes(result.size_bytes ?? 0)}` +
        (result.problems ? `, ${result.problems} could not be read` : ""),
    });
  },
});
