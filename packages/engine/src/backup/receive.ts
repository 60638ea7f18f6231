import type { JobResult, Manifest, ReceivePayload } from "@xvault/contracts";
import { type FileEntry, systemClock, XVaultError } from "@xvault/kernel";
import { createSeal, type SealRun } from "./seal.ts";
import { createSnapshotWriter } from "./stored-snapshot.ts";

export interface ReceiveRun extends SealRun {
  payload: Omit<ReceivePayload, "type">;
  /** The package's bytes as they come in: as many as were announced. Throws where they will not come. */
  body: AsyncIterable<Buffer>;
  /** Told once all bytes are there and are those that were announced; storing them goes on after that. */
  onReceived(): void;
}

interface ReceiveOutcome {
  manifest: Manifest;
  result: Extract<JobResult, { type: "ingest" }>;
}

/**
 * Makes a snapshot of one package whose bytes are sent: tar with one entry → frames → age → storages, as they come in. Holds a few
 * frames in memory and writes nothing in clear; whatever fails, nothing of the attempt stays behind.
 *
 * @throws UPLOAD_HASH_MISMATCH where the bytes are not those that were announced; what `body` and the storage throw; the signal's reason.
 */
export async function runReceive(run: ReceiveRun): Promise<ReceiveOutcome> {
  const { payload, reporter, signal } = run;
  const startedAt = (run.clock ?? systemClock).now();
  reporter.expect({ files: 1, bytes: payload.size_bytes });
  reporter.step("receive", "Receiving, packing, encrypting and storing the package's bytes.");
  const writer = await createSnapshotWriter(run.store, payload, { signal, onProblem: () => {} });
  const seal = createSeal(run, writer);
  try {
    const body = payload.size_bytes === 0 ? drained(run.body) : counted(run);
    const line = await writer.archive.add(entryOf(payload, startedAt), await body);
    if (line.problem !== undefined || line.sha256 !== payload.checksum) {
      throw new XVaultError("UPLOAD_HASH_MISMATCH", undefined, {
        fix: "Nothing of them was kept. Ingest the package anew, with the checksum of what is sent.",
        data: { announced: payload.checksum, received: line.sha256 ?? null },
      });
    }
    reporter.advance({ files: 1 });
    run.onReceived();
    const parts = await writer.commit();
    await seal.readBack(parts);
    const manifest = await seal.publish({ startedAt, parts, partial: false, problems: 0, references: [] });
    const result = {
      type: "ingest" as const,
      plain_bytes: parts.contents.plain_bytes,
      size_bytes: parts.artifact.size_bytes,
    };
    return { manifest, result };
  } catch (error) {
    await seal.undo(error);
    signal.throwIfAborted();
    throw error;
  }
}

/** An entry without bytes has no body, but its client still says when it is done. */
async function drained(body: AsyncIterable<Buffer>): Promise<null> {
  for await (const _ of body);
  return null;
}

async function* counted({ body, reporter }: ReceiveRun): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of body) {
    reporter.advance({ bytes: chunk.length });
    yield chunk;
  }
}

function entryOf(payload: ReceiveRun["payload"], at: Date): FileEntry {
  return {
    path: entryPath(payload.path),
    type: "file",
    size: payload.size_bytes,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: BigInt(at.getTime()) * 1_000_000n,
  };
}

/** The path by which a package lies in its archive: its client's label without what would lead out of it. */
export function entryPath(label: string): Buffer {
  const parts = label.split("/").filter((part) => part !== "" && part !== "." && part !== "..");
  return Buffer.from(parts.length === 0 ? "package" : parts.join("/"));
}
