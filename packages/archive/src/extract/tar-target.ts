import { bodyLength, type ByteSink, type FileEntry, type TreeTarget, XVaultError } from "@xvault/kernel";
import { showPath, throwIfAborted } from "../failures.ts";
import { TAR_END, tarHeader, tarPadding } from "../tar/header.ts";
import { checkEntry } from "./check.ts";

/**
 * A target that writes the entries it is given as a tar stream, for downloads. `finish` ends the archive and closes the sink; `abort` leaves
 * the stream without its end, so that nobody takes it for whole.
 *
 * `directoriesLast` is for entries that do not come depth first: stock tar sets the times of a directory as soon as it meets something
 * outside it, and a file that comes later would change them again. Memory then follows the number of directories.
 */
export function writeTarTo(
  sink: ByteSink,
  options: { signal?: AbortSignal; directoriesLast?: boolean } = {},
): TreeTarget {
  const directories: FileEntry[] = [];
  return {
    async put(entry, body) {
      checkEntry(entry);
      throwIfAborted(options.signal);
      if (options.directoriesLast === true && entry.type === "dir") {
        directories.push(entry);
        return "written";
      }
      await sink.write(tarHeader(entry));
      const length = bodyLength(entry);
      let written = 0;
      for await (const chunk of body ?? []) {
        throwIfAborted(options.signal);
        written += chunk.length;
        if (written > length) break;
        await sink.write(chunk);
      }
      if (written !== length) {
        throw new XVaultError(
          "ARCHIVE_TRUNCATED",
          `'${showPath(entry.path)}' did not have the ${length} bytes announced.`,
        );
      }
      const padding = tarPadding(length);
      if (padding.length > 0) await sink.write(padding);
      return "written";
    },
    async finish() {
      for (const directory of directories) await sink.write(tarHeader(directory));
      await sink.write(TAR_END);
      await sink.close();
    },
    async abort() {},
  };
}
