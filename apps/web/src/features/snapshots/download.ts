import type { TreeEntry } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { useAction } from "../../lib/action.ts";
import { api } from "../../lib/api.ts";
import { errorOfResponse } from "../../lib/errors.ts";

/** Lets the browser save entries of a snapshot, from the worker itself: one file as it is, anything else as a tar. None: everything. */
export function useDownload(snapshotId: () => string) {
  return useAction({
    async run(entries: Pick<TreeEntry, "path" | "type">[]) {
      const [only] = entries;
      const format = entries.length === 1 && only?.type === "file" ? "file" : "tar";
      const paths = entries.map(({ path }) => path);
      const { url, ticket, data_url } = await api.snapshots.downloadTicket.mutate({
        snapshot_id: snapshotId(),
        paths,
        format,
      });
      if (url === null) throw new XVaultError("UNAVAILABLE", "The worker gave no address to download from.");
      // Asked first, because a refusal would replace this page.
      const answer = await fetch(`${data_url}/v1/download`, {
        method: "HEAD",
        headers: { authorization: `Bearer ${ticket}` },
      });
      if (!answer.ok) throw await errorOfResponse(answer);
      // The worker answers with Content-Disposition: attachment, so the page stays where it is.
      location.assign(url);
      return format;
    },
    success: (format) => (format === "file" ? "The download has started." : "The download of a tar has started."),
  });
}
