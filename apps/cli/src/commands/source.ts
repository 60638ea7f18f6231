import type { Source } from "@xvault/contracts";
import { formatBytes, shortId } from "@xvault/kernel";
import { askConfirm } from "../ask.ts";
import { command, group, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { findSource } from "../names/find.ts";
import { counted, type Output, table } from "../output.ts";
import { addSourceCommand } from "./source-add.ts";
import { showChecks } from "./source-checks.ts";
import { placeSourceCommand } from "./source-place.ts";

const SOURCE_ARG = { type: "positional", description: "Name, id or last digits of the id" } as const;

const listCommand = command({
  name: "ls",
  description: "List sources.",
  args: JSON_ARG,
  async act({ world, output, signal }) {
    const sources = await hubApi(await openHub(world, signal)).sources();
    for (const source of sources) output.message("source", source);
    if (sources.length === 0)
      output.note("There are no sources yet: xvault source add NAME --host HOST --user USER --path PATH.");
    else
      output.line(
        table(["ID", "NAME", "HOST", "HEALTH", "LAST SNAPSHOT", "SNAPSHOTS", "SCHEDULE"], sources.map(rowOf), [5]),
      );
    return EXIT.ok;
  },
});

function rowOf(source: Source): string[] {
  const { connection, schedule } = source;
  return [
    shortId(source.id),
    source.name,
    connection ? `${connection.username}@${connection.host}:${connection.port}` : "edge",
    source.health,
    source.last_snapshot?.created_at ?? "never",
    String(source.snapshot_count),
    schedule ? `${schedule.cron} ${schedule.timezone}${schedule.enabled ? "" : " (off)"}` : "",
  ];
}

const showCommand = command({
  name: "show",
  description: "Show one source.",
  args: { source: SOURCE_ARG, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const source = await findSource(hubApi(await openHub(world, signal)), args.source);
    output.message("source", source);
    showSource(output, source);
    return EXIT.ok;
  },
});

function showSource(output: Output, source: Source): void {
  const { connection, last_snapshot: last, schedule } = source;
  const rows: [string, string | null | undefined][] = [
    ["id", source.id],
    ["name", source.name],
    ["host", connection && `${connection.username}@${connection.host}:${connection.port}`],
    ["host key", connection && `${connection.host_key.algorithm} ${connection.host_key.fingerprint}`],
    ["login", connection?.credential.kind],
    ["public key", connection?.credential.public_key],
    ["paths", source.paths.join(", ")],
    ["excludes", source.excludes.join(", ")],
    ["health", source.paused_reason ? `${source.health}: ${source.paused_reason}` : source.health],
    ["schedule", schedule && `${schedule.cron} ${schedule.timezone}, next ${schedule.next_run_at ?? "never"}`],
    ["snapshots", String(source.snapshot_count)],
    [
      "latest",
      last &&
        `${shortId(last.id)} of ${last.created_at}, ${counted(last.files, "file")}, ${formatBytes(last.size_bytes)} stored`,
    ],
  ];
  for (const [name, value] of rows) if (value) output.line(`${name.padEnd(11)} ${value}`);
}

const testCommand = command({
  name: "test",
  description: "Connect to a source and check it: login, tools, each path.",
  args: { source: SOURCE_ARG, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const source = await findSource(api, args.source);
    const result = await api.test({ source_id: source.id, paths: source.paths });
    return showChecks(output, result);
  },
});

const removeCommand = command({
  name: "rm",
  description: "Remove a source. Its snapshots stay.",
  args: { source: SOURCE_ARG, yes: { type: "boolean", alias: "y", description: "Do not ask" }, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const source = await findSource(api, args.source);
    const unasked = new UsageError("Say --yes to remove a source without being asked.");
    if (!args.yes && !(await askConfirm({ world, unasked }, `Remove ${source.name}? Its snapshots stay.`)))
      return EXIT.failed;
    await api.removeSource(source.id);
    output.message("removed", { source_id: source.id, name: source.name });
    output.line(
      `${source.name} is removed; ${counted(source.snapshot_count, "snapshot")} of it ${source.snapshot_count === 1 ? "stays" : "stay"}.`,
    );
    return EXIT.ok;
  },
});

export const sourceCommand = group("source", "Add, list, test, place and remove the servers that are backed up.", {
  add: addSourceCommand,
  ls: listCommand,
  show: showCommand,
  test: testCommand,
  place: placeSourceCommand,
  rm: removeCommand,
});
