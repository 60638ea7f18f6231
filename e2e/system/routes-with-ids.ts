// The routes that take ids, what is sent to them, and how: the material of the matrix in tenancy.test.ts (promise 11).
import type { Job, Schedule, Snapshot, Source } from "@xvault/contracts";
import type { Answer, Client } from "@xvault/test-kit/stack";

/** What a tenant owns that a call can name. */
export interface Things {
  source: Source;
  schedule: Schedule;
  snapshot: Snapshot;
  job: Job;
  credentialId: string;
  tokenId: string;
  memberId: string;
  packageId: string;
  proofId: string;
  webhookId: string;
  deliveryId: string;
  alertId: string;
  /** A bucket that cannot be reached, and the workers' disks. */
  storageId: string;
  disksId: string;
}

/** A route that takes ids: what is sent to it when it is to act on `things`, in the workspace of `own`. */
export interface Recipe {
  input(things: Things, own: Things): Record<string, unknown>;
  /** What the owner of the things is answered. Default 200. */
  control?: number;
}

const connection = (source: Source, credential_id: string) => ({
  host: source.connection?.host,
  port: source.connection?.port,
  username: source.connection?.username,
  host_key: source.connection?.host_key,
  credential_id,
});
const sourceId: Recipe = { input: ({ source }) => ({ id: source.id }) };
const jobId: Recipe = { input: ({ job }) => ({ id: job.id }) };
const webhookId: Recipe = { input: (things) => ({ id: things.webhookId }) };
const storageId: Recipe = { input: (things) => ({ id: things.storageId }) };
const packageId: Recipe = { input: (things) => ({ id: things.packageId }) };

/** By tRPC name, in an order that suits the controls: what ends things comes last. */
export const RECIPES: Record<string, Recipe | Recipe[]> = {
  "sources.get": sourceId,
  "sources.update": [
    { input: ({ source }) => ({ id: source.id, name: "renamed" }) },
    { input: ({ credentialId, source }, own) => ({ id: own.source.id, connection: connection(source, credentialId) }) },
  ],
  "sources.create": [
    {
      input: ({ credentialId }, own) => ({
        name: "x",
        connection: connection(own.source, credentialId),
        paths: ["/tmp"],
      }),
    },
    {
      input: ({ disksId }, own) => ({
        name: "x",
        connection: connection(own.source, own.credentialId),
        paths: ["/tmp"],
        storage_ids: [disksId],
      }),
    },
  ],
  "sources.test": [
    { input: ({ source }) => ({ source_id: source.id, paths: source.paths }) },
    { input: ({ credentialId }, own) => ({ connection: connection(own.source, credentialId), paths: ["/tmp"] }) },
  ],
  "sources.browse": { input: ({ source }) => ({ source_id: source.id, path: source.paths[0] }) },
  "sources.backUp": sourceId,
  "schedules.create": { input: ({ source }) => ({ source_id: source.id, cron: "0 4 * * *" }) },
  "schedules.update": { input: ({ schedule }) => ({ id: schedule.id, cron: "0 5 * * *" }) },
  "jobs.list": { input: ({ source }) => ({ source_id: source.id }) },
  "jobs.get": jobId,
  "jobs.events": jobId,
  "snapshots.list": { input: ({ source }) => ({ source_id: source.id }) },
  "snapshots.get": [
    { input: ({ snapshot }) => ({ id: snapshot.id }) },
    { input: ({ snapshot }) => ({ id: snapshot.short_id }) },
  ],
  "snapshots.verify": { input: ({ snapshot }) => ({ id: snapshot.id }) },
  "checks.check": { input: ({ snapshot }) => ({ id: snapshot.id, depth: "presence" }) },
  "checks.drill": { input: ({ snapshot }) => ({ id: snapshot.id }) },
  "checks.proofs": { input: ({ snapshot }) => ({ snapshot_id: snapshot.id }) },
  "checks.proof": { input: ({ proofId }) => ({ id: proofId }) },
  "snapshots.browseTicket": { input: ({ snapshot }) => ({ snapshot_id: snapshot.id }) },
  "snapshots.downloadTicket": [
    { input: ({ snapshot }) => ({ snapshot_id: snapshot.id, format: "tar" }) },
    { input: ({ snapshot }) => ({ snapshot_id: snapshot.id, format: "raw" }) },
  ],
  "restores.quote": [
    {
      input: ({ snapshot }, own) => ({
        snapshot_id: snapshot.id,
        target: { source_id: own.source.id, path: "/tmp/x" },
      }),
    },
    {
      input: ({ source }, own) => ({ snapshot_id: own.snapshot.id, target: { source_id: source.id, path: "/tmp/x" } }),
    },
  ],
  "restores.create": [
    {
      input: ({ snapshot }, own) => ({
        snapshot_id: snapshot.id,
        target: { source_id: own.source.id, path: "/tmp/x" },
      }),
    },
    {
      input: ({ source }, own) => ({ snapshot_id: own.snapshot.id, target: { source_id: source.id, path: "/tmp/x" } }),
    },
  ],
  "snapshots.pin": { input: ({ snapshot }) => ({ id: snapshot.id }) },
  "snapshots.unpin": { input: ({ snapshot }) => ({ id: snapshot.id }) },
  "snapshots.hold": { input: ({ snapshot }) => ({ id: snapshot.id, until: null }) },
  "retention.simulate": { input: ({ source }) => ({ source_id: source.id, days: 30 }) },
  // Nothing looks wrong with it: there is nothing to acknowledge.
  "retention.acknowledge": { input: ({ source }) => ({ source_id: source.id }), control: 409 },
  "packages.get": packageId,
  "packages.list": { input: ({ source }) => ({ source_id: source.id }) },
  "packages.upload": { input: ({ packageId }) => ({ id: packageId, size_bytes: 0 }) },
  "packages.update": { input: ({ packageId }) => ({ id: packageId, status: "in_progress" }) },
  "webhooks.update": { input: (things) => ({ id: things.webhookId, name: "renamed" }) },
  "webhooks.test": webhookId,
  "webhooks.deliveries": webhookId,
  "webhooks.redeliver": { input: (things) => ({ id: things.deliveryId }) },
  "webhooks.rotateSecret": webhookId,
  "alerts.resolve": { input: (things) => ({ id: things.alertId, note: "seen to" }) },
  "storages.get": storageId,
  "storages.update": { input: (things) => ({ id: things.storageId, name: "renamed" }) },
  "storages.test": storageId,
  "storages.migrate": [
    { input: (things, own) => ({ id: things.storageId, to: own.disksId }) },
    { input: (things, own) => ({ id: own.storageId, to: things.disksId }) },
  ],
  "storages.copy": [
    { input: ({ snapshot }, own) => ({ snapshot_id: snapshot.id, storage_id: own.storageId }) },
    { input: (things, own) => ({ snapshot_id: own.snapshot.id, storage_id: things.storageId }) },
  ],
  "storages.placement": { input: ({ source }) => ({ source_id: source.id }) },
  "storages.setPlacement": [
    { input: (things, own) => ({ source_id: own.source.id, storage_ids: [things.storageId] }) },
    { input: ({ source }) => ({ source_id: source.id, storage_ids: [] }) },
  ],
  "storages.remove": storageId,
  "workspaces.setRole": { input: ({ memberId }) => ({ user_id: memberId, role: "operator" }) },
  "snapshots.remove": { input: ({ snapshot }) => ({ id: snapshot.id }), control: 409 },
  "jobs.cancel": { ...jobId, control: 409 },
  "sources.pause": sourceId,
  "sources.resume": sourceId,
  "schedules.remove": { input: ({ schedule }) => ({ id: schedule.id }) },
  "tokens.revoke": { input: ({ tokenId }) => ({ id: tokenId }) },
  "workspaces.removeMember": { input: ({ memberId }) => ({ user_id: memberId }) },
  "webhooks.remove": webhookId,
  "sources.remove": sourceId,
};
/** Takes an id, but nobody is signed in yet: has a test of its own below. */
export const BEFORE_SIGN_IN = ["auth.tokenSignIn"];

/**
 * Takes what is no other workspace's, though it is called an id: a name that any may give a source of its own (see packages.test.ts), the key of a
 * bucket at its provider.
 */
/** Of the operator: whoever is no platform admin is told that nothing is there, whatever the id. Tried in tenancy.test.ts. */
export const PLATFORM = [
  "admin.createStorage",
  "admin.updateStorage",
  "admin.retireStorage",
  "admin.storageKeys",
  "admin.setStorageKey",
  "admin.removeStorageKey",
];
export const NAMES_ITS_OWN = ["packages.ingest", "storages.create"];

interface Operation {
  operationId: string;
  parameters?: ({ in: string; name: string } | { $ref: string })[];
  requestBody?: { content: Record<string, { schema: unknown }> };
}
export interface Route {
  procedure: string;
  method: string;
  path: string;
  takesIds: boolean;
}

interface Described {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

/** The routes as the hub itself describes them. Streams and the admin's are tRPC's alone and have tests of their own. */
export async function routesOf(client: Client): Promise<Route[]> {
  const { paths, components } = await client.get<Described>("/openapi.json");
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const named = (operation.parameters ?? []).flatMap((one) =>
        "name" in one && one.in !== "header" ? [one.name] : [],
      );
      const schemas = Object.values(operation.requestBody?.content ?? {}).map((one) => one.schema);
      const inBody = schemas.flatMap((schema) => fieldsOf(schema, components.schemas));
      return {
        procedure: operation.operationId.replace("-", "."),
        method: method.toUpperCase(),
        path,
        takesIds: [...named, ...inBody].some((name) => name === "id" || name.endsWith("_id")),
      };
    }),
  );
}

/** The names of all fields of a schema, however deep. */
function fieldsOf(schema: unknown, schemas: Record<string, unknown>): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([keyword, value]: [string, unknown]) => {
    if (keyword === "$ref") return fieldsOf(schemas[String(value).split("/").at(-1) ?? ""], schemas);
    const names = keyword === "properties" ? Object.keys(value as object) : [];
    return [...names, ...fieldsOf(value, schemas)];
  });
}

/** Sends an input by REST, its fields where the route has them. */
export function sendRest(client: Client, route: Route, input: Record<string, unknown>): Promise<Answer> {
  const left = { ...input };
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(left[name]);
    delete left[name];
    return encodeURIComponent(value);
  });
  const query = route.method === "GET" ? `?${new URLSearchParams(left as Record<string, string>).toString()}` : "";
  return client.send(route.method, `/api/v1${path}${query}`, left);
}
export function sendTrpc(client: Client, procedure: string, isQuery: boolean, input: unknown): Promise<Answer> {
  return isQuery
    ? client.send("GET", `/trpc/${procedure}?input=${encodeURIComponent(JSON.stringify(input))}`)
    : client.send("POST", `/trpc/${procedure}`, input);
}
