import type { Locator, Manifest } from "@xvault/contracts";
import { type ErrorReport, formatBytes } from "@xvault/kernel";

/** On whose data a snapshot rests besides its own, in a sentence; empty where on none. */
export function referencesInWords(references: Manifest["references"]): string {
  if (references.length === 0) return "";
  const bytes = formatBytes(references.reduce((sum, { live_bytes }) => sum + live_bytes, 0));
  return references.length === 1
    ? `Files that had not changed were not stored again: ${bytes} of them lie in one earlier snapshot, which stays as long as this one.`
    : `Files that had not changed were not stored again: ${bytes} of them lie in ${references.length.toLocaleString("en")} earlier snapshots, which stay as long as this one.`;
}

/** As the hub says it to whoever asks for the files of such a snapshot. */
export const OUT_OF_REACH: ErrorReport = {
  code: "NO_WORKER",
  message: "The worker that holds this snapshot was revoked.",
  fix: "Have its storage brought to another worker, or read the stored files offline with 'xvault recover' and a recovery kit.",
  retry: false,
};

/** Where a snapshot lies, in a line that can be copied. */
export function locatorInWords({ storage_backend, local_path, bucket, key }: Locator): string {
  if (storage_backend === "local_fs") return local_path ?? "";
  return storage_backend === "s3" ? `s3://${bucket ?? ""}/${key ?? ""}` : (key ?? "");
}
