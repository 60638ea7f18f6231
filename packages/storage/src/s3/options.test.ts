import { expect, test } from "vitest";
import { codeOf } from "../conformance.suite.ts";
import { openS3Store } from "./open.ts";
import type { S3StoreOptions } from "./options.ts";

const good: S3StoreOptions = {
  endpoint: "https://s3.example.org:3900",
  region: "garage",
  bucket: "backups",
  prefix: "xvault/one",
  pathStyle: true,
  storageClass: null,
  caPem: null,
  accessKeyId: "key",
  secretAccessKey: "secret",
  lock: null,
};

test("opening sends nothing", async () => {
  for (const more of [
    {},
    { endpoint: null, region: "eu-central-1" },
    { prefix: "" },
    { endpoint: "http://[fd00::1]:9000/" },
  ]) {
    const store = await openS3Store({ ...good, ...more });
    expect(await store.freeBytes()).toBe(Number.POSITIVE_INFINITY);
    store.close();
  }
});

test.each<[string, Partial<S3StoreOptions>]>([
  ["endpoint", { endpoint: "s3.example.org" }],
  ["endpoint", { endpoint: "ftp://s3.example.org" }],
  ["endpoint", { endpoint: "https://s3.example.org/path" }],
  ["endpoint", { endpoint: "https://user:word@s3.example.org" }],
  ["endpoint", { endpoint: "https://s3.example.org/?list" }],
  ["region", { region: "" }],
  ["region", { region: "eu/../central" }],
  ["bucket", { bucket: "a" }],
  ["bucket", { bucket: "buck/et" }],
  ["prefix", { prefix: "/lead" }],
  ["prefix", { prefix: "a/../b" }],
  ["prefix", { prefix: "a/" }],
  ["accessKeyId", { accessKeyId: "" }],
  ["secretAccessKey", { secretAccessKey: "" }],
  ["partBytes", { partBytes: 1024 * 1024 }],
  ["partBytes", { partBytes: Number.NaN }],
])("a wrong %s is refused, and named", async (field, change) => {
  await expect(openS3Store({ ...good, ...change })).rejects.toMatchObject({ code: "INPUT_INVALID", data: { field } });
});

test("keys below a prefix stay below it", async () => {
  const store = await openS3Store(good);
  for (const key of ["../other", "/other", "a/../../other"]) expect(await codeOf(store.stat(key))).toBe("PATH_INVALID");
});
