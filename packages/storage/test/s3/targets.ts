import { randomUUID } from "node:crypto";
import { s3Request } from "@xvault/test-kit/s3";
import { expect } from "vitest";
import { openS3Store } from "../../src/s3/open.ts";
import type { S3Store, S3StoreOptions } from "../../src/s3/options.ts";

/** The least that servers take as a part. */
export const PART = 5 * 1024 * 1024;

/** A bucket that tests may fill below prefixes of their own, as options of a store; the endpoint is named. */
export type S3Target = Omit<S3StoreOptions, "prefix"> & { endpoint: string };

/** A store below a prefix that nothing lies under yet. */
export function freshStore(target: S3Target, more: Partial<S3StoreOptions> = {}): Promise<S3Store> {
  return openS3Store({ ...target, prefix: `t-${randomUUID()}`, partBytes: PART, ...more });
}

/** Asks the server past the driver, by the target's credential. `path` follows the bucket's name. */
export function ask(target: S3Target, method: string, path: string, body = ""): ReturnType<typeof s3Request> {
  return s3Request(target, { uid: "", ...target }, method, `/${target.bucket}${path}`, { body });
}

/** As {@link ask}; the server must agree. */
export async function demand(target: S3Target, method: string, path: string, body = ""): Promise<string> {
  const answer = await ask(target, method, path, body);
  expect(answer.status, `${method} ${path}: ${answer.body}`).toBeLessThan(300);
  return answer.body;
}

export async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The texts of all elements of this name. */
export function texts(xml: string, element: string): string[] {
  return [...xml.matchAll(new RegExp(`<${element}>([^<]*)</${element}>`, "g"))].map(([, text]) => text ?? "");
}
