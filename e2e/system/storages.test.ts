// Snapshots lie where their sources are placed: on several storages at once, the source read once; in buckets and on workers' disks; they move
// without a moment in which there is no copy.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Job, Snapshot, Storage } from "@xvault/contracts";
import { backUp, ROOT } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startStorageLab, type StorageLab, storageLabMissing } from "./storage-lab.ts";

const why = storageLabMissing === null ? "" : ` (${storageLabMissing})`;

describe.skipIf(storageLabMissing !== null)(`storages${why}`, () => {
  let lab: StorageLab;
  let gateway: StorageLab["gateway"];
  let tenant: StorageLab["tenant"];
  let tree: string;
  let source: StorageLab["source"];
  let disks: Storage;
  let bucket: Storage;

  beforeAll(async () => {
    lab = await startStorageLab();
    ({ gateway, tenant, tree, source, disks } = lab);
  });
  afterAll(() => lab?.stop());

  const whole = async (id: string) =>
    (await lab.detail(id)).all_copies
      .filter(({ state }) => state === "complete")
      .map(({ storage_name }) => storage_name);
  const change = (text: string) => {
    writeFileSync(join(tree, "file-7"), text);
    utimesSync(join(tree, "file-7"), new Date(), new Date(Date.now() - 60_000 - text.length * 1000));
  };

  it("tries a bucket before it is used, and says what is wrong with one", async () => {
    const wrong = await tenant.api.post<Storage>("/storages", {
      name: "wrong",
      ...lab.s3({ secret: "not-the-secret" }),
    });
    const refused = await tenant.api.post<{ ok: boolean; checks: { id: string; message: string; fix?: string }[] }>(
      `/storages/${wrong.id}/test`,
    );
    expect(refused).toMatchObject({ ok: false, checks: [{ id: "write", status: "failed" }, {}, {}, {}, {}] });
    expect(JSON.stringify(refused)).not.toContain("not-the-secret");
    await tenant.api.remove(`/storages/${wrong.id}`);
    await expect(tenant.api.post(`/storages/${wrong.id}/test`)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(tenant.api.patch(`/storages/${wrong.id}`, { name: "again" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    bucket = await tenant.api.post<Storage>("/storages", { name: "bucket", tier: "warm", ...lab.s3() });
    expect(await tenant.api.post(`/storages/${bucket.id}/test`)).toMatchObject({ ok: true });
    expect(JSON.stringify(await tenant.api.get("/storages"))).not.toContain(gateway.users[0].secretAccessKey);
    // A folder of the workers' disks is not a tenant's to choose.
    const folder = { name: "folder", place: { kind: "local_fs", config: { folder: "x" } } };
    await expect(tenant.api.post("/storages", folder)).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("writes one run to several storages, and the next one builds on it", async () => {
    await lab.place(disks, bucket);
    const first = await backUp(tenant, source);
    expect(await whole(first.snapshot_id ?? "")).toEqual(["Worker disks", "bucket"]);
    change("changed once");
    const second = await backUp(tenant, source);
    expect(Number(second.result?.["unchanged_files"])).toBeGreaterThan(10);
    expect(await whole(second.snapshot_id ?? "")).toEqual(["Worker disks", "bucket"]);
    // What lies on the worker's disk and in the bucket is the same, so each is whole by itself.
    const { locator, all_copies } = await lab.detail(second.snapshot_id ?? "");
    expect(locator).toMatchObject({ storage_backend: "local_fs", local_path: expect.stringContaining("backups") });
    expect(all_copies[1]?.location).toMatch(/^s3:\/\/backups-of-test\/backups\//);
    expect(await lab.restored(second.snapshot_id ?? "", "from-disk")).toBe("changed once");
  });

  it("moves snapshots with what they need, never leaving one without a copy, and reads them where they are", async () => {
    await lab.place(bucket);
    change("in the bucket alone");
    const job = await backUp(tenant, source);
    const id = job.snapshot_id ?? "";
    expect(await whole(id)).toEqual(["bucket"]);
    expect(await lab.restored(id, "from-bucket")).toBe("in the bucket alone");
    const ticket = await tenant.api.post<{ url: string }>(`/snapshots/${id}/download-ticket`, {
      paths: [join(tree, "file-7")],
      format: "file",
    });
    expect(await (await fetch(ticket.url)).text()).toBe("in the bucket alone");
    // From the bucket back to the disks: the earlier ones that it refers to are there already.
    const back = await tenant.api.post<Job>(`/snapshots/${id}/copies`, { storage_id: disks.id });
    expect(await tenant.api.ended(back)).toMatchObject({ type: "transfer", state: "success", error: null });
    expect(await whole(id)).toEqual(["Worker disks", "bucket"]);
    const { locator } = await lab.detail(id);
    expect(readdirSync(locator.local_path ?? "").toSorted()).toContain("manifest.json");
    // All away from the disks: what is in the bucket stays, the disks keep tombstones.
    const { jobs } = await tenant.api.post<{ jobs: number }>(`/storages/${disks.id}/migration`, { to: bucket.id });
    expect(jobs).toBe(3);
    await expect
      .poll(async () => (await tenant.api.get<Storage>(`/storages/${disks.id}`)).copies, { timeout: 60_000 })
      .toBe(0);
    expect(await whole(id)).toEqual(["bucket"]);
    expect(readdirSync(locator.local_path ?? "")).toEqual(["tombstone.json"]);
    expect(await lab.restored(id, "after-migration")).toBe("in the bucket alone");
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
    await lab.place(disks, bucket);
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
    await tenant.api.patch(`/storages/${bucket.id}`, { secret: lab.s3().secret });
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
    const before = await lab.detail(newest.id);
    await tenant.api.ended(await tenant.api.remove<Job>(`/snapshots/${newest.id}`));
    await expect.poll(async () => (await lab.detail(newest.id)).all_copies.length, { timeout: 60_000 }).toBe(0);
    expect(existsSync(join(before.locator.local_path ?? "", "manifest.json"))).toBe(false);
  });
});
