import type { Copy } from "@xvault/contracts";
import { formatBytes, shortId } from "@xvault/kernel";
import { command, JSON_ARG } from "../command.ts";
import { UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { concludeJob, watchJob } from "../live/watch-job.ts";
import { findSnapshot, findStorage } from "../names/find.ts";
import { parseSnapshotRef } from "../names/snapshot-ref.ts";

export const copyCommand = command({
  name: "copy",
  description: "Copy a snapshot to another storage, or move it there; it is read back before an old copy goes.",
  args: {
    snapshot: { type: "positional", description: "An id, its last digits, 'latest' or 'latest@SOURCE'" },
    to: { type: "string", required: true, valueHint: "storage", description: "Name or id of the storage" },
    move: { type: "boolean", description: "Remove the copy that it came from, once the new one is there" },
    from: {
      type: "string",
      valueHint: "storage",
      description: "With --move: which copy goes, where there are several",
    },
    ...JSON_ARG,
  },
  examples: ["xvault copy latest@web-01 --to 'Offsite bucket'", "xvault copy 1a2b3c4d --to 'Offsite bucket' --move"],
  async act({ args, world, output }) {
    if (args.from !== undefined && !args.move) throw new UsageError("--from needs --move.");
    const api = hubApi(await openHub(world));
    const snapshot = await findSnapshot(api, parseSnapshotRef(args.snapshot));
    const storage = await findStorage(api, args.to);
    const from = args.move ? movedFrom((await api.snapshot(snapshot.id)).all_copies, storage.id, args.from) : undefined;
    const job = await api.copySnapshot(snapshot.id, {
      storage_id: storage.id,
      ...(from === undefined ? {} : { move_from: from }),
    });
    const doing = args.move ? "moves" : "copies";
    output.note(`Job ${shortId(job.id)} ${doing} snapshot ${snapshot.short_id} to ${storage.name}.`);
    const done = await watchJob(world, output, api, job);
    return concludeJob(output, done, {
      what: args.move ? "The move" : "The copy",
      ids: { snapshot_id: snapshot.id, storage_id: storage.id },
      text: () => `snapshot ${snapshot.short_id} (${formatBytes(snapshot.size_bytes)}) lies on ${storage.name}`,
    });
  },
});

/** The storage whose copy goes. @throws UsageError where it is not plain which */
function movedFrom(copies: readonly Copy[], to: string, named: string | undefined): string {
  const whole = copies.filter(({ state, storage_id }) => state === "complete" && storage_id !== to);
  const meant = named === undefined ? whole : whole.filter((one) => [one.storage_name, one.storage_id].includes(named));
  const names = whole.map(({ storage_name }) => storage_name).join(", ") || "none elsewhere";
  const [only] = meant;
  if (!only || meant.length > 1) throw new UsageError(`Name the copy that goes with --from: ${names}.`);
  return only.storage_id;
}
