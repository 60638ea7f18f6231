import type { ArtifactReader } from "@xvault/archive";
import type { JobResult } from "@xvault/contracts";
import { type ByteReader, readThrough } from "@xvault/kernel";
import type { Reporter } from "../progress.ts";
import { aboutEarlier } from "../references.ts";
import type { CheckedSnapshot } from "../snapshot.ts";

export interface VerifyRun {
  checked: CheckedSnapshot;
  artifact: ArtifactReader | null;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Verifies a snapshot. Without an artifact: every stored byte against the signed block hashes, which needs no key, and every byte of the
 * earlier artifacts that it refers to. With one: decrypts, decompresses and compares every file with its hash in the index, as a restore
 * would, to nowhere; the files of earlier artifacts too.
 *
 * @throws ARTIFACT_CORRUPT and the other errors of damaged archives, ARTIFACT_MISSING; about an earlier artifact with its `snapshot_id` in
 * the error's data.
 */
export async function runVerify(run: VerifyRun): Promise<Extract<JobResult, { type: "verify" }>> {
  const { checked, artifact, reporter, signal } = run;
  if (!artifact) return verifyStored(run);
  const { contents } = checked.manifest;
  reporter.expect({ files: contents.files, bytes: contents.plain_bytes });
  let files = 0;
  let bytes = 0;
  try {
    await artifact.prepare(earlierIds(checked));
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
  } finally {
    artifact.release();
  }
  return { type: "verify", depth: "content", files, bytes };
}

async function verifyStored({ checked, reporter, signal }: VerifyRun): Promise<Extract<JobResult, { type: "verify" }>> {
  let bytes = 0;
  const readAll = async (reader: ByteReader) => {
    for await (const piece of readThrough(reader)) {
      signal.throwIfAborted();
      bytes += piece.length;
      reporter.advance({ bytes: piece.length });
    }
  };
  // What is not there at all is told before hours of reading; the sizes are known then, too.
  let expected = checked.manifest.artifact.size_bytes;
  for (const id of earlierIds(checked)) expected += (await checked.earlier(id)).manifest.artifact.size_bytes;
  reporter.expect({ files: 0, bytes: expected });
  await readAll(checked.artifact);
  for (const id of earlierIds(checked)) {
    await readAll((await checked.earlier(id)).artifact).catch((error: unknown) => {
      signal.throwIfAborted();
      throw aboutEarlier(id, error);
    });
  }
  return { type: "verify", depth: "whole", files: 0, bytes };
}

function earlierIds(checked: CheckedSnapshot): string[] {
  return checked.manifest.references.map((reference) => reference.snapshot_id);
}
