import { XVaultError } from "@xvault/kernel";
import { expect, test } from "vitest";
import { s3Error } from "./failures.ts";

/** An error as the SDK throws it. */
function refused(name: string, status: number, message = "UnknownError"): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status, attempts: 1 } });
}

const system = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

// What servers answer that no test server can be made to. Sources: AWS's list of error codes, Ceph's, MinIO's, Backblaze's.
test.each<[string, Error, string, boolean]>([
  ["Ceph's quota, a 403", refused("QuotaExceeded", 403), "SPACE_REQUIRED", false],
  ["MinIO's full disk", refused("XMinioStorageFull", 507), "SPACE_REQUIRED", false],
  ["any 507", refused("Error", 507), "SPACE_REQUIRED", false],
  [
    "Backblaze's cap",
    refused("AccessDenied", 403, "Cannot upload files, storage cap exceeded."),
    "SPACE_REQUIRED",
    false,
  ],
  [
    "Garage's quota",
    refused("AccessDenied", 403, "Forbidden: Bucket size quota is reached, maximum total size: 5"),
    "SPACE_REQUIRED",
    false,
  ],
  ["a denial", refused("AccessDenied", 403), "STORAGE_DENIED", false],
  ["a denial without a body", refused("403", 403), "STORAGE_DENIED", false],
  ["a token that is too old", refused("ExpiredToken", 400), "STORAGE_DENIED", false],
  ["a clock that is wrong, a 403", refused("RequestTimeTooSkewed", 403), "STORAGE_FAILED", false],
  ["another region", refused("PermanentRedirect", 301), "STORAGE_FAILED", false],
  ["an archived object, a 403", refused("InvalidObjectState", 403), "STORAGE_FAILED", false],
  ["a bucket that is not there", refused("NoSuchBucket", 404), "STORAGE_FAILED", false],
  ["an object that is not there", refused("NoSuchKey", 404), "ARTIFACT_MISSING", false],
  ["a range beyond the end", refused("InvalidRange", 416), "ARCHIVE_TRUNCATED", false],
  ["a name that is taken", refused("PreconditionFailed", 412), "OBJECT_EXISTS", false],
  ["an overloaded server", refused("SlowDown", 503), "STORAGE_FAILED", true],
  ["too many requests", refused("TooManyRequests", 429), "STORAGE_FAILED", true],
  ["bytes damaged on the way", refused("XAmzContentSHA256Mismatch", 400), "STORAGE_FAILED", true],
  ["a server's own failure", refused("InternalError", 500), "STORAGE_FAILED", true],
  ["a request that is refused for another reason", refused("InvalidArgument", 400), "STORAGE_FAILED", false],
  ["no answer", system("ECONNREFUSED"), "STORAGE_FAILED", true],
  ["no answer from any address", new AggregateError([system("ECONNREFUSED")]), "STORAGE_FAILED", true],
  ["a name that does not resolve", system("ENOTFOUND"), "STORAGE_FAILED", true],
  ["a certificate of nobody's", system("DEPTH_ZERO_SELF_SIGNED_CERT"), "STORAGE_FAILED", false],
  ["a cancel", Object.assign(new Error("aborted"), { name: "AbortError" }), "CANCELLED", false],
])("%s", (_, error, code, retry) => {
  const told = s3Error(error, "read an object", "a/b", "bucket");
  expect({ code: told.code, retry: told.retry }).toEqual({ code, retry });
  expect(told.fix).not.toBe("");
});

test("a failure of ours passes through the SDK's wrapping", () => {
  const own = new XVaultError("TARGET_FORBIDDEN");
  expect(s3Error(new Error("request failed", { cause: own }), "read an object", "a", "bucket")).toBe(own);
});

test("no secret is in what is told", () => {
  const told = s3Error(refused("SignatureDoesNotMatch", 403), "read an object", "a/b", "bucket");
  expect(told.report()).toMatchObject({
    message: /secret key does not belong/,
    data: { key: "a/b", bucket: "bucket" },
  });
});
