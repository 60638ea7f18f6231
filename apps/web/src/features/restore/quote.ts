import type { RestoreQuote } from "@xvault/contracts";
import { formatBytes, formatDuration } from "@xvault/kernel";
import { counted } from "../../lib/words.ts";

/** What a restore would do, as names and values. */
export function quoteFacts(quote: RestoreQuote) {
  const { files, directories, links, free_bytes, seconds } = quote;
  const others = [
    ...(directories > 0 ? [counted(directories, "folder", "folders")] : []),
    ...(links > 0 ? [counted(links, "link", "links")] : []),
  ];
  const fact = (label: string, text: string) => ({ key: label, label, text });
  return [
    fact("To write", [`${counted(files, "file", "files")}, ${formatBytes(quote.write_bytes)}`, ...others].join(", ")),
    fact("Left as they are", quote.skipped === 0 ? "None" : counted(quote.skipped, "entry", "entries")),
    fact("To read from storage", `about ${formatBytes(quote.read_bytes)}`),
    fact("Free on the server", free_bytes === null ? "The server does not tell" : formatBytes(free_bytes)),
    fact("Directory", quote.target_exists ? "There already" : "Will be made"),
    fact(
      "Estimated time",
      seconds === null ? "Not known before the first restore to this server" : `about ${formatDuration(seconds)}`,
    ),
  ];
}
