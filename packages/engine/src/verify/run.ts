import type { ArtifactReader } from "@xvault/archive";
import type { JobResult } from "@xvault/contracts";
import { readThrough } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";
import type { CheckedSnapshot } from "../snapshot.ts";

/**
 * Verifies a snapshot. Without an artifact: every stored byte against the signed block hashes, which needs no key. With one: decrypts,
 * decompresses and compares every file with its hash in the index, as a restore would, to nowhere.
 *
 * @throws ARTIFACT_CORRUPT and the other errors of damaged archives.
 */
export async function runVerify(run: {
  checked: CheckedSnapshot;
  artifact: ArtifactReader | null;
  reporter: Reporter;
  signal: AbortSignal;
}): Promise<Extract<JobResult, { type: "verify" }>> {
  const { checked, artifact, reporter, signal } = run;
  const { contents, artifact: stored } = checked.manifest;
  let bytes = 0;
  if (!artifact) {
    reporter.expect({ files: 0, bytes: stored.size_bytes });
    for await (const piece of readThrough(checked.artifact)) {
      signal.throwIfAborted();
      bytes += piece.length;
      reporter.advance({ bytes: piece.length });
    }
    return { type: "verify", depth: "stored", files: 0, bytes };
  }
  reporter.expect({ files: contents.files, bytes: contents.plain_bytes });
  let files = 0;
  for await (const entry of artifact.entries()) {
    if (entry.type !== "file") continue;
    for await (const piece of artifact.body(entry)) {
      signal.throwIfAborted();
      bytes += piece.length;
      reporter.advance({ bytes: piece.length });
    }
    files += 1;
    reporter.advance({ files: 1 });
  }
  return { type: "verify", depth: "content", files, bytes };
}
