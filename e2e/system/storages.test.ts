// Snapshots lie where their sources are placed: on several storages at once, the source read once; in buckets and on workers' disks; they move
// without a moment in which there is no copy.
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Copy, Job, LifecyclePlan, PlatformStorage, Snapshot, Source, Storage } from "@xvault/contracts";
import { type Radosgw, radosgwAvailable, startRadosgw } from "@xvault/test-kit/s3";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, backUp, type Client, ROOT, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = sshdAvailable() ?? radosgwAvailable();
type Detail = Snapshot & { all_copies: Copy[] };

describe.skipIf(missing !== null)(`storages${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let gateway: Radosgw;
  let tenant: Tenant;
  let admin: Client;
  let tree: string;
  let source: Source;
  let bucket: Storage;
  let disks: Storage;

  beforeAll(async () => {
    [stack, sshd, gateway] = await Promise.all([
      startStack({ queue: "postgres", workers: 1, env: { hub: { XVAULT_LIFECYCLE_SECONDS: "1" } } }),
      startSshd(),
      startRadosgw(),
    ]);
    await gateway.createBucket("backups-of-test");
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    for (let at = 0; at < 20; at += 1) writeFileSync(join(tree, `file-${at}`), `content ${at}\n`.repeat(3000));
    tenant = await stack.signUp();
    admin = await stack.admin();
    source = await addSource(tenant, sshd, { paths: [tree], transport: "sftp" });
    const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
    const [only] = items;
    if (!only) throw new Error("a new workspace has no storage");
    disks = only;
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
    await gateway?.stop();
  });

  const s3 = (over: { secret?: string; bucket?: string } = {}) => ({
    place: {
      kind: "s3",
      config: { endpoint: gateway.endpoint, region: gateway.region, bucket: over.bucket ?? "backups-of-test" },
    },
    secret: {
      kind: "s3",
      access_key_id: gateway.users[0].accessKeyId,
      secret_access_key: over.secret ?? gateway.users[0].secretAccessKey,
    },
  });
  const place = (...storages: Storage[]) =>
    tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, { storage_ids: storages.map(({ id }) => id) });
  const detail = (id: string) => tenant.api.get<Detail>(`/snapshots/${id}`);
  const whole = async (id: string) =>
    (await detail(id)).all_copies.filter(({ state }) => state === "complete").map(({ storage_name }) => storage_name);
  const restored = async (id: string, name: string) => {
    const path = join(sshd.home, name);
    const target = { source_id: source.id, path };
    const job = await tenant.api.ended(await tenant.api.post<Job>("/restores", { snapshot_id: id, target }));
    expect(job).toMatchObject({ state: "success", error: null });
    return readFileSync(join(path, tree, "file-7"), "utf8");
  };
  const change = (text: string) => {
    writeFileSync(join(tree, "file-7"), text);
    utimesSync(join(tree, "file-7"), new Date(), new Date(Date.now() - 60_000 - text.length * 1000));
  };

  it("tries a bucket before it is used, and says what is wrong with one", async () => {
    const wrong = await tenant.api.post<Storage>("/storages", { name: "wrong", ...s3({ secret: "not-the-secret" }) });
    const refused = await tenant.api.post<{ ok: boolean; checks: { id: string; message: string; fix?: string }[] }>(
      `/storages/${wrong.id}/test`,
    );
    expect(refused).toMatchObject({ ok: false, checks: [{ id: "write", status: "failed" }, {}, {}, {}, {}] });
    expect(JSON.stringify(refused)).not.toContain("not-the-secret");
    await tenant.api.remove(`/storages/${wrong.id}`);
    bucket = await tenant.api.post<Storage>("/storages", { name: "bucket", tier: "warm", ...s3() });
    expect(await tenant.api.post(`/storages/${bucket.id}/test`)).toMatchObject({ ok: true });
    expect(JSON.stringify(await tenant.api.get("/storages"))).not.toContain(gateway.users[0].secretAccessKey);
    // A folder of the workers' disks is not a tenant's to choose.
    const folder = { name: "folder", place: { kind: "local_fs", config: { folder: "x" } } };
    await expect(tenant.api.post("/storages", folder)).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("writes one run to several storages, and the next one builds on it", async () => {
    await place(disks, bucket);
    const first = await backUp(tenant, source);
    expect(await whole(first.snapshot_id ?? "")).toEqual(["Worker disks", "bucket"]);
    change("changed once");
    const second = await backUp(tenant, source);
    expect(Number(second.result?.["unchanged_files"])).toBeGreaterThan(10);
    expect(await whole(second.snapshot_id ?? "")).toEqual(["Worker disks", "bucket"]);
    // What lies on the worker's disk and in the bucket is the same, so each is whole by itself.
    const { locator, all_copies } = await detail(second.snapshot_id ?? "");
    expect(locator).toMatchObject({ storage_backend: "local_fs", local_path: expect.stringContaining("backups") });
    expect(all_copies[1]?.location).toMatch(/^s3:\/\/backups-of-test\/backups\//);
    expect(await restored(second.snapshot_id ?? "", "from-disk")).toBe("changed once");
  });

  it("moves snapshots with what they need, never leaving one without a copy, and reads them where they are", async () => {
    await place(bucket);
    change("in the bucket alone");
    const job = await backUp(tenant, source);
    const id = job.snapshot_id ?? "";
    expect(await whole(id)).toEqual(["bucket"]);
    expect(await restored(id, "from-bucket")).toBe("in the bucket alone");
    const ticket = await tenant.api.post<{ url: string }>(`/snapshots/${id}/download-ticket`, {
      paths: [join(tree, "file-7")],
      format: "file",
    });
    expect(await (await fetch(ticket.url)).text()).toBe("in the bucket alone");
    // From the bucket back to the disks: the earlier ones that it refers to are there already.
    const back = await tenant.api.post<Job>(`/snapshots/${id}/copies`, { storage_id: disks.id });
    expect(await tenant.api.ended(back)).toMatchObject({ type: "transfer", state: "success", error: null });
    expect(await whole(id)).toEqual(["Worker disks", "bucket"]);
    const { locator } = await detail(id);
    expect(readdirSync(locator.local_path ?? "").toSorted()).toContain("manifest.json");
    // All away from the disks: what is in the bucket stays, the disks keep tombstones.
    const { jobs } = await tenant.api.post<{ jobs: number }>(`/storages/${disks.id}/migration`, { to: bucket.id });
    expect(jobs).toBe(3);
    await expect
      .poll(async () => (await tenant.api.get<Storage>(`/storages/${disks.id}`)).copies, { timeout: 60_000 })
      .toBe(0);
    expect(await whole(id)).toEqual(["bucket"]);
    expect(readdirSync(locator.local_path ?? "")).toEqual(["tombstone.json"]);
    expect(await restored(id, "after-migration")).toBe("in the bucket alone");
    await expect(tenant.api.remove(`/storages/${bucket.id}`)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("is restored from the bucket and the recovery kit alone, by a command that asks no hub", async () => {
    const work = mkdtempSync(join(tmpdir(), "xvault-bucket-"));
    try {
      const { content } = await tenant.web.mutate<{ content: string }>("keys.recoveryKit", {});
      writeFileSync(join(work, "kit.txt"), content, { mode: 0o600 });
      const { accessKeyId, secretAccessKey } = gateway.users[0];
      const recover = (from: string, keys: Record<string, string>, ...more: string[]) => {
        const args = ["recover", "--from", from, "--endpoint", gateway.endpoint, "--identity", join(work, "kit.txt")];
        const env = { PATH: process.env["PATH"], HOME: work, ...keys };
        return promisify(execFile)("node", [join(ROOT, "apps/cli/src/main.ts"), ...args, ...more, "--json"], { env });
      };
      const keys = { XVAULT_S3_ACCESS_KEY_ID: accessKeyId, XVAULT_S3_SECRET_ACCESS_KEY: secretAccessKey };
      const lines = ({ stdout }: { stdout: string }) =>
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      const list = lines(await recover("s3://backups-of-test", keys, "--list"));
      expect(list.length).toBe(3);
      for (const one of list) expect(one).toMatchObject({ signature: "genuine", opens: true, finding: null });
      // The newest needs earlier artifacts, which lie beside it and not below what is named.
      const out = join(work, "out");
      const ran = await recover(String(list[0]?.["directory"]), keys, "--target", out, "--path", tree);
      expect(lines(ran).at(-1)).toMatchObject({ message_type: "summary", verified: true, problems: 0 });
      expect(readFileSync(join(out, tree, "file-7"), "utf8")).toBe("in the bucket alone");
      expect(readFileSync(join(out, tree, "file-3"), "utf8")).toBe("content 3\n".repeat(3000));
      const wrong = { ...keys, XVAULT_S3_SECRET_ACCESS_KEY: "not-the-secret" };
      await expect(recover("s3://backups-of-test", wrong, "--list")).rejects.toMatchObject({
        stdout: expect.stringContaining("STORAGE_DENIED"),
      });
      await expect(recover("s3://backups-of-test", {}, "--list")).rejects.toMatchObject({ code: 2 });
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });

  it("goes on with the storages that work, and makes up for the others when they are back", async () => {
    const secret = { kind: "s3", access_key_id: gateway.users[0].accessKeyId, secret_access_key: "changed-behind-us" };
    await place(disks, bucket);
    await tenant.api.patch(`/storages/${bucket.id}`, { secret });
    change("while the bucket refuses");
    const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`));
    expect(job).toMatchObject({ state: "warning" });
    const id = job.snapshot_id ?? "";
    expect(await whole(id)).toEqual(["Worker disks"]);
    // What the bucket refuses is not asked again and again; once a run reaches it, what it missed follows.
    const refused = async () =>
      (await tenant.api.get<{ items: Job[] }>("/jobs?type=transfer&state=failed")).items.map((one) => one.snapshot_id);
    await expect.poll(refused, { timeout: 60_000 }).toContain(id);
    await tenant.api.patch(`/storages/${bucket.id}`, { secret: s3().secret });
    change("once the bucket takes it again");
    await backUp(tenant, source);
    await expect.poll(() => whole(id), { timeout: 60_000 }).toEqual(["Worker disks", "bucket"]);
  });

  it("clears away what a run that died has left in a bucket, and nothing else", async () => {
    const left = `/backups-of-test/backups/${tenant.workspaceId}/${source.id}/0199f2c4-7c1d-7a52-9d41-3f6f1c9b2a10`;
    const [user] = gateway.users;
    expect((await gateway.request(user, "PUT", `${left}/backup.tar.zst.enc`, { body: "half" })).status).toBe(200);
    change("after a run that died");
    const job = await backUp(tenant, source);
    expect(await whole(job.snapshot_id ?? "")).toEqual(["Worker disks", "bucket"]);
    expect((await gateway.request(user, "HEAD", `${left}/backup.tar.zst.enc`)).status).toBe(404);
    const { items } = await tenant.api.get<{ items: Snapshot[] }>("/snapshots");
    for (const { id } of items) expect(await whole(id)).toContain("bucket");
  });

  it("removes every copy of what is removed", async () => {
    const { items } = await tenant.api.get<{ items: Snapshot[] }>("/snapshots");
    const full = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true }));
    expect(full).toMatchObject({ state: "success" });
    const [newest] = items;
    if (!newest) throw new Error("no snapshot");
    const before = await detail(newest.id);
    await tenant.api.ended(await tenant.api.remove<Job>(`/snapshots/${newest.id}`));
    await expect.poll(async () => (await detail(newest.id)).all_copies.length, { timeout: 60_000 }).toBe(0);
    expect(existsSync(join(before.locator.local_path ?? "", "manifest.json"))).toBe(false);
  });

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
    await place(cold);
    const job = await backUp(tenant, source);
    const { locator, tier } = await detail(job.snapshot_id ?? "");
    expect(tier).toBe("cold");
    expect(locator.local_path).toContain("/tiers/cold/backups/");
    expect(await restored(job.snapshot_id ?? "", "from-cold")).toBe("after a run that died");
    // Another workspace's storage is nobody else's.
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

    const offer = { name: "Own buckets", tier: "cold", own_keys: true, ...s3({ bucket: "own-{tenant_id}" }) };
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

  it("waits with the end of a snapshot until the storage's lock has run out, says until when, and loses nothing meanwhile", async () => {
    const [user] = gateway.users;
    await gateway.createBucket("locked", { lock: true });
    const one = await stack.signUp();
    const lock = { mode: "GOVERNANCE", days: 1 };
    const { secret, place: bare } = s3({ bucket: "locked" });
    const vault = await one.api.post<Storage>("/storages", {
      name: "locked",
      place: { ...bare, config: { ...bare.config, lock } },
      secret,
    });
    const proven = one.api.post<{ ok: boolean }>(`/storages/${vault.id}/test`);
    const from = await addSource(one, sshd, { paths: [tree], transport: "sftp" });
    await one.api.send("PUT", `/api/v1/sources/${from.id}/placement`, { storage_ids: [vault.id] });
    const full = async () => {
      const job = await one.api.ended(await one.api.post<Job>(`/sources/${from.id}/backup`, { full: true }));
      expect(job).toMatchObject({ state: "success" });
      return job.snapshot_id ?? "";
    };
    const first = await full();
    const second = await full();
    const shown = (id: string) => one.api.get<Detail>(`/snapshots/${id}`);
    const untilOf = async (id: string) => Date.parse((await shown(id)).all_copies[0]?.locked_until ?? "");
    const hours = 3_600_000;
    expect(await untilOf(first)).toBeGreaterThan(Date.now() + 23 * hours);
    expect(await proven).toMatchObject({ ok: true });
    expect(await one.api.get(`/storages/${vault.id}`)).toMatchObject({ lock: "enforced" });

    // It is due at once, and waits: the plan says for what and until when. By hand it is no different.
    const age = 1 / 86_400;
    const rules = { hot_days: age, warm_days: 2 * age, cold_days: 3 * age, offsite_days: 4 * age, min_keep: 1 };
    await one.api.send("PUT", "/api/v1/retention/user_data", { rules });
    const waiting = async () => {
      const { items } = await one.api.get<LifecyclePlan>("/retention/plan");
      return items.find(({ kind, snapshot_id }) => kind === "expire" && snapshot_id === first)?.waits_for;
    };
    await expect.poll(waiting, { timeout: 60_000 }).toMatchObject({ kind: "lock" });
    const known = new Date(await untilOf(first)).toISOString();
    await expect(one.api.remove(`/snapshots/${first}`)).rejects.toMatchObject({
      code: "OBJECT_LOCKED",
      message: expect.stringContaining(known),
    });
    expect((await shown(first)).state).toBe("complete");

    // A lock that is longer than was known (a bucket's own, an administrator's) is found out by the removal: what is locked is shown again.
    await stack.sql`update copies set locked_until = null where snapshot_id = ${first}`;
    const ended = async () =>
      (await one.api.get<{ items: Job[] }>("/jobs?type=expire&state=failed")).items.map(({ error }) => error?.code);
    await expect.poll(ended, { timeout: 60_000 }).toEqual(["OBJECT_LOCKED"]);
    expect((await shown(first)).state).toBe("complete");
    expect(await untilOf(first)).toBeGreaterThan(Date.now() + 23 * hours);
    const restore = { source_id: from.id, path: join(sshd.home, "from-locked") };
    const back = await one.api.post<Job>("/restores", { snapshot_id: first, target: restore });
    expect(await one.api.ended(back)).toMatchObject({ state: "success", error: null });

    // The administrator of the bucket makes the lock one of seconds; nothing less than that lets the snapshot go.
    const below = `backups/${one.workspaceId}/${from.id}/${first}`;
    const listed = await gateway.request(user, "GET", `/locked?list-type=2&prefix=${below}`);
    const names = [...listed.body.matchAll(/<Key>([^<]+)/g)].map(([, name]) => name ?? "");
    expect(names).toContain(`${below}/manifest.json`);
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 5000).toISOString();
    const body = `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
    const headers = { "x-amz-bypass-governance-retention": "true" };
    for (const name of names) {
      const shortened = await gateway.request(user, "PUT", `/locked/${name}?retention`, { body, headers });
      expect(shortened.status, shortened.body).toBe(200);
    }
    await stack.sql`update copies set locked_until = ${until} where snapshot_id = ${first}`;
    await expect.poll(async () => (await shown(first)).state, { timeout: 60_000 }).toBe("expired");
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(until));
    await expect.poll(async () => (await shown(first)).all_copies.length, { timeout: 60_000 }).toBe(0);
    const left = await gateway.request(user, "GET", `/locked?versions&prefix=${below}`);
    const kept = [...left.body.matchAll(/<Key>([^<]+)/g)].map(([, name]) => name);
    expect(new Set(kept)).toEqual(new Set([`${below}/tombstone.json`]));
    expect((await shown(second)).state).toBe("complete");
  });
});
