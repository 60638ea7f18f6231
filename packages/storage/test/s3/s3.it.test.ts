import { randomUUID } from "node:crypto";
import { createBucket } from "@xvault/test-kit/s3";
import { beforeAll, describe } from "vitest";
import { s3Suite } from "./s3.suite.ts";
import { because, radosgw, targetOf } from "./targets.ts";

const [user] = radosgw.users;
const bucket = `suite-${randomUUID()}`;

describe.skipIf(because)(`on radosgw${because}`, () => {
  beforeAll(() => createBucket(radosgw.place, user, bucket));
  s3Suite("The S3 store", targetOf(user, bucket));
});
