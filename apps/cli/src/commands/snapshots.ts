import { type Snapshot } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";
import { command, JSON_ARG, numberArg } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi, pagesOf } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { findSource } from "../names/find.ts";
import { table } from "../output.ts";

export const snapshotsCommand = command({
  name: "snapshots",
  description: "List snapshots, newest first.",
  args: {
    source: { type: "string", description: "Only those of this source (name or id)" },
    limit: { type: "string", description: "How many (default 50)" },
    ...JSON_ARG,
  },
  examples: ["xvault snapshots", "xvault snapshots --source web-01 --json"],
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const limit = numberArg("limit", args.limit, 1, 100_000) ?? 50;
    const source = args.source === undefined ? null : await findSource(api, args.source);
    const found: Snapshot[] = [];
    for await (const snapshot of pagesOf((cursor) =>
      api.snapshots({
        limit: Math.min(limit, 200),
        ...(source ? { source_id: source.id } : {}),
        ...(cursor ? { cursor } : {}),
      }),
    )) {
      found.push(snapshot);
      output.message("snapshot", snapshot);
      if (found.length >= limit) break;
    }
    if (found.length === 0) output.note("There are no snapshots.");
    else {
      const head = ["ID", "SOURCE", "CREATED", "STATE", "FILES", "SIZE", "STORED", "KEY"];
      output.line(table(head, found.map(rowOf), [4, 5, 6]));
    }
    return EXIT.ok;
  },
});

function rowOf(snapshot: Snapshot): string[] {
  const { short_id, source_name, created_at, state, partial, files, plain_bytes, size_bytes, key_holder } = snapshot;
  const shown = state === "complete" && partial ? "warning" : state;
  return [
    short_id,
    source_name,
    created_at,
    shown,
    String(files),
    formatBytes(plain_bytes),
    formatBytes(size_bytes),
    key_holder,
  ];
}
