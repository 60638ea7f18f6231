import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { indexPath } from "@xvault/archive";
import { type Manifest } from "@xvault/contracts";
import { parseManifest, parseRecoveryKit } from "@xvault/crypto";
import type { SnapshotPlace } from "../../src/index.ts";
import type { Expected, ExpectedSnapshot } from "./entries.ts";

export const FIXTURES = join(import.meta.dirname, "fixtures");
export const VERSIONS = readdirSync(FIXTURES).sort();

export const OBJECTS = ["backup.tar.zst.enc", "index.zst.enc", "blocks.bin", "manifest.json", "meta.json"] as const;

/** One snapshot of the corpus. */
export interface Case extends ExpectedSnapshot {
  version: string;
  name: string;
  /** The folder of the corpus version: what would be a storage's base. */
  base: string;
  /** The folder that holds the snapshot's objects. */
  directory: string;
  manifest: Manifest;
  place: SnapshotPlace;
  /** Of its first kit. */
  rootKeys: string[];
}

export function casesOf(version: string): Case[] {
  const base = join(FIXTURES, version);
  return readdirSync(join(base, "expected"))
    .sort()
    .map((file) => {
      const expected = JSON.parse(readFileSync(join(base, "expected", file), "utf8")) as ExpectedSnapshot;
      const directory = join(base, expected.snapshot);
      const manifest = parseManifest(readFileSync(join(directory, "manifest.json")));
      const { tenant_id, source_id, snapshot_id } = manifest;
      return {
        ...expected,
        version,
        name: basename(file, ".json"),
        base,
        directory,
        manifest,
        place: { tenant_id, source_id, snapshot_id },
        rootKeys: kitOf(base, expected.identities[0] ?? "").rootKeys,
      };
    });
}

export function kitOf(base: string, name: string): ReturnType<typeof parseRecoveryKit> {
  return parseRecoveryKit(readFileSync(join(base, name), "utf8"));
}

/** A path as a map's key: one character a byte. */
export function keyOf(entry: Pick<Expected, "path" | "path_b64">): string {
  return indexPath(entry).toString("latin1");
}
