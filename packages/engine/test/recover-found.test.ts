import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { openLocalStore } from "@xvault/storage";
import { afterAll, expect, test } from "vitest";
import { findSnapshots, findStoredSnapshots } from "../src/index.ts";

const base = mkdtempSync(join(tmpdir(), "xvault-found-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

test("data without a manifest is found as such, in a directory and in a store, and what was removed or is unreadable is not", async () => {
  const objects = {
    "a/headless": ["backup.tar.zst.enc", "index.zst.enc", "blocks.bin"],
    "a/removed": ["backup.tar.zst.enc", "tombstone.json"],
    "a/unreadable": ["backup.tar.zst.enc", "manifest.json"],
    "b/other": ["meta.json"],
    "b/nothing": [],
  };
  for (const [directory, names] of Object.entries(objects)) {
    mkdirSync(join(base, directory), { recursive: true });
    for (const name of names) writeFileSync(join(base, directory, name), "x");
  }
  const here = await findSnapshots(base);
  const stored = await findStoredSnapshots(await openLocalStore({ root: base }), "s3://bucket", "");
  expect(here.withoutManifest).toEqual([join(base, "a/headless")]);
  expect(stored.withoutManifest).toEqual(["s3://bucket/a/headless"]);
  for (const { unreadable, snapshots } of [here, stored]) {
    expect(snapshots).toEqual([]);
    expect(unreadable.map(({ directory }) => basename(directory)).toSorted((a, b) => a.localeCompare(b))).toEqual([
      "removed",
      "unreadable",
    ]);
  }
});
