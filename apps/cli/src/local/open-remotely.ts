import { type CheckedSnapshot, checkSnapshot, countReads, type ReadCount, remoteObjects } from "@xvault/engine";
import { XVaultError } from "@xvault/kernel";
import type { HubApi } from "../hub/api.ts";
import type { IdentityFile } from "./identity.ts";
import { unsealWith } from "./unseal.ts";

export interface OpenedSnapshot {
  /** `read` counts what is read of its objects. */
  checked: CheckedSnapshot & { read: ReadCount };
  artifact: Awaited<ReturnType<typeof unsealWith>>;
}

/**
 * Opens a snapshot on this machine: the worker serves its stored objects by ranges, signature and hashes are checked here, and the
 * identity that unseals it never leaves. The hub says which snapshot it must be, so that no other can be put in its place.
 */
export async function openRemotely(
  api: HubApi,
  snapshotId: string,
  file: IdentityFile,
  signal: AbortSignal,
): Promise<OpenedSnapshot> {
  const [detail, me, keys] = await Promise.all([api.snapshot(snapshotId), api.me(), api.keys()]);
  if (!me.workspace) throw new XVaultError("FORBIDDEN", "This token belongs to no workspace.");
  const first = await api.downloadTicket(snapshotId, { format: "raw" });
  let ticket = first.ticket;
  const remote = remoteObjects({
    dataUrl: first.data_url,
    signal,
    ticket: async (renew) => {
      if (renew) ({ ticket } = await api.downloadTicket(snapshotId, { format: "raw" }));
      return ticket;
    },
  });
  const { objects, count } = countReads(remote);
  const checked = await checkSnapshot(objects, {
    rootKeys: [...file.rootKeys, ...keys.root_keys],
    expect: { tenant_id: me.workspace.id, source_id: detail.manifest.source_id, snapshot_id: snapshotId },
  });
  return { checked: { ...checked, read: count }, artifact: await unsealWith(checked, file) };
}
