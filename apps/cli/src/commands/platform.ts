import { storageSecretSchema, type StorageSecret } from "@xvault/contracts";
import { shortId } from "@xvault/kernel";
import { command, group, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import type { HubApi } from "../hub/api.ts";
import { ADMIN_ARGS, asAdmin } from "../hub/as-admin.ts";
import { readSecretFile } from "../local/identity.ts";
import { findByName } from "../names/snapshot-ref.ts";
import { counted, table } from "../output.ts";

const STORAGE = { type: "positional", description: "Name, id or last digits of the id of a storage for all" } as const;
const WORKSPACE = { type: "positional", description: "Name, id or last digits of the id of a workspace" } as const;

async function findPlatformStorage(api: HubApi, name: string) {
  const list = "xvault platform storages";
  return findByName(await api.platformStorages(), name, {
    kind: "storage for all",
    list,
    ids: ({ id }) => [id],
    name: (storage) => storage.name,
  });
}

async function findWorkspace(api: HubApi, storageId: string, name: string) {
  return findByName(await api.storageKeys(storageId), name, {
    kind: "workspace",
    list: "xvault platform keys STORAGE",
    ids: ({ tenant_id: id }) => [id],
    name: ({ tenant_name }) => tenant_name,
  });
}

const listCommand = command({
  name: "storages",
  description: "List the storages that are offered to workspaces.",
  args: { ...ADMIN_ARGS, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const storages = await asAdmin(world, args, signal, (api) => api.platformStorages());
    for (const storage of storages) output.message("platform_storage", storage);
    const head = ["ID", "NAME", "KIND", "TIER", "WHERE", "OFFERED", "WORKSPACES", "KEYS"];
    const rows = storages.map((one) => [
      shortId(one.id),
      one.name,
      one.kind,
      one.tier,
      one.location,
      one.retired_at !== null ? "retired" : one.offered ? "yes" : "no",
      String(one.workspaces),
      one.own_keys ? `each its own (${one.keyed})` : one.keyed > 0 ? `shared, ${one.keyed} their own` : "shared",
    ]);
    output.line(table(head, rows, [6]));
    return EXIT.ok;
  },
});

const keysCommand = command({
  name: "keys",
  description: "Show which workspaces have a key of their own on a storage for all. No key is ever shown.",
  args: { storage: STORAGE, ...ADMIN_ARGS, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const keys = await asAdmin(world, args, signal, async (api) =>
      api.storageKeys((await findPlatformStorage(api, args.storage)).id),
    );
    for (const key of keys) output.message("storage_key", key);
    const rows = keys.map((key) => [
      shortId(key.tenant_id),
      key.tenant_name,
      key.has_place ? "yes" : "no",
      key.own_key ? "own" : "none",
    ]);
    output.line(table(["ID", "WORKSPACE", "PLACE", "KEY"], rows));
    return EXIT.ok;
  },
});

const setKeyCommand = command({
  name: "set-key",
  description: "Give a workspace a key of its own on a storage for all. Its jobs get this key and no other.",
  args: {
    storage: STORAGE,
    workspace: WORKSPACE,
    "access-key-id": { type: "string", description: "Of a bucket: the key's id" },
    "secret-key-file": {
      type: "string",
      valueHint: "file",
      description: "Of a bucket: file with the key's secret alone",
    },
    "secret-parameters-file": {
      type: "string",
      valueHint: "file",
      description: "Of an rclone remote: file with its secret parameters as JSON",
    },
    ...ADMIN_ARGS,
    ...JSON_ARG,
  },
  examples: ["xvault platform set-key 'Cold buckets' acme --access-key-id GK31 --secret-key-file key"],
  async act({ args, world, output, signal }) {
    const secret = await readKey(args);
    const done = await asAdmin(world, args, signal, async (api) => {
      const storage = await findPlatformStorage(api, args.storage);
      const workspace = await findWorkspace(api, storage.id, args.workspace);
      await api.setStorageKey(storage.id, workspace.tenant_id, secret);
      return { storage, workspace };
    });
    output.message("storage_key", { ...done.workspace, storage_id: done.storage.id, has_place: true, own_key: true });
    output.line(`${done.workspace.tenant_name} has a key of its own on ${done.storage.name}.`);
    return EXIT.ok;
  },
});

interface KeyFiles {
  "access-key-id": string | undefined;
  "secret-key-file": string | undefined;
  "secret-parameters-file": string | undefined;
}

async function readKey(args: KeyFiles): Promise<StorageSecret> {
  const parameters = args["secret-parameters-file"];
  if (parameters !== undefined) {
    const text = await readSecretFile(parameters, "file of secret parameters");
    try {
      return storageSecretSchema.parse({ kind: "rclone", parameters: JSON.parse(text) });
    } catch {
      // Never with what stands in it.
      throw new UsageError(`${parameters} holds no JSON object of secret parameters.`);
    }
  }
  const { "access-key-id": id, "secret-key-file": file } = args;
  if (id === undefined || file === undefined)
    throw new UsageError("Give --access-key-id and --secret-key-file, or --secret-parameters-file.");
  const secret = (await readSecretFile(file, "secret key file")).trim();
  return { kind: "s3", access_key_id: id, secret_access_key: secret };
}

const removeKeyCommand = command({
  name: "remove-key",
  description:
    "Take a workspace's own key back. Where each needs its own, nothing of the workspace's there can be read or written then.",
  args: { storage: STORAGE, workspace: WORKSPACE, ...ADMIN_ARGS, ...JSON_ARG },
  async act({ args, world, output, signal }) {
    const name = await asAdmin(world, args, signal, async (api) => {
      const storage = await findPlatformStorage(api, args.storage);
      const workspace = await findWorkspace(api, storage.id, args.workspace);
      await api.removeStorageKey(storage.id, workspace.tenant_id);
      return workspace.tenant_name;
    });
    output.line(`${name} has no key of its own there any more.`);
    return EXIT.ok;
  },
});

const ownKeysCommand = command({
  name: "own-keys",
  description: "Say whether each workspace needs a key of its own on a storage for all, or the operator's serves them.",
  args: {
    storage: STORAGE,
    off: { type: "boolean", description: "The operator's general key serves those that have none" },
    ...ADMIN_ARGS,
    ...JSON_ARG,
  },
  async act({ args, world, output, signal }) {
    const changed = await asAdmin(world, args, signal, async (api) =>
      api.updatePlatformStorage((await findPlatformStorage(api, args.storage)).id, { own_keys: args.off !== true }),
    );
    output.message("platform_storage", changed);
    const missing = changed.workspaces - changed.keyed;
    output.line(
      changed.own_keys
        ? `Each workspace needs a key of its own on ${changed.name}; ${counted(missing, "workspace has", "workspaces have")} none and cannot use it.`
        : `The operator's key opens ${changed.name} for workspaces without one of their own.`,
    );
    return EXIT.ok;
  },
});

export const platformCommand = group(
  "platform",
  "What the platform's admin decides: storages for all, and keys on them.",
  {
    storages: listCommand,
    keys: keysCommand,
    "set-key": setKeyCommand,
    "remove-key": removeKeyCommand,
    "own-keys": ownKeysCommand,
  },
);
