import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { codeOf, pattern, put, storeConformance } from "../../src/conformance.suite.ts";
import { openS3Store } from "../../src/s3/open.ts";
import type { S3Store } from "../../src/s3/options.ts";
import { probeStore } from "../../src/probe.ts";
import { demand, freshStore, gather, PART, type S3Target, texts } from "./targets.ts";

const MiB = 1024 * 1024;

/** The names of open uploads in the bucket below a prefix, asked past the driver. */
async function uploadsBelow(target: S3Target, prefix: string): Promise<string[]> {
  return texts(await demand(target, "GET", `?uploads&prefix=${prefix}/`), "Key").toSorted();
}

async function foldersOf(store: S3Store, prefix: string): Promise<string[]> {
  return (await gather(store.folders(prefix))).toSorted();
}

/** What the S3 driver must do on every server, beyond the contract of all drivers, which is run too. */
export function s3Suite(name: string, target: S3Target): void {
  storeConformance(name, () => freshStore(target));

  describe(`${name} as S3`, () => {
    test.each([
      ["one byte less than a part", PART - 1],
      ["one part", PART],
      ["one byte more than a part", PART + 1],
      ["two parts", 2 * PART],
      ["12 MiB", 12 * MiB],
    ])("keeps an object of %s", async (_, length) => {
      const store = await freshStore(target);
      const whole = pattern(length);
      const chunks = Array.from({ length: Math.ceil(length / 700_001) }, (_, at) =>
        whole.subarray(at * 700_001, (at + 1) * 700_001),
      );
      await put(store, "large", ...chunks);
      expect(await store.stat("large")).toEqual({ sizeBytes: length });
      expect((await store.readAll("large", length)).equals(whole)).toBe(true);
      const reader = await store.reader("large");
      const [from, to] = [length - 3 * MiB, length - 1];
      expect((await reader.read(from, to - from)).equals(whole.subarray(from, to))).toBe(true);
      await store.removeTree("large");
      await store.remove("large");
    });

    test("takes an object that comes in one piece of several parts", async () => {
      const store = await freshStore(target);
      await put(store, "piece", pattern(11 * MiB));
      expect((await store.readAll("piece", 11 * MiB)).equals(pattern(11 * MiB))).toBe(true);
      await store.remove("piece");
    });

    test("holds a few parts of a large object in memory, not the object", async () => {
      const store = await freshStore(target);
      const writer = await store.create("large");
      const chunk = pattern(256 * 1024);
      const before = process.memoryUsage().arrayBuffers;
      let peak = 0;
      for (let at = 0; at < 320; at += 1) {
        await writer.write(chunk);
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      }
      await writer.commit();
      expect(writer.sizeBytes).toBe(80 * MiB);
      expect(await store.stat("large")).toEqual({ sizeBytes: 80 * MiB });
      // Two on their way, one being gathered, and what the collector has not seen yet.
      expect(peak).toBeLessThan(8 * PART);
      await store.remove("large");
    });

    test("a large object is invisible until it is committed, and gone when it is aborted, parts and all", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      const writer = await store.create("dir/large");
      for (let at = 0; at < 3; at += 1) await writer.write(pattern(4 * MiB, at));
      await writer.close();
      expect(await store.stat("dir/large")).toBeNull();
      expect(await uploadsBelow(target, prefix)).toEqual([`${prefix}/dir/large`]);
      expect(await foldersOf(store, "")).toEqual(["dir"]);
      await writer.abort();
      await writer.abort();
      expect(await uploadsBelow(target, prefix)).toEqual([]);
      expect(await foldersOf(store, "")).toEqual([]);
      expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
    });

    test("an abort ends parts that are under way", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      const writer = await store.create("large");
      await writer.write(pattern(PART + 1));
      const writing = codeOf(Promise.resolve(writer.write(pattern(3 * PART))));
      await writer.abort();
      expect(["none", "CANCELLED", "STORAGE_FAILED"]).toContain(await writing);
      await writer.abort();
      expect(await store.stat("large")).toBeNull();
      await expect.poll(() => uploadsBelow(target, prefix), { timeout: 20_000 }).toEqual([]);
    });

    test("an upload that somebody else aborted is told, and leaves nothing", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      const writer = await store.create("large");
      await writer.write(pattern(2 * PART));
      await writer.close();
      expect(await (await openS3Store({ ...target, prefix })).sweepTemporary(Number.NEGATIVE_INFINITY)).toBe(1);
      expect(await codeOf(writer.commit())).toBe("STORAGE_FAILED");
      expect(await store.stat("large")).toBeNull();
    });

    test("large objects are not replaced either, and of two that race one wins", async () => {
      const store = await freshStore(target);
      const writers = await Promise.all([1, 2, 3].map(() => store.create("large")));
      for (const [at, writer] of writers.entries()) await writer.write(Buffer.alloc(PART + 10, at));
      const codes = await Promise.all(writers.map((writer) => codeOf(writer.commit())));
      expect(codes.toSorted()).toEqual(["OBJECT_EXISTS", "OBJECT_EXISTS", "none"]);
      expect((await store.readAll("large", PART + 10)).equals(Buffer.alloc(PART + 10, codes.indexOf("none")))).toBe(
        true,
      );
      expect(await codeOf(store.create("large"))).toBe("OBJECT_EXISTS");
      await store.remove("large");
    });

    test("sweeps uploads that dead writers left, once they are old enough, and nothing else", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      await put(store, "t/s/object", pattern(1));
      const live = await store.create("t/s/live");
      await live.write(pattern(PART + 1));
      for (const key of ["t/s2/dead", "u/dead"]) await demand(target, "POST", `/${prefix}/${key}?uploads`);
      expect(await foldersOf(store, "t")).toEqual(["s", "s2"]);

      expect(await store.sweepTemporary(3_600_000)).toBe(0);
      expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "t/none")).toBe(0);
      expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY, "t")).toBe(1);
      expect(await foldersOf(store, "t")).toEqual(["s"]);
      expect(await store.sweepTemporary(Number.NEGATIVE_INFINITY)).toBe(1);
      await live.commit();
      expect(await store.stat("t/s/live")).toEqual({ sizeBytes: PART + 1 });
      expect(await store.stat("t/s/object")).toEqual({ sizeBytes: 1 });
      await store.removeTree("t");
    });

    test("removing a tree ends uploads in it", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      await put(store, "tree/object", pattern(1));
      const writer = await store.create("tree/large");
      await writer.write(pattern(PART + 1));
      await store.removeTree("tree");
      expect(await uploadsBelow(target, prefix)).toEqual([]);
      expect(await codeOf(writer.commit())).not.toBe("none");
      expect(await foldersOf(store, "")).toEqual([]);
    });

    test("lists and removes more objects than a page holds", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      const names = Array.from({ length: 1005 }, (_, at) => `many/d${at % 3}/${String(at).padStart(4, "0")}`);
      const rest = names.values();
      const lane = async () => {
        for (const name of rest) await demand(target, "PUT", `/${prefix}/${name}`, "x");
      };
      await Promise.all(Array.from({ length: 8 }, lane));
      const found = await gather(store.list("many"));
      expect(found.map(({ key }) => key).toSorted()).toEqual(names.toSorted());
      expect(await foldersOf(store, "many")).toEqual(["d0", "d1", "d2"]);
      await store.removeTree("many");
      expect(await gather(store.list(""))).toEqual([]);
    });

    test("does not list what it could not have written", async () => {
      const prefix = `t-${randomUUID()}`;
      const store = await freshStore(target, { prefix });
      await put(store, "dir/own", pattern(1));
      for (const name of ["dir/", "dir/.hidden", "dir/-rf", ".part-1/x"]) {
        await demand(target, "PUT", `/${prefix}/${name}`, "x");
      }
      expect((await gather(store.list(""))).map(({ key }) => key)).toEqual(["dir/own"]);
      expect(await foldersOf(store, "")).toEqual(["dir"]);
      await store.removeTree("dir");
    });

    test("tells when the credential is refused, be it the secret or the key", async () => {
      const right = await freshStore(target);
      expect(await right.stat("object")).toBeNull();
      for (const wrong of [{ secretAccessKey: "not the secret of anybody" }, { accessKeyId: "NOBODYSACCESSKEY0000" }]) {
        const store = await freshStore(target, wrong);
        expect(await codeOf(store.stat("object"))).toBe("STORAGE_DENIED");
        expect(await codeOf(store.create("object"))).toBe("STORAGE_DENIED");
        expect(await codeOf(store.readAll("object", 1))).toBe("STORAGE_DENIED");
        expect(await codeOf(store.remove("object"))).toBe("STORAGE_DENIED");
        await expect(gather(store.list(""))).rejects.toMatchObject({ code: "STORAGE_DENIED", retry: false });
      }
    });

    test("a bucket that is not there is told, and not taken for missing objects", async () => {
      const store = await freshStore(target, { bucket: `no-${randomUUID()}` });
      const asked = [
        () => store.stat("a"),
        () => store.reader("a"),
        () => store.readAll("a", 1),
        () => store.create("a"),
        () => gather(store.list("")),
      ];
      for (const ask of asked) {
        await expect(ask()).rejects.toMatchObject({ code: "STORAGE_FAILED", retry: false, fix: /bucket/ });
      }
    });

    test("is found good by a probe, which leaves nothing; a wrong secret is found out by its first step", async () => {
      const store = await freshStore(target);
      const checks = await gather(probeStore(store));
      expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
        "write ok",
        "read ok",
        "list ok",
        "delete ok",
        "lock skipped",
      ]);
      expect(await gather(store.list(""))).toEqual([]);
      const denied = await gather(
        probeStore(await freshStore(target, { secretAccessKey: "not the secret of anybody" })),
      );
      expect(denied[0]).toMatchObject({ id: "write", status: "failed", code: "STORAGE_DENIED", fix: /key/ });
      expect(denied.slice(1).map(({ status }) => status)).toEqual(["skipped", "skipped", "skipped", "skipped"]);
    });

    test("ends with CANCELLED by its signal, and leaves no upload behind", async () => {
      const prefix = `t-${randomUUID()}`;
      const cancel = new AbortController();
      const store = await freshStore(target, { prefix, signal: cancel.signal });
      const writer = await store.create("large");
      await writer.write(pattern(PART + 1));
      expect(await uploadsBelow(target, prefix)).toEqual([`${prefix}/large`]);
      cancel.abort();
      expect(await codeOf(writer.commit())).toBe("CANCELLED");
      expect(await codeOf(store.stat("large"))).toBe("CANCELLED");
      expect(await uploadsBelow(target, prefix)).toEqual([]);
    });

    test("is found good by a probe, which leaves nothing; a wrong secret is found out by its first step", async () => {
      const store = await freshStore(target);
      const checks = await gather(probeStore(store));
      expect(checks.map(({ id, status }) => `${id} ${status}`)).toEqual([
        "write ok",
        "read ok",
        "list ok",
        "delete ok",
        "lock skipped",
      ]);
      expect(await gather(store.list(""))).toEqual([]);
      const denied = await gather(
        probeStore(await freshStore(target, { secretAccessKey: "not the secret of anybody" })),
      );
      expect(denied[0]).toMatchObject({ id: "write", status: "failed", code: "STORAGE_DENIED", fix: /key/ });
      expect(denied.slice(1).map(({ status }) => status)).toEqual(["skipped", "skipped", "skipped", "skipped"]);
    });

    test("ends with CANCELLED by its signal, and the writer's parts with it", async () => {
      const cancel = new AbortController();
      const store = await freshStore(target, { signal: cancel.signal });
      const writer = await store.create("large");
      await writer.write(pattern(PART + 1));
      cancel.abort();
      expect(await codeOf(writer.commit())).toBe("CANCELLED");
      expect(await codeOf(store.stat("large"))).toBe("CANCELLED");
    });
  });
}
