import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { codeOf, pattern, put } from "../../src/conformance.suite.ts";
import { probeStore } from "../../src/probe.ts";
import { openS3Store } from "../../src/s3/open.ts";
import { because, freshBucket, radosgw } from "./radosgw.ts";
import { ask, demand, freshStore, gather, PART, type S3Target, texts } from "./targets.ts";

const HOUR_MS = 3_600_000;
const [user] = radosgw.users;
const VERSIONING = (status: string) =>
  `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${status}</Status></VersioningConfiguration>`;

/** Every version and every mark of a deletion in the bucket, as `key version`. */
async function versionsIn(target: S3Target): Promise<string[]> {
  const xml = await demand(target, "GET", "?versions");
  const ids = texts(xml, "VersionId");
  return texts(xml, "Key").map((key, at) => `${key} ${ids[at]}`);
}

async function bucketWithVersions(status = "Enabled"): Promise<S3Target> {
  const target = await freshBucket(user);
  await demand(target, "PUT", "?versioning", VERSIONING(status));
  return target;
}

describe.skipIf(because)(`promise 35: a lock is shown only where it is enforced${because}`, () => {
  let locking: S3Target;
  beforeAll(async () => {
    locking = await freshBucket(user, { lock: true });
  });

  test("in a bucket with object lock: the deletion of the locked version was refused, and nothing of the attempt stays", async () => {
    const target = await freshBucket(user, { lock: true });
    const store = await openS3Store({ ...target, prefix: "" });
    expect(await store.proveLock()).toBe(true);
    expect(await store.versioned()).toBe(true);
    expect(await versionsIn(target)).toEqual([]);
  });

  test("not in a bucket without it, nor in one that keeps versions only", async () => {
    for (const target of [await freshBucket(user), await bucketWithVersions()]) {
      const store = await openS3Store({ ...target, prefix: "" });
      expect(await store.proveLock("COMPLIANCE")).toBe(false);
      expect(await versionsIn(target)).toEqual([]);
    }
  });

  test("not by a credential that may delete nothing anyway", async () => {
    const target = await freshBucket(user, { lock: true });
    const [, other] = radosgw.users;
    const principal = { AWS: [`arn:aws:iam:::user/${other.uid}`] };
    const Resource = [`arn:aws:s3:::${target.bucket}`, `arn:aws:s3:::${target.bucket}/*`];
    const statements = [
      { Effect: "Allow", Principal: principal, Action: ["s3:*"], Resource },
      { Effect: "Deny", Principal: principal, Action: ["s3:DeleteObject", "s3:DeleteObjectVersion"], Resource },
    ];
    await demand(target, "PUT", "?policy", JSON.stringify({ Version: "2012-10-17", Statement: statements }));
    const store = await freshStore({ ...target, ...other });
    await put(store, "object", pattern(5));
    expect(await codeOf(store.remove("object"))).toBe("STORAGE_DENIED");
    expect(await store.proveLock()).toBe(false);
  }, 120_000);

  test("a probe tries it, and says so", async () => {
    const shown = await gather(probeStore(await freshStore(locking), { lock: "COMPLIANCE" }));
    expect(shown.map(({ id, status }) => `${id} ${status}`)).toContain("lock ok");
    const refused = await gather(probeStore(await freshStore(await freshBucket(user)), { lock: "GOVERNANCE" }));
    expect(refused.at(-1)).toMatchObject({ id: "lock", status: "failed", fix: /object lock/ });
    expect(refused.slice(0, -1).every(({ status }) => status === "ok")).toBe(true);
  });

  test.each([
    ["a small object", 10],
    ["an object of several parts", PART + 10],
  ])("%s is locked once it is committed, and no one removes it before its time", async (_, size) => {
    const prefix = `t-${randomUUID()}`;
    const untilMs = Date.now() + HOUR_MS;
    const store = await freshStore(locking, { prefix, lock: { mode: "GOVERNANCE", untilMs } });
    await put(store, "dir/kept", pattern(size));
    await expect(store.remove("dir/kept")).rejects.toMatchObject({ code: "OBJECT_LOCKED", retry: false });
    await expect(store.removeTree("dir")).rejects.toMatchObject({ code: "OBJECT_LOCKED" });
    const [version = ""] = (await versionsIn(locking)).filter((one) => one.startsWith(prefix));
    const id = version.split(" ")[1];
    expect((await ask(locking, "DELETE", `/${prefix}/dir/kept?versionId=${id}`)).status).toBe(403);
    expect((await store.readAll("dir/kept", size)).equals(pattern(size))).toBe(true);

    const until = async () =>
      Date.parse(texts(await demand(locking, "GET", `/${prefix}/dir/kept?retention`), "RetainUntilDate")[0] ?? "");
    expect(await until()).toBeGreaterThanOrEqual(untilMs);
    await store.lockUntil("dir/kept", untilMs + HOUR_MS);
    expect(await until()).toBeGreaterThanOrEqual(untilMs + HOUR_MS);
    await store.lockUntil("dir/kept", untilMs);
    expect(await until()).toBeGreaterThanOrEqual(untilMs + HOUR_MS);
  });

  test("what a lock has let go can be removed", async () => {
    const store = await freshStore(locking, { lock: { mode: "COMPLIANCE", untilMs: Date.now() + 4000 } });
    await put(store, "dir/short", pattern(10));
    expect(await codeOf(store.remove("dir/short"))).toBe("OBJECT_LOCKED");
    await expect.poll(() => codeOf(store.remove("dir/short")), { timeout: 30_000, interval: 500 }).toBe("none");
    expect(await store.stat("dir/short")).toBeNull();
  });

  test("an object that could not be locked is not left behind unlocked", async () => {
    const target = await freshBucket(user);
    const store = await freshStore(target, { lock: { mode: "GOVERNANCE", untilMs: Date.now() + HOUR_MS } });
    expect(await codeOf(put(store, "object", pattern(5)))).toBe("STORAGE_FAILED");
    expect(await codeOf(put(store, "large", pattern(PART + 5)))).toBe("STORAGE_FAILED");
    expect(await gather(store.list(""))).toEqual([]);
    expect(await codeOf(store.lockUntil("nothing", Date.now() + HOUR_MS))).not.toBe("none");
  });
});

describe.skipIf(because)(`buckets with versions${because}`, () => {
  test.each(["Enabled", "Suspended"])("what is removed is gone with all its versions (%s)", async (status) => {
    const target = await bucketWithVersions();
    const store = await freshStore(target, { prefix: "p" });
    await put(store, "dir/object", pattern(5));
    await put(store, "dir/object.too", pattern(5));
    await demand(target, "PUT", "/p/dir/object", "a second version, by another hand");
    await demand(target, "DELETE", "/p/dir/object");
    await demand(target, "PUT", "?versioning", VERSIONING(status));
    expect((await versionsIn(target)).length).toBe(4);
    expect(await store.stat("dir/object")).toBeNull();
    const other = await openS3Store({ ...target, prefix: "p" });
    expect(await other.versioned()).toBe(status === "Enabled");
    await other.remove("dir/object");
    expect((await versionsIn(target)).map((one) => one.split(" ")[0])).toEqual(["p/dir/object.too"]);
    await other.removeTree("dir");
    expect(await versionsIn(target)).toEqual([]);
    await put(other, "dir/object", pattern(6));
    expect(await other.stat("dir/object")).toEqual({ sizeBytes: 6 });
  });
});
