import { randomUUID } from "node:crypto";
import { createBucket } from "@xvault/test-kit/s3";
import { beforeAll, describe, inject } from "vitest";
import { s3Suite } from "./s3.suite.ts";

const { missing, place, users } = inject("radosgw");
const [user] = users;
const bucket = `suite-${randomUUID()}`;

describe.skipIf(missing !== null)(`on radosgw${missing ? ` (skipped: ${missing})` : ""}`, () => {
  beforeAll(() => createBucket(place, user, bucket));
  s3Suite("The S3 store", { ...place, ...user, bucket, pathStyle: true, storageClass: null, lock: null });
});
