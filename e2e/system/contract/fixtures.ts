// What the contract test needs to know beside the document: which things there are, and what an operation wants that its example does not say.
import { join } from "node:path";
import type { Job } from "@xvault/contracts";
import type { Sshd } from "@xvault/test-kit/ssh";
import type { Client, Stack, Tenant } from "@xvault/test-kit/stack";

/** What there is before the calls begin. */
export interface World {
  stack: Stack;
  sshd: Sshd;
  tenant: Tenant;
  /** The platform's admin, by a session. */
  admin: Client;
  /** Somebody who has an account and is in no workspace but the own. */
  stranger: Tenant;
  /** A member of the tenant's workspace, who may look at things and no more. */
  viewer: Tenant;
  /** A server, backed up twice, and the second time a canary of it was another; an edge source beside it. */
  sourceId: string;
  edgeId: string;
  jobId: string;
  snapshotId: string;
  /** How that server is reached. */
  connection: Connection;
  /** A snapshot of a source that was removed since, which nothing needs; the job that made it; and the snapshot that it needs. */
  spareSnapshotId: string;
  spareJobId: string;
  baseSnapshotId: string;
  /** A package that its client has announced, and no more. */
  packageId: string;
  /** The workers' disks as a storage, and a bucket where nobody listens. */
  disksId: string;
  bucketId: string;
}

export interface Connection {
  host: string;
  port: number;
  username: string;
  host_key: { algorithm: string; key: string; fingerprint: string };
  credential_id: string;
}

type Make = (world: World) => string | Promise<string>;

export const ingest = async ({ tenant }: Pick<World, "tenant">): Promise<string> =>
  (await tenant.api.post<{ job_id: string }>("/ingest", { source_id: "contract", path: "home" })).job_id;
export const hook = (world: World) => ({
  name: "contract",
  url: `${world.stack.url}/healthz`,
  events: ["backup.failed"],
});
const webhook: Make = async (world) => {
  const answer = await world.tenant.api.post<{ webhook: { id: string } }>("/webhooks", hook(world));
  return answer.webhook.id;
};

let buckets = 0;
/** A bucket where nobody listens, as it is added. */
export const bucketInput = (name: string, endpoint = "http://127.0.0.1:9") => ({
  name,
  place: { kind: "s3", config: { endpoint, region: "r", bucket: "nowhere" } },
  secret: { kind: "s3", access_key_id: "a", secret_access_key: "of-the-key" },
});
export const bucket = async ({ tenant }: Pick<World, "tenant">): Promise<string> => {
  buckets += 1;
  return (await tenant.api.post<{ id: string }>("/storages", bucketInput(`bucket ${buckets}`))).id;
};

let shelves = 0;
/** A storage of the operator's, as it is added. */
export const shelfInput = (name: string) => ({ ...bucketInput(name), offered: false, own_keys: true });
/** A storage of the operator's, on which the tenant has a key. */
export const shelf = async ({
  admin,
  tenant,
}: Pick<World, "admin" | "tenant">): Promise<{ id: string; name: string }> => {
  shelves += 1;
  const input = shelfInput(`shelf ${shelves}`);
  const { id } = await admin.post<{ id: string }>("/platform/storages", input);
  const { secret, name } = input;
  await admin.send("PUT", `/api/v1/platform/storages/${id}/keys/${tenant.workspaceId}`, { secret });
  return { id, name };
};
/** The tenant's place on one of the operator's, whose key was taken back. */
export const keyless = async (world: World): Promise<string> => {
  const { admin, tenant, stack } = world;
  const { id } = await shelf(world);
  await admin.send("DELETE", `/api/v1/platform/storages/${id}/keys/${tenant.workspaceId}`);
  const [row] = await stack.sql<{ id: string }>`select id from storages where platform_storage_id = ${id}`;
  return row?.id ?? "";
};

/** The id for a path's parameter, by what stands before it. A new kind of thing wants a line here. */
export const IDS: Record<string, Make> = {
  "/sources/": ({ edgeId }) => edgeId,
  "/jobs/": ({ jobId }) => jobId,
  "/snapshots/": ({ snapshotId }) => snapshotId,
  "/packages/": ingest,
  "/retention/": () => "user_data",
  "/schedules/": async ({ tenant, sourceId }) =>
    (await tenant.api.post<{ id: string }>("/schedules", { source_id: sourceId, cron: "0 3 * * *" })).id,
  "/members/": ({ viewer }) => viewer.userId,
  "/tokens/": async ({ tenant }) => {
    const input = { name: "spare", scopes: ["jobs:read"] };
    return (await tenant.web.mutate<{ api_token: { id: string } }>("tokens.create", input)).api_token.id;
  },
  "/webhooks/": webhook,
  "/proofs/": async ({ tenant, snapshotId }) => {
    const drill = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${snapshotId}/drill`));
    return String(drill.result?.["proof_id"]);
  },
  "/storages/": bucket,
  "/platform/storages/": async (world) => (await shelf(world)).id,
  "/platform/storages/{id}/keys/": ({ tenant }) => tenant.workspaceId,
  "/deliveries/": async (world) =>
    (await world.tenant.api.post<{ id: string }>(`/webhooks/${await webhook(world)}/test`)).id,
  "/alerts/": async ({ stack, tenant, sourceId }) => {
    const [row] = await stack.sql<{ id: string }>`
      insert into alerts (id, tenant_id, kind, severity, subject_kind, subject_id, message, fix)
      values (gen_random_uuid(), ${tenant.workspaceId}, 'contract', 'warning', 'source', ${sourceId}, 'x', 'y')
      returning id`;
    return row?.id ?? "";
  },
};

/** The ids that stand in the place of those in an example's body, by their field's name. */
export const BODY_IDS: Record<string, (world: World) => string> = {
  source_id: ({ sourceId }) => sourceId,
  snapshot_id: ({ snapshotId }) => snapshotId,
  storage_id: ({ bucketId }) => bucketId,
  to: ({ disksId }) => disksId,
};

export interface Wish {
  id?: Make;
  query?: (world: World) => Record<string, string>;
  body?: (world: World) => Record<string, unknown>;
}

/** What an operation wants that neither its example nor the tables above say. */
export const WISHES: Record<string, Wish> = {
  "auth-tokenSignIn": { body: ({ tenant: { email, password } }) => ({ email, password }) },
  "workspaces-addMember": { body: ({ stranger }) => ({ email: stranger.email, role: "viewer" }) },
  "sources-create": { body: () => ({ source_id: "made by contract" }) },
  "sources-probe": { body: ({ sshd }) => ({ host: sshd.host, port: sshd.port }) },
  "sources-browse": { body: ({ sshd, sourceId }) => ({ source_id: sourceId, path: sshd.home }) },
  "sources-backUp": { id: ({ sourceId }) => sourceId },
  "jobs-cancel": { id: ingest },
  "snapshots-remove": { id: ({ spareSnapshotId }) => spareSnapshotId },
  "snapshots-hold": {
    body: () => ({ until: new Date(Date.now() + 86_400_000).toISOString() }),
    id: ({ snapshotId }) => snapshotId,
  },
  "retention-acknowledge": { id: ({ sourceId }) => sourceId },
  "storages-setPlacement": { body: ({ disksId }) => ({ storage_ids: [disksId] }) },
  "restores-create": { body: (world) => restore(world) },
  "restores-quote": { body: (world) => restore(world) },
  "webhooks-create": { body: hook },
  "checks-check": { body: () => ({ depth: "content" }) },
};

export function restore(
  { sshd, sourceId, snapshotId }: World,
  target: { source_id?: string; path?: string } = {},
): Record<string, unknown> {
  return { snapshot_id: snapshotId, target: { source_id: sourceId, path: join(sshd.home, "restored"), ...target } };
}
