import { randomUUID } from "node:crypto";
import { createBucket, type S3User } from "@xvault/test-kit/s3";
import { inject } from "vitest";
import type { S3Target } from "./targets.ts";

/** The radosgw of this run. */
export const radosgw = inject("radosgw");

/** The end of a title, when tests on radosgw cannot run. */
export const because = radosgw.missing === null ? "" : ` (skipped: ${radosgw.missing})`;

/** A bucket of a user on the radosgw of this run. */
export function targetOf(user: S3User, bucket: string): S3Target {
  return { ...radosgw.place, ...user, bucket, pathStyle: true, storageClass: null, lock: null };
}

/** Makes a bucket with a name of its own. */
export async function freshBucket(user: S3User, options: { lock?: boolean } = {}): Promise<S3Target> {
  const bucket = `b-${randomUUID()}`;
  await createBucket(radosgw.place, user, bucket, options);
  return targetOf(user, bucket);
}
