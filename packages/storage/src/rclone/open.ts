import { checkRemote, type RcloneRemote } from "./check-remote.ts";
import { openRemote, type RcloneProcessOptions, type RcloneStore } from "./connect.ts";

export interface RcloneStoreOptions extends RcloneRemote, RcloneProcessOptions {}

/**
 * Opens a folder at one of the providers that the program rclone (1.60 or later) knows, within the allow list of `remotes.ts`. One
 * rclone process serves the store, on loopback behind a random password; it is configured by its environment alone, reads no file, and ends with
 * this process, with `close`, with `signal`, and when it is not used. Memory is that process' 50 to 100 MB and a few hundred kilobytes a call.
 *
 * An object is uploaded to a name beginning with '.part-' beside its own and renamed on the remote when all of it has arrived. Providers that take no
 * streams (onedrive, zoho, …) have rclone spool each object in TMPDIR first. Times of temporary files are the remote's.
 *
 * `INPUT_INVALID` and `PATH_INVALID` name the field that the allow list refuses; `STORAGE_FAILED` when rclone or the remote cannot be
 * reached, or the provider can neither rename nor copy. What rclone says is in the message, without secrets.
 */
export async function openRcloneStore(options: RcloneStoreOptions): Promise<RcloneStore> {
  return openRemote(checkRemote(options), options);
}
