import { command, JSON_ARG } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { findSnapshot } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";

export const pinCommand = command({
  name: "pin",
  description: "Keep a snapshot, whatever the rules of retention say, until it is unpinned.",
  args: {
    snapshot: { type: "positional", description: "An id or its last digits" },
    note: { type: "string", description: "Shown beside the pin" },
    ...JSON_ARG,
  },
  examples: ["xvault pin 1a2b3c4d --note 'before the migration'"],
  async act({ args, world, output }) {
    const api = hubApi(await openHub(world));
    const { id } = await findSnapshot(api, parseSnapshotRef(args.snapshot));
    const shown = await api.pin(id, args.note);
    output.message("snapshot", shown);
    output.line(`Snapshot ${shown.short_id} of ${shown.source_name} is pinned.`);
    return EXIT.ok;
  },
});

export const unpinCommand = command({
  name: "unpin",
  description: "Let the rules of retention have a snapshot again.",
  args: { snapshot: { type: "positional", description: "An id or its last digits" }, ...JSON_ARG },
  examples: ["xvault unpin 1a2b3c4d"],
  async act({ args, world, output }) {
    const api = hubApi(await openHub(world));
    const { id } = await findSnapshot(api, parseSnapshotRef(args.snapshot));
    const shown = await api.unpin(id);
    output.message("snapshot", shown);
    output.line(`Snapshot ${shown.short_id} of ${shown.source_name} is not pinned.`);
    return EXIT.ok;
  },
});
