import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { s3Suite } from "./s3/s3.suite.ts";
import { freshStore, type S3Target } from "./s3/targets.ts";

// `npm run test:s3`: the suite of every S3 server, against the one that the environment names. docs/storage.md says how.
const NAMES = ["ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"] as const;
const read = (name: string) => process.env[`XVAULT_TEST_S3_${name}`] ?? "";

const missing = NAMES.filter((name) => read(name) === "").map((name) => `XVAULT_TEST_S3_${name}`);
if (missing.length > 0) throw new Error(`Set ${missing.join(", ")}. Use a bucket that holds nothing else.`);

const target: S3Target = {
  endpoint: read("ENDPOINT"),
  region: read("REGION"),
  bucket: read("BUCKET"),
  accessKeyId: read("ACCESS_KEY_ID"),
  secretAccessKey: read("SECRET_ACCESS_KEY"),
  sessionToken: undefined,
  pathStyle: read("PATH_STYLE") !== "0",
  storageClass: null,
  caPem: read("CA_FILE") === "" ? null : readFileSync(read("CA_FILE"), "utf8"),
  lock: null,
};

s3Suite(`The S3 store at ${target.endpoint}`, target);

describe("what this server can do", () => {
  const locks = read("LOCK") === "1";
  test(`objects ${locks ? "can" : "cannot"} be locked (XVAULT_TEST_S3_LOCK is ${locks ? "1" : "not 1"})`, async () => {
    expect(await (await freshStore(target)).proveLock()).toBe(locks);
  });
});
