// Object lock: what a storage keeps from being removed stays, whole and told of, until the lock has run out.
import { join } from "node:path";
import type { Job, LifecyclePlan, Storage } from "@xvault/contracts";
import { addSource } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Detail, startStorageLab, type StorageLab, storageLabMissing } from "./storage-lab.ts";

const why = storageLabMissing === null ? "" : ` (${storageLabMissing})`;

describe.skipIf(storageLabMissing !== null)(`a storage with a lock${why}`, () => {
  let lab: StorageLab;

  beforeAll(async () => {
    lab = await startStorageLab();
  });
  afterAll(() => lab?.stop());

  it("waits with the end of a snapshot until the storage's lock has run out, says until when, and loses nothing meanwhile", async () => {
    const { stack, sshd, gateway, tree, tenant: one } = lab;
    const [user] = gateway.users;
    await gateway.createBucket("locked", { lock: true });
    const lock = { mode: "GOVERNANCE", days: 1 };
    const { secret, place: bare } = lab.s3({ bucket: "locked" });
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
