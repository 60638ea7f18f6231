// What operations refuse by what they are asked or by how things stand, by the code that each answers then.
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { Sent } from "./document.ts";
import { bucket, bucketInput, hook, IDS, ingest, keyless, restore, shelf, shelfInput, type World } from "./fixtures.ts";

/** What is otherwise in a call than in a valid one. */
type Change = (world: World) => Partial<Sent> | Promise<Partial<Sent>>;

interface Refusal {
  /** Brings things into the state that the operations refuse. */
  enter?: (world: World) => Promise<unknown>;
  /** Undoes it. */
  leave?: (world: World) => Promise<unknown>;
  /** Set: every operation that names the code but for these is called. Otherwise those in `calls` alone. */
  allBut?: string[];
  calls?: Record<string, Change>;
}

const NOBODY = "00000000-0000-4000-8000-000000000000";
const HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const OTHER = "2cd3453c9f9b3d38aa342baeaab1ea337ea8cf6597cd452126d925975f9c108e";
const EDGE = "contract";

let made = 0;
/** A name that nothing has yet. */
const fresh = (what: string) => `${what} ${(made += 1)}`;

/** A source that is reached otherwise than the server is. */
async function lostSource({ tenant, connection }: World, change: object): Promise<string> {
  const input = { name: fresh("lost"), connection: { ...connection, ...change }, paths: ["/"] };
  return (await tenant.api.post<{ id: string }>("/sources", input)).id;
}
/** A remote that rclone would reach, as a storage. */
async function remote({ tenant }: World, host: string, path = ""): Promise<string> {
  const config = { remote_type: "ftp", parameters: { host, user: "a" }, path };
  const secret = { kind: "rclone", parameters: { pass: "b" } };
  const input = { name: fresh("remote"), place: { kind: "rclone", config }, secret };
  return (await tenant.api.post<{ id: string }>("/storages", input)).id;
}
const draft = ({ connection }: World, change: object) => ({ connection: { ...connection, ...change } });
const browse =
  (change: object): Change =>
  (world) => ({ body: draft(world, change) });
const quote =
  (change: object): Change =>
  async (world) => ({ body: restore(world, { source_id: await lostSource(world, change) }) });
const probe =
  (host: string, port = 22): Change =>
  () => ({ body: { host, port } });
const draftSource =
  (change: object): Change =>
  (world) => ({ body: { name: fresh("draft"), paths: ["/"], ...draft(world, change) } });
const scheduled = (cron: string): Record<string, Change> => ({
  "sources-create": () => ({ body: { source_id: fresh("edge"), schedule: { cron, timezone: "UTC" } } }),
  "schedules-create": ({ sourceId }) => ({ body: { source_id: sourceId, cron } }),
  "schedules-update": () => ({ body: { cron } }),
  "schedules-preview": () => ({ query: { cron, timezone: "UTC" } }),
});
const recipient = (text: string): Record<string, Change> => ({
  "keys-change": () => ({ body: { recipients: [text] } }),
});
/** Longer than what comes after it. */
const hot = { hot_days: 30_000 };
const customerHeld = async ({ stack, tenant }: World, mode: "customer" | "platform") =>
  stack.sql`update tenants set key_mode = ${mode} where id = ${tenant.workspaceId}`;

/** A package that its client has given up. */
async function failedPackage(world: World): Promise<string> {
  const id = await ingest(world);
  await world.tenant.api.patch(`/packages/${id}`, { status: "failed" });
  return id;
}
async function announced({ tenant }: World): Promise<string> {
  const input = { source_id: EDGE, path: "home", size_bytes: 6, checksum: HASH };
  return (await tenant.api.post<{ job_id: string }>("/ingest", input)).job_id;
}

export const REFUSALS: Record<string, Refusal> = {
  CREDENTIALS_INVALID: {
    calls: { "auth-tokenSignIn": ({ tenant: { email } }) => ({ body: { email, password: "another" } }) },
  },
  SCOPE_MISSING: {
    calls: {
      "auth-tokenSignIn": ({ tenant, viewer: { email, password } }) => ({
        body: { email, password, workspace_id: tenant.workspaceId, scopes: ["sources:write"] },
      }),
    },
  },
  NOT_FOUND: {
    calls: {
      "auth-tokenSignIn": ({ tenant: { email, password } }) => ({ body: { email, password, workspace_id: NOBODY } }),
    },
  },
  USERNAME_INVALID: {
    calls: {
      "sources-create": draftSource({ username: "a b" }),
      "sources-update": ({ sourceId }) => ({
        path: { id: sourceId },
        body: { connection: { username: "a b" } },
      }),
      "sources-test": browse({ username: "a b" }),
      "sources-browse": browse({ username: "a b" }),
    },
  },
  SCHEDULE_INVALID: { calls: scheduled("every now and then") },
  SCHEDULE_TOO_FREQUENT: { calls: scheduled("* * * * *") },
  PATH_INVALID: {
    calls: {
      "sources-browse": ({ sshd, sourceId }) => ({
        body: { source_id: sourceId, path: join(sshd.home, "tree/file.txt") },
      }),
      "storages-test": async (world) => ({ path: { id: await remote(world, "127.0.0.1", "a/../b") } }),
    },
  },
  PATH_MISSING: {
    calls: { "sources-browse": ({ sourceId }) => ({ body: { source_id: sourceId, path: "/no/such/path" } }) },
  },
  KEY_INVALID: {
    calls: {
      "sources-createCredential": () => ({ body: { credential: { kind: "private_key", private_key: "none" } } }),
    },
  },
  KEY_PASSPHRASE_REQUIRED: {
    calls: {
      "sources-createCredential": () => {
        const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
        const locked = { type: "pkcs1", format: "pem", cipher: "aes-128-cbc", passphrase: "a passphrase" } as const;
        return { body: { credential: { kind: "private_key", private_key: privateKey.export(locked).toString() } } };
      },
    },
  },
  RECIPIENT_INVALID: {
    enter: (world) => customerHeld(world, "customer"),
    leave: (world) => customerHeld(world, "platform"),
    calls: recipient("age1nonsense"),
  },
  RECIPIENT_IS_PRIVATE: {
    enter: (world) => customerHeld(world, "customer"),
    leave: (world) => customerHeld(world, "platform"),
    calls: recipient(`AGE-SECRET-KEY-1${"Q".repeat(58)}`),
  },
  RETENTION_INVALID: {
    calls: {
      "retention-updateConfig": () => ({ body: { retention: { backup: hot } } }),
      "retention-setRules": () => ({ body: { rules: hot } }),
      "retention-simulate": () => ({ body: { rules: hot } }),
    },
  },

  CONFLICT: {
    // As if the job were still at it.
    enter: ({ stack, spareJobId }) => stack.sql`update jobs set state = 'running' where id = ${spareJobId}`,
    leave: async ({ stack, tenant, spareJobId }) => {
      await stack.sql`update jobs set state = 'success' where id = ${spareJobId}`;
      await stack.sql`delete from placements where tenant_id = ${tenant.workspaceId}`;
      await stack.sql`delete from webhooks where tenant_id = ${tenant.workspaceId}`;
    },
    calls: {
      "workspaces-addMember": ({ viewer: { email } }) => ({ body: { email, role: "viewer" } }),
      "workspaces-setRole": ({ tenant }) => ({ path: { user_id: tenant.userId }, body: { role: "viewer" } }),
      "workspaces-removeMember": ({ tenant }) => ({ path: { user_id: tenant.userId } }),
      "sources-create": () => ({ body: { source_id: "an edge" } }),
      "snapshots-remove": ({ spareSnapshotId }) => ({ path: { id: spareSnapshotId } }),
      "packages-update": async (world) => ({
        path: { id: await failedPackage(world) },
        body: { status: "completed" },
      }),
      "packages-upload": async (world) => ({ path: { id: await failedPackage(world) } }),
      "storages-create": () => ({ body: bucketInput("bucket 1") }),
      "storages-update": () => ({ body: { name: "bucket 1" } }),
      "storages-remove": async (world) => {
        const id = await bucket(world);
        await world.tenant.api.send("PUT", `/api/v1/sources/${world.edgeId}/placement`, { storage_ids: [id] });
        return { path: { id } };
      },
      "storages-copy": ({ disksId }) => ({ body: { storage_id: disksId } }),
      "admin-createStorage": async (world) => ({ body: shelfInput((await shelf(world)).name) }),
      "admin-updateStorage": async (world) => ({ body: { name: (await shelf(world)).name } }),
      // The workspace has a bucket of this name.
      "admin-setStorageKey": async ({ admin }) => ({
        path: { id: (await admin.post<{ id: string }>("/platform/storages", shelfInput("bucket 1"))).id },
      }),
      "webhooks-create": async (world) => {
        // As many as a workspace may have, and one more.
        for (let at = 0; at < 21; at += 1) await world.tenant.api.send("POST", "/api/v1/webhooks", hook(world));
        return {};
      },
      "alerts-resolve": async (world) => {
        const id = (await IDS["/alerts/"]?.(world)) ?? "";
        await world.tenant.api.post(`/alerts/${id}/resolve`, { note: "Seen." });
        return { path: { id } };
      },
      "retention-acknowledge": ({ edgeId }) => ({ path: { source_id: edgeId } }),
    },
  },
  JOB_NOT_CANCELLABLE: { calls: { "jobs-cancel": ({ jobId }) => ({ path: { id: jobId } }) } },
  SNAPSHOT_NEEDED: {
    enter: ({ tenant, snapshotId }) => tenant.api.post(`/snapshots/${snapshotId}/pin`),
    leave: ({ tenant, snapshotId }) => tenant.api.remove(`/snapshots/${snapshotId}/pin`),
    calls: { "snapshots-remove": ({ snapshotId }) => ({ path: { id: snapshotId } }) },
  },
  CHECKSUM_MISMATCH: {
    calls: {
      "packages-update": async (world) => ({ path: { id: await announced(world) }, body: { checksum: OTHER } }),
      "packages-upload": async (world) => ({ path: { id: await announced(world) }, body: { checksum: OTHER } }),
    },
  },
  SOURCE_PAUSED: {
    enter: ({ stack, tenant }) =>
      stack.sql`update sources set state = 'paused' where tenant_id = ${tenant.workspaceId}`,
    leave: ({ stack, tenant }) =>
      stack.sql`update sources set state = 'active' where tenant_id = ${tenant.workspaceId}`,
    allBut: [],
    calls: {
      "packages-ingest": () => ({ body: { source_id: EDGE, path: "home" } }),
      "packages-upload": ({ packageId }) => ({ path: { id: packageId } }),
    },
  },
  KEY_CUSTOMER_HELD: {
    enter: ({ stack, tenant }) =>
      stack.sql`update tenant_keys set holder = 'customer' where tenant_id = ${tenant.workspaceId}`,
    leave: ({ stack, tenant }) =>
      stack.sql`update tenant_keys set holder = 'platform' where tenant_id = ${tenant.workspaceId}`,
    allBut: [],
  },
  ARTIFACT_MISSING: {
    enter: ({ stack, tenant }) =>
      stack.sql`update copies set state = 'removed' where tenant_id = ${tenant.workspaceId}`,
    leave: async ({ stack, tenant }) => {
      await stack.sql`update copies set state = 'complete' where tenant_id = ${tenant.workspaceId}`;
      await stack.sql`
        update snapshots set state = 'complete', expires_at = null
        where tenant_id = ${tenant.workspaceId} and state = 'expired'`;
    },
    // Where there is no copy, there is nothing to move.
    allBut: ["storages-migrate"],
    calls: { "snapshots-remove": ({ spareSnapshotId }) => ({ path: { id: spareSnapshotId } }) },
  },

  TARGET_FORBIDDEN: {
    calls: {
      "sources-probe": probe("169.254.169.254"),
      "sources-browse": browse({ host: "169.254.169.254" }),
      "restores-quote": quote({ host: "169.254.169.254" }),
      "storages-test": async ({ tenant }) => {
        const input = bucketInput(fresh("forbidden"), "http://169.254.169.254");
        return { path: { id: (await tenant.api.post<{ id: string }>("/storages", input)).id } };
      },
    },
  },
  HOST_UNRESOLVED: {
    calls: {
      "sources-probe": probe("nowhere.invalid"),
      "sources-browse": browse({ host: "nowhere.invalid" }),
      "restores-quote": quote({ host: "nowhere.invalid" }),
      "storages-test": async (world) => ({ path: { id: await remote(world, "nowhere.invalid") } }),
    },
  },
  HOST_UNREACHABLE: {
    calls: {
      "sources-probe": probe("127.0.0.1", 9),
      "sources-browse": browse({ port: 9 }),
      "restores-quote": quote({ port: 9 }),
    },
  },
  HOST_KEY_CHANGED: {
    calls: {
      "sources-browse": (world) => ({ body: draft(world, { host_key: anotherKey(world) }) }),
      "restores-quote": async (world) => {
        const source_id = await lostSource(world, { host_key: anotherKey(world) });
        return { body: restore(world, { source_id }) };
      },
    },
  },
  LOGIN_REFUSED: {
    calls: {
      "sources-browse": browse({ username: "nobody-here" }),
      "restores-quote": quote({ username: "nobody-here" }),
    },
  },
  STORAGE_KEY_MISSING: {
    calls: {
      "sources-create": async (world) => ({
        body: { name: fresh("draft"), paths: ["/"], ...draft(world, {}), storage_ids: [await keyless(world)] },
      }),
      "storages-test": async (world) => ({ path: { id: await keyless(world) } }),
      "storages-migrate": async (world) => ({ body: { to: await keyless(world), keep: false } }),
      "storages-setPlacement": async (world) => ({ body: { storage_ids: [await keyless(world)] } }),
      "storages-copy": async (world) => ({ body: { storage_id: await keyless(world) } }),
    },
  },
  OBJECT_LOCKED: {
    enter: ({ stack, tenant }) =>
      stack.sql`update copies set locked_until = now() + interval '1 day' where tenant_id = ${tenant.workspaceId}`,
    leave: ({ stack, tenant }) =>
      stack.sql`update copies set locked_until = null where tenant_id = ${tenant.workspaceId}`,
    calls: {
      "snapshots-remove": ({ spareSnapshotId }) => ({ path: { id: spareSnapshotId } }),
      "storages-copy": ({ disksId, bucketId }) => ({ body: { storage_id: bucketId, move_from: disksId } }),
      "storages-migrate": ({ disksId, bucketId }) => ({ path: { id: disksId }, body: { to: bucketId, keep: false } }),
    },
  },
  ENTRY_CONFLICT: {
    calls: {
      "restores-quote": (world) => ({ body: restore(world, { path: join(world.sshd.home, "tree/file.txt") }) }),
    },
  },
};

/** The same once every worker was revoked. */
export const DESERTED: Record<string, Refusal> = {
  NO_WORKER: {
    allBut: [],
    calls: {
      "snapshots-remove": ({ baseSnapshotId }) => ({ path: { id: baseSnapshotId } }),
      "storages-migrate": ({ disksId, bucketId }) => ({ path: { id: disksId }, body: { to: bucketId, keep: false } }),
    },
  },
};

/** Codes (or those of one operation) that the document names and nothing here brings about: what it would take. */
export const OUT_OF_REACH: Record<string, string> = {
  UNAVAILABLE: "a worker that takes a question and does not answer it for a minute",
  CANCELLED: "somebody who cancels another's question within the second that it takes",
  CONNECTION_LOST: "a server that hangs up in the middle of a login: packages/source tests that",
  REMOTE_FAILED: "a server without SFTP: packages/source tests that",
  PATH_DENIED: "a server on which we are not root: packages/source tests that",
  ENTRY_THROUGH_SYMLINK: "links below a target: packages/source tests that",
  "restores-quote STORAGE_DENIED": "a bucket that has copies and lets nobody in: packages/storage tests that",
  SIGNATURE_INVALID: "stored bytes that somebody changed: packages/engine tests that",
  SIGNER_REVOKED: "the same",
  MANIFEST_TENANT_MISMATCH: "the same",
  ARTIFACT_CORRUPT: "the same",
  ARCHIVE_MALFORMED: "the same",
  ARCHIVE_TRUNCATED: "the same",
};

/** A key of the same kind, of which the last bytes are others. */
function anotherKey({ connection: { host_key } }: World): World["connection"]["host_key"] {
  const blob = Buffer.from(host_key.key, "base64");
  blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1;
  return { ...host_key, key: blob.toString("base64") };
}
