import { newId, type SnapshotId, type SourceId, type TenantId } from "@xvault/kernel";
import { expect, test } from "vitest";
import { checkKey, snapshotKeys } from "./keys.ts";

test("a snapshot's parts lie under tenant, source and snapshot", () => {
  const [tenant, source, snapshot] = [newId<TenantId>(), newId<SourceId>(), newId<SnapshotId>()];
  const keys = snapshotKeys(tenant, source, snapshot);
  expect(keys).toEqual({
    dir: `backups/${tenant}/${source}/${snapshot}`,
    artifact: `backups/${tenant}/${source}/${snapshot}/backup.tar.zst.enc`,
    index: `backups/${tenant}/${source}/${snapshot}/index.zst.enc`,
    blocks: `backups/${tenant}/${source}/${snapshot}/blocks.bin`,
    manifest: `backups/${tenant}/${source}/${snapshot}/manifest.json`,
    meta: `backups/${tenant}/${source}/${snapshot}/meta.json`,
    plan: `backups/${tenant}/${source}/${snapshot}/plan.enc`,
    tombstone: `backups/${tenant}/${source}/${snapshot}/tombstone.json`,
  });
  for (const key of Object.values(keys)) expect(() => checkKey(key)).not.toThrow();
});

test("what is no id becomes no part of a path", () => {
  expect(() => snapshotKeys("../x" as TenantId, newId<SourceId>(), newId<SnapshotId>())).toThrow(
    expect.objectContaining({ code: "PATH_INVALID" }),
  );
});
