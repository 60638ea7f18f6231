import { command, JSON_ARG } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { findSource, findStorage } from "../names/find.ts";

export const placeSourceCommand = command({
  name: "place",
  description: "Choose the storages that a source writes to. Snapshots that are there stay where they are.",
  args: {
    source: { type: "positional", description: "Name, id or last digits of the id" },
    storage: { type: "positional", several: true, description: "One or more storages, the first one first" },
    ...JSON_ARG,
  },
  examples: ["xvault source place web-01 'Worker disks' 'Offsite bucket'"],
  async act({ args, all, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    const source = await findSource(api, args.source);
    const ids: string[] = [];
    for (const name of all("storage")) ids.push((await findStorage(api, name)).id);
    const placed = await api.placeSource(source.id, ids);
    const names = placed.storages.map(({ name }) => name);
    output.message("placement", { source_id: source.id, storage_ids: placed.storages.map(({ id }) => id) });
    output.line(`${source.name} writes to ${names.join(", ")} from its next backup on.`);
    return EXIT.ok;
  },
});
