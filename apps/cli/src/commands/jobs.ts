import { jobStateSchema, type Job } from "@xvault/contracts";
import { formatBytes, shortId } from "@xvault/kernel";
import { type Command, command, JSON_ARG, numberArg } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi, pagesOf } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { exitCodeOfJob, isOver, watchJob } from "../live/watch-job.ts";
import { findJob, findSource } from "../names/find.ts";
import { counted, type Output, table } from "../output.ts";

const LIST_ARGS = {
  state: { type: "enum", options: jobStateSchema.options, description: "Only jobs in this state" },
  source: { type: "string", description: "Only jobs of this source (name or id)" },
  limit: { type: "string", description: "How many (default 20)" },
  ...JSON_ARG,
} as const;

const listCommand = command({
  name: "jobs",
  description: "List jobs, newest first; 'xvault jobs show ID' shows one.",
  args: LIST_ARGS,
  examples: [
    "xvault jobs",
    "xvault jobs --state failed",
    "xvault jobs --source web-01 --limit 100",
    "xvault jobs show 1a2b3c4d",
  ],
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const limit = numberArg("limit", args.limit, 1, 10_000) ?? 20;
    const source = args.source === undefined ? null : await findSource(api, args.source);
    const jobs: Job[] = [];
    for await (const job of pagesOf((cursor) =>
      api.jobs({
        limit: Math.min(limit, 200),
        ...(args.state === undefined ? {} : { state: args.state }),
        ...(source ? { source_id: source.id } : {}),
        ...(cursor ? { cursor } : {}),
      }),
    )) {
      jobs.push(job);
      if (jobs.length >= limit) break;
    }
    for (const job of jobs) output.message("job", job);
    if (jobs.length === 0) output.note("There are no such jobs.");
    else output.line(table(["ID", "TYPE", "SOURCE", "STATE", "STARTED", "RESULT"], jobs.map(rowOf)));
    return EXIT.ok;
  },
});

function rowOf(job: Job): string[] {
  return [shortId(job.id), job.type, job.source_name ?? "", job.state, job.started_at ?? "waiting", resultOf(job)];
}

function resultOf(job: Job): string {
  if (job.error) return job.error.code;
  if (job.state === "running" && job.progress) return `${job.progress_percent} % ${job.progress.step}`;
  const { files, written, size_bytes: stored } = job.result ?? {};
  const count = typeof files === "number" ? files : written;
  const parts = typeof count === "number" ? [counted(count, "file")] : [];
  if (typeof stored === "number") parts.push(`${formatBytes(stored)} stored`);
  return parts.join(", ");
}

const showCommand = command({
  name: "show",
  description: "Show one job and its log.",
  args: {
    id: { type: "positional", description: "Id of the job, or its last digits" },
    watch: { type: "boolean", alias: "w", description: "Stay until it is over; Ctrl-C cancels the job" },
    ...JSON_ARG,
  },
  examples: ["xvault jobs show 1a2b3c4d --watch"],
  async act({ args, world, output }) {
    const api = hubApi(await openHub(world));
    const found = await findJob(api, args.id);
    const job = args.watch && !isOver(found) ? await watchJob(world, output, api, found) : found;
    output.message("job", job);
    showJob(output, job);
    for (let seen = 0; ;) {
      const events = await api.jobEvents(job.id, seen);
      for (const event of events) {
        output.message("event", event);
        output.line(`${event.at}  ${event.level.padEnd(7)}  ${event.step}: ${event.message}`);
      }
      const last = events.at(-1);
      if (!last || events.length < 500) break;
      seen = last.id;
    }
    return args.watch ? exitCodeOfJob(job) : EXIT.ok;
  },
});

function showJob(output: Output, job: Job): void {
  const rows: [string, string | null][] = [
    ["job", job.id],
    ["type", job.type],
    ["source", job.source_name],
    ["state", job.cancel_requested ? `${job.state}, cancelling` : job.state],
    ["attempt", `${job.attempt} of ${job.max_attempts}`],
    ["started", job.started_at],
    ["finished", job.finished_at],
    ["snapshot", job.snapshot_id],
    ["result", resultOf(job) || null],
    ["error", job.error && `${job.error.code}: ${job.error.message}`],
    ["fix", job.error && job.error.fix],
  ];
  for (const [name, value] of rows) if (value) output.line(`${name.padEnd(9)} ${value}`);
}

export const jobsCommand: Command = {
  ...listCommand,
  subCommands: {
    ls: { ...listCommand, meta: { name: "ls", description: "List jobs, newest first" } },
    show: showCommand,
  },
};

export const cancelCommand = command({
  name: "cancel",
  description: "Cancel a job.",
  args: { job: { type: "positional", description: "Id of the job, or its last digits" }, ...JSON_ARG },
  examples: ["xvault cancel 1a2b3c4d"],
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const job = await api.cancel((await findJob(api, args.job)).id);
    output.message("job", job);
    output.line(isOver(job) ? `Job ${shortId(job.id)} is cancelled.` : `Job ${shortId(job.id)} is asked to stop.`);
    return EXIT.ok;
  },
});
