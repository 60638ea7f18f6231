import { randomUUID } from "node:crypto";
import { createBucket } from "@xvault/test-kit/s3";
import { beforeAll, describe, expect, test } from "vitest";
import { freshStore } from "./targets.ts";
import { s3Suite } from "./s3.suite.ts";
import { because, radosgw, targetOf } from "./radosgw.ts";

const [user] = radosgw.users;
const bucket = `suite-${randomUUID()}`;

describe.skipIf(because)(`on radosgw${because}`, () => {
  beforeAll(() => createBucket(radosgw.place, user, bucket));
  s3Suite("The S3 store", targetOf(user, bucket));

  test("says which half of a credential is wrong where the server does", async () => {
    const wrongSecret = await freshStore(targetOf(user, bucket), { secretAccessKey: "not the secret of anybody" });
    await expect(wrongSecret.stat("a")).rejects.toMatchObject({
      message: "The secret key does not belong to the access key.",
    });
    const unknownKey = await freshStore(targetOf(user, bucket), { accessKeyId: "NOBODYSACCESSKEY0000" });
    await expect(unknownKey.stat("a")).rejects.toMatchObject({ message: "The storage does not know this access key." });
  });
});
