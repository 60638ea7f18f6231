import type { RestoreQuote } from "@xvault/contracts";
import { formatBytes, formatDuration } from "@xvault/kernel";
import { counted } from "../output.ts";

/** A quote of a restore as people read it. */
export function quoteLines(quote: RestoreQuote, where: string): string[] {
  const { files, directories, links, write_bytes, read_bytes, skipped, free_bytes, enough_space, seconds } = quote;
  const things = [counted(files, "file"), counted(directories, "directory", "directories"), counted(links, "link")];
  return [
    `Would write ${things.join(", ")}, ${formatBytes(write_bytes)}, to ${where}${quote.target_exists ? "" : " (made new)"}.`,
    `Would read about ${formatBytes(read_bytes)} from storage.`,
    ...(skipped > 0 ? [`${counted(skipped, "entry", "entries")} would be left as they are.`] : []),
    free_bytes === null
      ? "How much space is free there cannot be told."
      : `${formatBytes(free_bytes)} is free there: ${enough_space ? "enough" : "NOT ENOUGH"}.`,
    seconds === null
      ? "How long it takes is not known before the first restore to it."
      : `It takes about ${formatDuration(seconds)}, going by earlier restores.`,
  ];
}
