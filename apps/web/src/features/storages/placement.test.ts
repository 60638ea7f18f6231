import type { Storage } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { storagesOf, usualStorage } from "./placement.ts";

const storage = (id: string, over: Partial<Storage> = {}) => ({ id, kind: "s3", config: {}, ...over }) as Storage;
const shelf = storage("shelf", { kind: "local_fs", config: { folder: "shelf" } });
const disks = storage("disks", { kind: "local_fs", config: { folder: "" } });
const all = [storage("bucket"), shelf, disks];

describe("where a source is placed", () => {
  it("is in the order that was chosen, without what is gone", () => {
    expect(storagesOf(["disks", "gone", "bucket"], all).map(({ id }) => id)).toEqual(["disks", "bucket"]);
  });

  it("usually is on the workers' disks, not on a folder that the operator offers", () => {
    expect(usualStorage(all)).toBe(disks);
    expect(usualStorage([shelf])).toBeUndefined();
  });
});
