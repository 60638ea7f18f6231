// A snapshot uses data of earlier ones: each storage that has a copy of it has those too, whenever a source is placed elsewhere or a copy is moved.
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, JobEvent, Storage } from "@xvault/contracts";
import { addSource, backUp } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startStorageLab, type StorageLab, storageLabMissing } from "./storage-lab.ts";

const why = storageLabMissing === null ? "" : ` (${storageLabMissing})`;

describe.skipIf(storageLabMissing !== null)(`what a copy needs${why}`, () => {
  let lab: StorageLab;
  let bucket: Storage;
  let source: { id: string };
  let changes = 0;

  beforeAll(async () => {
    lab = await startStorageLab();
    bucket = await lab.tenant.api.post<Storage>("/storages", { name: "bucket", tier: "warm", ...lab.s3() });
  });
  afterAll(() => lab?.stop());
  beforeEach(async () => {
    source = await addSource(lab.tenant, lab.sshd, { name: `source ${changes}`, paths: [lab.tree], transport: "sftp" });
  });

  const placeOn = (...storages: Storage[]) =>
    lab.tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, { storage_ids: storages.map(({ id }) => id) });
  const run = async () => {
    changes += 1;
    writeFileSync(join(lab.tree, "file-7"), `change ${changes}`);
    utimesSync(join(lab.tree, "file-7"), new Date(), new Date(Date.now() - 3_600_000 + changes * 2000));
    const job = await backUp(lab.tenant, source);
    return { id: job.snapshot_id, text: `change ${changes}`, unchanged: Number(job.result?.["unchanged_files"] ?? 0) };
  };
  const whole = async (id: string) =>
    (await lab.detail(id)).all_copies.filter(({ state }) => state === "complete").map((copy) => copy.storage_name);
  const readFrom = async (storage: Storage, { id, text }: { id: string; text: string }) => {
    const { all_copies } = await lab.detail(id);
    const others = all_copies.filter((copy) => copy.storage_id !== storage.id && copy.state === "complete");
    const set = async (state: string) => {
      for (const { id: copy } of others) await lab.stack.sql`update copies set state = ${state} where id = ${copy}`;
    };
    await set("missing");
    expect(await lab.restored(id, `${storage.name}-${id}`)).toBe(text);
    await set("complete");
  };

  it("a storage that a source is placed on later gets what the run builds on before it counts as a copy", async () => {
    await placeOn(lab.disks);
    const first = await run();
    await placeOn(lab.disks, bucket);
    const second = await run();
    expect(second.unchanged).toBeGreaterThan(10);
    await expect.poll(() => whole(second.id), { timeout: 60_000 }).toEqual(["Worker disks", "bucket"]);
    expect(await whole(first.id)).toEqual(["Worker disks", "bucket"]);
    for (const one of [first, second]) for (const storage of [lab.disks, bucket]) await readFrom(storage, one);
    // From then on the run itself writes a copy to each.
    expect(await whole((await run()).id)).toEqual(["Worker disks", "bucket"]);
  });

  it("one place that was added twice loses nothing by a move from one name to the other", async () => {
    const twin = await lab.tenant.api.post<Storage>("/storages", { name: "twin", tier: "cold", ...lab.s3() });
    await placeOn(bucket);
    const one = await run();
    const move = { storage_id: twin.id, move_from: bucket.id };
    const job = await lab.tenant.api.ended(await lab.tenant.api.post<Job>(`/snapshots/${one.id}/copies`, move));
    expect(job).toMatchObject({ state: "failed", error: { code: "CONFLICT" } });
    expect(await whole(one.id)).toEqual(["bucket"]);
    await readFrom(bucket, one);
  });

  it("a run does not build on what is damaged: it pulls everything anew", async () => {
    await placeOn(lab.disks);
    const [first, second] = [await run(), await run()];
    expect(second.unchanged).toBeGreaterThan(10);
    await lab.stack.sql`update copies set state = 'corrupt' where snapshot_id = ${first.id}`;
    const third = await run();
    expect(third.unchanged).toBe(0);
    await readFrom(lab.disks, third);
    expect((await run()).unchanged).toBeGreaterThan(10);
  });

  it("a snapshot that cannot be read any more does not keep the next one from being published", async () => {
    await placeOn(lab.disks);
    const lost = await run();
    // As it is when a copy to the bucket failed for good, and the only one there is was found damaged then.
    await lab.stack
      .sql`insert into jobs (id, tenant_id, type, state, trigger, params, source_id, snapshot_id, run_after, created_at, finished_at)
      select gen_random_uuid(), tenant_id, 'transfer', 'failed', 'system',
        jsonb_build_object('copy_id', 'x', 'storage_id', ${bucket.id}::text, 'remove', false, 'reason', 'r'), source_id, id, now(), now(), now()
      from snapshots where id = ${lost.id}`;
    await lab.stack.sql`update copies set state = 'corrupt' where snapshot_id = ${lost.id}`;
    await placeOn(lab.disks, bucket);
    const next = await run();
    expect(await whole(next.id)).toEqual(["Worker disks", "bucket"]);
  });

  it("one that others need is moved without taking from them what they need, and goes when they have gone", async () => {
    await placeOn(lab.disks);
    const [first, second, third] = [await run(), await run(), await run()];
    const move = async ({ id }: { id: string }) => {
      const job = await lab.tenant.api.post<Job>(`/snapshots/${id}/copies`, {
        storage_id: bucket.id,
        move_from: lab.disks.id,
      });
      expect(await lab.tenant.api.ended(job)).toMatchObject({ state: "success", error: null });
      return (await lab.tenant.api.get<{ items: JobEvent[] }>(`/jobs/${job.id}/events`)).items.map(
        (event) => event.message,
      );
    };
    expect((await move(first)).join()).toContain("stays for now");
    expect(await whole(first.id)).toEqual(["Worker disks", "bucket"]);
    for (const one of [second, third]) await readFrom(lab.disks, one);
    // Nothing on the disks uses data of the newest: it goes at once, and is whole in the bucket with what it needs.
    expect((await move(third)).join()).not.toContain("stays for now");
    expect(await whole(third.id)).toEqual(["bucket"]);
    for (const one of [first, third]) await readFrom(bucket, one);
    await readFrom(lab.disks, second);
    expect(await whole(first.id)).toEqual(["Worker disks", "bucket"]);
    await move(second);
    await expect.poll(() => whole(first.id), { timeout: 60_000 }).toEqual(["bucket"]);
    expect(await whole(second.id)).toEqual(["bucket"]);
    for (const one of [first, second, third]) await readFrom(bucket, one);
  });
});
