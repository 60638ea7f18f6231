import type { ArtifactWriter, IndexEntry, StoredBody } from "@xvault/archive";
import { indexPath } from "@xvault/archive";
import type { Manifest, ManifestBody } from "@xvault/contracts";
import { manifestBytes, manifestSha256, signManifest } from "@xvault/crypto";
import type { FileEntry } from "@xvault/kernel";
import { createSnapshotWriter } from "../src/backup/stored-snapshot.ts";
import { keysOf, type SnapshotPlace } from "../src/index.ts";
import type { BackupChanges, Lab } from "./lab.ts";

/** A snapshot that a test packed itself. */
export interface Packed {
  place: SnapshotPlace;
  manifest: Manifest;
  /** Its index, by path in latin1. */
  lines: Map<string, IndexEntry>;
}

/** Packs entries in an order of the test's own, the writer's `add` and `refer` in whatever mixture. */
export type Packing = (pack: {
  add(entry: FileEntry, body?: Buffer): Promise<void>;
  /** Enters a file as an earlier snapshot holds it; `change` makes the entry or the place another. */
  refer(from: Packed, path: Buffer | string, change?: Partial<FileEntry>, stored?: Partial<StoredBody>): Promise<void>;
}) => Promise<void>;

/** Stores a snapshot, signed as a worker signs it, whose manifest refers to `from` (or says something else, by `change`). */
export async function packSnapshot(
  lab: Lab,
  packing: Packing,
  options: { from?: Packed[]; change?: (body: ManifestBody) => ManifestBody } & BackupChanges = {},
): Promise<Packed> {
  const { from = [], change = (body: ManifestBody) => body, ...changes } = options;
  const run = lab.run(["/never asked"], changes);
  const writer = await createSnapshotWriter(run.store, run.payload, { signal: run.signal, onProblem: () => {} });
  const lines = new Map<string, IndexEntry>();
  const enter = (line: IndexEntry) => void lines.set(indexPath(line).toString("latin1"), line);
  const archive: ArtifactWriter = writer.archive;
  await packing({
    add: async (entry, body) => enter(await archive.add(entry, body ? once(body) : null)),
    refer: async (earlier, path, different, stored) => {
      const line = earlier.lines.get(Buffer.from(path).toString("latin1"));
      if (!line?.sha256) throw new Error(`no file ${path} was packed`);
      const snapshot = line.snapshot ?? earlier.place.snapshot_id;
      const at = { snapshot, offset: line.offset, bodyOffset: line.body_offset, sha256: line.sha256, ...stored };
      const entry = { ...entryOf(Buffer.from(path), { size: line.size }), ...sparseOf(line), ...different };
      enter(await archive.refer(entry, at));
    },
  });
  const parts = await writer.commit();
  const now = new Date().toISOString();
  const manifest = signManifest(
    change({
      format: 1,
      ...run.place,
      job_id: run.jobId,
      worker_id: run.workerId,
      attempt: 1,
      engine: "archive",
      started_at: now,
      created_at: now,
      sequence: from.length + 1,
      previous: null,
      partial: false,
      ...parts,
      references: from.map(referenceTo),
      certificate: run.signer.certificate,
    }),
    run.signer.privateKey,
  );
  await writer.put(keysOf(run.place).manifest, manifestBytes(manifest));
  return { place: run.place, manifest, lines };
}

export function referenceTo({ place, manifest }: Packed): Manifest["references"][number] {
  return { snapshot_id: place.snapshot_id, manifest_sha256: manifestSha256(manifest), live_bytes: 1 };
}

export function entryOf(path: Buffer | string, more: Partial<FileEntry> = {}): FileEntry {
  return {
    path: Buffer.from(path),
    type: "file",
    size: 0,
    mode: 0o640,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    mtimeNs: 1_700_000_000_000_000_000n,
    ...more,
  };
}

function sparseOf(line: IndexEntry): Pick<FileEntry, "sparse"> {
  return line.sparse ? { sparse: line.sparse.map(([offset, length]) => ({ offset, length })) } : {};
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes;
}
