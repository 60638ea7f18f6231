import { type Job, jobResultSchema, type JobResult } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";

interface Fact {
  key: string;
  label: string;
  text: string;
}

const fact = (label: string, text: string): Fact => ({ key: label, label, text });
const count = (label: string, number: number) => fact(label, number.toLocaleString("en"));
const size = (label: string, bytes: number) => fact(label, formatBytes(bytes));

/** What a job that is over found or made, in the order in which people ask. Empty where there is nothing to tell. */
export function resultFacts(result: Job["result"]): Fact[] {
  const parsed = jobResultSchema.safeParse(result);
  if (!parsed.success) return [];
  const value = parsed.data;
  switch (value.type) {
    case "backup":
      return backupFacts(value);
    case "ingest":
      return [size("Received", value.plain_bytes), size("Stored, compressed and encrypted", value.size_bytes)];
    case "restore":
      return [
        count("Entries written", value.written),
        count("Left as they were", value.skipped),
        size("Data written", value.bytes),
        count("Problems", value.problems),
      ];
    case "verify":
      return [
        fact(
          "Checked",
          value.depth === "content" ? "Decrypted and compared file by file" : "Stored bytes against the signed hashes",
        ),
        count("Files", value.files),
        size("Data read", value.bytes),
      ];
    case "expire":
      return [size("Space freed", value.freed_bytes)];
    default:
      return [];
  }
}

function backupFacts(value: Extract<JobResult, { type: "backup" }>): Fact[] {
  const unchanged = value.unchanged_files ?? 0;
  const files = value.files.toLocaleString("en");
  return [
    fact("Files", unchanged > 0 ? `${files}, ${unchanged.toLocaleString("en")} unchanged since the last run` : files),
    ...(unchanged > 0 ? [size("Size of all files", value.plain_bytes)] : []),
    size("Read from the source", value.plain_bytes - (value.unchanged_bytes ?? 0)),
    size("Stored, compressed and encrypted", value.size_bytes),
    count("Problems", value.problems),
  ];
}
