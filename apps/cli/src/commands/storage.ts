import { type Storage, tierSchema } from "@xvault/contracts";
import { formatBytes, shortId } from "@xvault/kernel";
import { command, group, JSON_ARG, numberArg } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { readSecretFile } from "../local/identity.ts";
import { findStorage } from "../names/find.ts";
import { table } from "../output.ts";
import { showChecks } from "./source-checks.ts";

const listCommand = command({
  name: "ls",
  description: "List storages.",
  args: JSON_ARG,
  async act({ world, output, signal }) {
    const storages = await hubApi(await openHub(world, signal)).storages();
    for (const storage of storages) output.message("storage", storage);
    const head = ["ID", "NAME", "KIND", "TIER", "WHERE", "COPIES", "SIZE", "LOCK", "TESTED"];
    output.line(table(head, storages.map(rowOf), [5, 6]));
    return EXIT.ok;
  },
});

function rowOf(storage: Storage): string[] {
  const { id, name, kind, tier, location, copies, bytes, lock, tested_at, test } = storage;
  const failed = test?.some(({ status }) => status === "failed") ? " (failed)" : "";
  const tested = tested_at === null ? "never" : `${tested_at}${failed}`;
  return [shortId(id), name, kind, tier, location, String(copies), formatBytes(bytes), lock, tested];
}

const testCommand = command({
  name: "test",
  description: "Write to a storage, read it back, list, delete; and try whether its lock holds.",
  args: { storage: { type: "positional", description: "Name, id or last digits of the id" }, ...JSON_ARG },
  examples: ["xvault storage test 'Offsite bucket'"],
  async act({ args, world, output, signal }) {
    const api = hubApi(await openHub(world, signal));
    return showChecks(output, await api.testStorage((await findStorage(api, args.storage)).id));
  },
});

const addS3Command = command({
  name: "add-s3",
  description: "Add a bucket and test it. It stays where the test fails: put it right, or remove it in the dashboard.",
  args: {
    name: { type: "positional", description: "What to call it" },
    endpoint: { type: "string", valueHint: "url", description: "The server's address (without: AWS)" },
    bucket: { type: "string", required: true, description: "A bucket that exists and that nothing else writes to" },
    region: { type: "string", description: "As the server calls it (default us-east-1)" },
    prefix: { type: "string", description: "Goes before every key" },
    tier: { type: "enum", options: tierSchema.options, description: "Which tier it is (default offsite)" },
    "virtual-host": { type: "boolean", description: "The bucket stands in the host name; so it is for AWS" },
    "storage-class": { type: "string", description: "What objects are written as (default: the bucket's own)" },
    "ca-file": { type: "string", valueHint: "file", description: "Certificates (PEM) to trust for this server" },
    "lock-mode": { type: "enum", options: ["governance", "compliance"], description: "Lock what is written" },
    "lock-days": { type: "string", description: "For so many days (default 30)" },
    "access-key-id": { type: "string", required: true, description: "The key's id" },
    "secret-key-file": {
      type: "string",
      required: true,
      valueHint: "file",
      description: "File that holds the key's secret and nothing else",
    },
    ...JSON_ARG,
  },
  examples: [
    "xvault storage add-s3 offsite --endpoint https://s3.example.org --bucket acme --access-key-id GK31 --secret-key-file key",
  ],
  async act({ args, world, output, signal }) {
    const days = numberArg("lock-days", args["lock-days"], 1, 36_500);
    if (days !== undefined && args["lock-mode"] === undefined) throw new UsageError("--lock-days needs --lock-mode.");
    const mode = args["lock-mode"] === "compliance" ? "COMPLIANCE" : "GOVERNANCE";
    const secret = (await readSecretFile(args["secret-key-file"], "secret key file")).trim();
    const authority = args["ca-file"] === undefined ? null : await readSecretFile(args["ca-file"], "certificate");
    const api = hubApi(await openHub(world, signal));
    const storage = await api.createStorage({
      name: args.name,
      tier: args.tier ?? "offsite",
      place: {
        kind: "s3",
        config: {
          endpoint: args.endpoint ?? null,
          ...(args.region === undefined ? {} : { region: args.region }),
          bucket: args.bucket,
          prefix: args.prefix ?? "",
          path_style: !(args["virtual-host"] ?? args.endpoint === undefined),
          storage_class: args["storage-class"] ?? null,
          ca_pem: authority,
          lock: args["lock-mode"] === undefined ? null : { mode, days: days ?? 30 },
        },
      },
      secret: { kind: "s3", access_key_id: args["access-key-id"], secret_access_key: secret },
    });
    output.message("storage", storage);
    output.line(`${storage.name} is added (${shortId(storage.id)}): ${storage.location}.`);
    return showChecks(output, await api.testStorage(storage.id));
  },
});

export const storageCommand = group("storage", "List, add and test the places where snapshots lie.", {
  ls: listCommand,
  test: testCommand,
  "add-s3": addS3Command,
});
