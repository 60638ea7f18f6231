import { describe, expect, it } from "vitest";
import { locatorInWords, referencesInWords } from "./notes.ts";

const reference = (live_bytes: number) => ({ snapshot_id: "x", manifest_sha256: "x", live_bytes });

describe("what a snapshot rests on, in words", () => {
  it("nothing but itself", () => expect(referencesInWords([])).toBe(""));

  it("one earlier snapshot, or several with the sum of what they hold for it", () => {
    expect(referencesInWords([reference(1024)])).toMatch(/1.00 KiB of them lie in one earlier snapshot, which stays/);
    expect(referencesInWords([reference(1024), reference(2048)])).toMatch(
      /3.00 KiB of them lie in 2 earlier snapshots/,
    );
  });
});

describe("where a snapshot lies, in a line", () => {
  const nowhere = { storage_id: null, worker_id: null, local_path: null, bucket: null, key: null };

  it("a path on a worker, an address in a bucket, a place at a provider", () => {
    expect(locatorInWords({ ...nowhere, storage_backend: "local_fs", local_path: "/data/a" })).toBe("/data/a");
    expect(locatorInWords({ ...nowhere, storage_backend: "s3", bucket: "acme", key: "a/b" })).toBe("s3://acme/a/b");
    expect(locatorInWords({ ...nowhere, storage_backend: "rclone", key: "a/b" })).toBe("a/b");
  });
});
