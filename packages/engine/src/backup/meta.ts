import type { Manifest } from "@xvault/contracts";

/** What `meta.json` beside a snapshot holds: whose it is, for somebody who finds the folder. Nothing reads it to decide anything. */
export function metaBytes({ tenant_id, source_id, snapshot_id, worker_id }: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify({ format: 1, tenant_id, source_id, snapshot_id, worker_id })}\n`);
}
