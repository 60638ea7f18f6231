// The operator's storages: offered to every workspace, or opened for each by a key of its own.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Job, PlatformStorage, Storage } from "@xvault/contracts";
import { addSource, backUp, ROOT, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startStorageLab, type StorageLab, storageLabMissing } from "./storage-lab.ts";

const why = storageLabMissing === null ? "" : ` (${storageLabMissing})`;

describe.skipIf(storageLabMissing !== null)(`the operator's storages${why}`, () => {
  let lab: StorageLab;
  let stack: StorageLab["stack"];
  let sshd: StorageLab["sshd"];
  let gateway: StorageLab["gateway"];
  let tenant: Tenant;
  let admin: StorageLab["admin"];
  let tree: string;
  let source: StorageLab["source"];

  beforeAll(async () => {
    lab = await startStorageLab();
    ({ stack, sshd, gateway, tenant, admin, tree, source } = lab);
  });
  afterAll(() => lab?.stop());

  it("lets the operator offer a storage to all: new and old workspaces have a place on it", async () => {
    const folder = { name: "Cold shelf", tier: "cold", place: { kind: "local_fs", config: { folder: "cold" } } };
    await admin.mutate<PlatformStorage>("admin.createStorage", folder);
    const later = await stack.signUp();
    for (const one of [tenant, later]) {
      const { items } = await one.api.get<{ items: Storage[] }>("/storages");
      expect(items.find(({ name }) => name === "Cold shelf")).toMatchObject({ owner: "platform", tier: "cold" });
    }
    const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
    const cold = items.find(({ name }) => name === "Cold shelf");
    if (!cold) throw new Error("not offered");
    await lab.place(cold);
    const job = await backUp(tenant, source);
    const { locator, tier } = await lab.detail(job.snapshot_id ?? "");
    expect(tier).toBe("cold");
    expect(locator.local_path).toContain("/tiers/cold/backups/");
    expect(await lab.restored(job.snapshot_id ?? "", "from-cold")).toBe("content 7\n".repeat(3000));
    // Another workspace's storage is nobody else's.
    const bucket = await tenant.api.post<Storage>("/storages", { name: "bucket", ...lab.s3() });
    const foreign = `/api/v1/sources/${source.id}/placement`;
    expect((await later.api.send("PUT", foreign, { storage_ids: [] })).status).toBe(404);
    expect((await later.api.send("GET", `/api/v1/storages/${bucket.id}`)).status).toBe(404);
  });

  it("opens the operator's storage for each workspace by its own key alone, and to none without one", async () => {
    const later = await stack.signUp();
    const [general, key] = gateway.users;
    const otherKey = await gateway.addUser();
    // Each bucket belongs to its workspace's key, and no policy lets another in. Into the first one the general key could write.
    await gateway.createBucket(`own-${tenant.workspaceId}`, { user: key });
    await gateway.createBucket(`own-${later.workspaceId}`, { user: otherKey });
    const admitted = {
      Effect: "Allow",
      Principal: { AWS: [`arn:aws:iam:::user/${general.uid}`] },
      Action: ["s3:*"],
      Resource: [`arn:aws:s3:::own-${tenant.workspaceId}`, `arn:aws:s3:::own-${tenant.workspaceId}/*`],
    };
    const policy = JSON.stringify({ Version: "2012-10-17", Statement: [admitted] });
    const answer = await gateway.request(key, "PUT", `/own-${tenant.workspaceId}?policy`, { body: policy });
    expect(answer.status, answer.body).toBeLessThan(300);

    const offer = { name: "Own buckets", tier: "cold", own_keys: true, ...lab.s3({ bucket: "own-{tenant_id}" }) };
    const made = await admin.post<PlatformStorage>("/platform/storages", offer);
    expect(made).toMatchObject({ own_keys: true, keyed: 0 });
    const offered = async (one: Tenant) =>
      (await one.api.get<{ items: Storage[] }>("/storages")).items.find(({ name }) => name === made.name);
    // Nobody has a key yet: it is not offered, and not used by who knows its id.
    const [hidden] = await stack.sql<{ id: string }>`
      select id from storages where tenant_id = ${tenant.workspaceId} and platform_storage_id = ${made.id}`;
    if (!hidden) throw new Error("no place");
    expect([await offered(tenant), await offered(later)]).toEqual([undefined, undefined]);
    const refused = { code: "STORAGE_KEY_MISSING", fix: expect.stringContaining("platform's admin") };
    const placement = await tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, {
      storage_ids: [hidden.id],
    });
    expect([placement.status, placement.body]).toEqual([409, expect.objectContaining(refused)]);
    await expect(tenant.api.post(`/storages/${hidden.id}/test`)).rejects.toMatchObject({ code: refused.code });

    // One by the API, one by the command line, which takes the admin's password for this alone.
    const secretOf = (user: { accessKeyId: string; secretAccessKey: string }) => ({
      kind: "s3",
      access_key_id: user.accessKeyId,
      secret_access_key: user.secretAccessKey,
    });
    const setKey = async (one: Tenant, user: { accessKeyId: string; secretAccessKey: string }) => {
      const path = `/api/v1/platform/storages/${made.id}/keys/${one.workspaceId}`;
      expect((await admin.send("PUT", path, { secret: secretOf(user) })).status).toBe(200);
    };
    await setKey(tenant, key);
    const file = join(sshd.home, "key");
    writeFileSync(file, `${otherKey.secretAccessKey}\n`);
    const cli = [join(ROOT, "apps/cli/src/main.ts"), "platform", "set-key", made.name, later.workspaceId];
    const keyArgs = ["--access-key-id", otherKey.accessKeyId, "--secret-key-file", file];
    const who = ["--email", stack.secrets.adminEmail, "--password-stdin"];
    const env = { PATH: process.env["PATH"], HOME: sshd.home, XVAULT_URL: stack.url };
    const ran = promisify(execFile)("node", [...cli, ...keyArgs, ...who], { env });
    ran.child.stdin?.end(stack.secrets.adminPassword);
    expect((await ran).stdout).toContain("has a key of its own on Own buckets");
    expect(await admin.get(`/platform/storages/${made.id}/keys`)).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ tenant_id: tenant.workspaceId, own_key: true }),
        expect.objectContaining({ tenant_id: later.workspaceId, own_key: true }),
      ]),
    });
    const sealed = JSON.stringify(await stack.sql`select * from storages where platform_storage_id = ${made.id}`);
    for (const user of [key, otherKey]) expect(sealed).not.toContain(user.secretAccessKey);

    const laterSource = await addSource(later, sshd, { paths: [tree], transport: "sftp" });
    const ids: string[] = [];
    for (const [one, from] of [
      [tenant, source],
      [later, laterSource],
    ] as const) {
      const own = await offered(one);
      if (!own) throw new Error("not offered");
      expect(await one.api.post(`/storages/${own.id}/test`)).toMatchObject({ ok: true });
      await one.api.send("PUT", `/api/v1/sources/${from.id}/placement`, { storage_ids: [own.id] });
      ids.push((await backUp(one, from)).snapshot_id);
    }
    // What lies there was written by the workspace's own key, and the other's cannot so much as list it.
    const owner = async (one: Tenant, id: string) => {
      const bucketPath = `/own-${one.workspaceId}?list-type=2&fetch-owner=true&prefix=backups/${one.workspaceId}`;
      const listed = await gateway.request(one === tenant ? key : otherKey, "GET", bucketPath);
      expect(listed.body).toContain(id);
      expect((await gateway.request(one === tenant ? otherKey : key, "GET", bucketPath)).status).toBe(403);
      return [...listed.body.matchAll(/<Owner><ID>([^<]+)/g)].map(([, uid]) => uid);
    };
    expect(new Set(await owner(tenant, ids[0] ?? ""))).toEqual(new Set([key.uid]));
    expect(new Set(await owner(later, ids[1] ?? ""))).toEqual(new Set([otherKey.uid]));

    // With the other's key a job reads nothing, though the operator's general key, which it never gets, would open the bucket.
    const restore = async () => {
      const target = { source_id: source.id, path: join(sshd.home, `own-${Math.random()}`) };
      return tenant.api.ended(await tenant.api.post<Job>("/restores", { snapshot_id: ids[0], target }));
    };
    await setKey(tenant, otherKey);
    expect(await restore()).toMatchObject({ state: "failed", error: { code: "STORAGE_DENIED" } });
    const path = `/api/v1/platform/storages/${made.id}/keys/${tenant.workspaceId}`;
    expect((await admin.send("DELETE", path)).status).toBe(200);
    expect(await restore()).toMatchObject({ state: "failed", error: { code: "STORAGE_KEY_MISSING" } });
    // What lies there is still shown.
    expect(await offered(tenant)).toMatchObject({ copies: 1 });
    await setKey(tenant, key);
    expect(await restore()).toMatchObject({ state: "success" });
    const { items } = await tenant.api.get<{ items: { action: string; actor_kind: string }[] }>("/audit?limit=200");
    const byAdmin = items.filter(({ actor_kind }) => actor_kind === "admin").map(({ action }) => action);
    expect(byAdmin).toEqual(["storage.key_set", "storage.key_removed", "storage.key_set", "storage.key_set"]);
  });
});
