import { isXVaultError, type XVaultError } from "@xvault/kernel";
import type { S3Connection } from "./connection.ts";

/** How long a bucket that was seen is taken to be there. */
const SEEN_MS = 30_000;

/**
 * Finds the size of an object, or null where there is none, by HEAD. Its refusals have no body and say too little: a bucket that is not there looks like
 * an object that is not there, and a credential that may only list below a prefix is refused where nothing is. Then a listing of that one name is asked
 * for, whose refusal also says whether the secret was wrong.
 */
export function createFinder(
  bucket: string,
  call: S3Connection["call"],
): (key: string, name: string) => Promise<{ sizeBytes: number } | null> {
  let seenMs = Number.NEGATIVE_INFINITY;

  const head = async (key: string, name: string): Promise<{ sizeBytes: number } | XVaultError> => {
    try {
      const found = await call("look for an object", key, (s3, http) =>
        s3.headObject({ Bucket: bucket, Key: name }, http),
      );
      return { sizeBytes: found.ContentLength ?? 0 };
    } catch (error) {
      if (isXVaultError(error, "ARTIFACT_MISSING", "STORAGE_DENIED")) return error;
      throw error;
    }
  };
  return async (key, name) => {
    const found = await head(key, name);
    if ("sizeBytes" in found) {
      seenMs = Date.now();
      return found;
    }
    if (found.code === "ARTIFACT_MISSING" && Date.now() - seenMs < SEEN_MS) return null;
    const { Contents = [] } = await call("look for an object", key, (s3, http) =>
      s3.listObjectsV2({ Bucket: bucket, Prefix: name, MaxKeys: 1 }, http),
    );
    seenMs = Date.now();
    // What a name begins comes after that name.
    const [first] = Contents;
    if (first?.Key !== name) return null;
    // One that is listed and may not be read.
    if (found.code === "STORAGE_DENIED") throw found;
    return { sizeBytes: first.Size ?? 0 };
  };
}
