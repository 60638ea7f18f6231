import type { LifecycleAction } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";
import { command, group, JSON_ARG, numberArg } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { table } from "../output.ts";

const HEAD = ["DUE", "SOURCE", "SNAPSHOT", "WHAT", "SIZE", "WAITS FOR"];

const planCommand = command({
  name: "plan",
  description: "What the rules of retention would do now, and with --days what comes up to then. Nothing is done.",
  args: {
    days: { type: "string", description: "Look so many days ahead" },
    ...JSON_ARG,
  },
  examples: ["xvault retention plan", "xvault retention plan --days 30 --json"],
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const days = numberArg("days", args.days, 0, 3650);
    const { items, truncated, rests } =
      days === undefined ? await api.retentionPlan() : await api.projections({ days, limit: 500 });
    for (const action of items) output.message("action", action);
    if (rests) output.note(`Nothing is moved or ended before ${rests.until}: ${rests.reason}`);
    if (items.length === 0) output.note("Nothing moves or ends.");
    else output.line(table(HEAD, items.map(rowOf), [4]));
    if (truncated) output.note("There is more; these are the first.");
    return EXIT.ok;
  },
});

export const retentionCommand = group("retention", "How long what is kept, and what comes of it.", {
  plan: planCommand,
});

function rowOf(action: LifecycleAction): string[] {
  const { kind, from_tier, to_tier } = action;
  const what =
    kind === "expire"
      ? `end, from ${from_tier}`
      : kind === "move"
        ? `${from_tier} to ${to_tier}`
        : `copy in ${to_tier}`;
  return [
    action.due_at,
    action.source_name,
    action.snapshot_id?.slice(-8) ?? "reported",
    what,
    formatBytes(action.size_bytes),
    action.waits_for?.message ?? "",
  ];
}
