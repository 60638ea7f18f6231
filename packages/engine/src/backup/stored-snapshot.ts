import { BLOCK_BYTES, createArtifactWriter, hashBlocks, type ArtifactWriter } from "@xvault/archive";
import type { JobPayloadOf, ManifestBody } from "@xvault/contracts";
import { ageEncrypt, headerSha256, recipientFingerprint } from "@xvault/crypto";
import { type PathProblem, XVaultError } from "@xvault/kernel";
import type { ObjectStore, ObjectWriter } from "@xvault/storage";
import { keysOf } from "../place.ts";
import { meter } from "../sinks.ts";

type Target = JobPayloadOf<"backup">;
type Parts = Pick<ManifestBody, "artifact" | "index" | "blocks" | "encryption" | "contents">;

/** The objects of one snapshot while they are being written. Nothing is visible before `commit`. */
export interface SnapshotWriter {
  archive: ArtifactWriter;
  /** Ends the streams and makes the objects durable under their names; all but the manifest, without which none of them counts. */
  commit(): Promise<Parts>;
  /** Removes whatever was written. Never throws. */
  abort(): Promise<void>;
}

/** Opens the three streams of a snapshot (artifact, index, block hashes), each encrypted where it must be, ready to be filled. */
export async function createSnapshotWriter(
  store: ObjectStore,
  target: Target,
  options: { signal: AbortSignal; onProblem: (problem: PathProblem) => void },
): Promise<SnapshotWriter> {
  const keys = keysOf(target);
  const opened: ObjectWriter[] = [];
  const open = async (key: string) => {
    const writer = await store.create(key);
    opened.push(writer);
    return writer;
  };

  const abort = async () => {
    await Promise.allSettled(opened.map((writer) => writer.abort()));
    await store.removeTree(keys.dir).catch(() => {});
  };

  try {
    const artifactObject = await open(keys.artifact);
    const indexObject = await open(keys.index);
    const blocksObject = await open(keys.blocks);

    const blocks = hashBlocks(artifactObject, blocksObject);
    const indexMeter = meter(indexObject);
    const artifactAge = await ageEncrypt(blocks, target.recipients);
    const indexAge = await ageEncrypt(indexMeter, target.recipients);
    const archive = createArtifactWriter({ artifact: artifactAge.sink, index: indexAge.sink, ...options });

    return {
      archive,
      abort,
      commit: async () => {
        const totals = await archive.finish();
        for (const writer of opened) await writer.commit();
        const artifact = blocks.result();
        const index = indexMeter.result();
        return {
          artifact: {
            name: "backup.tar.zst.enc",
            size_bytes: artifact.sizeBytes,
            sha256: artifact.sha256,
            header_sha256: headerSha256(artifactAge.header),
            header_bytes: artifactAge.header.length,
            compressed_bytes: totals.compressedBytes,
            tar_bytes: totals.tarBytes,
          },
          index: {
            name: "index.zst.enc",
            size_bytes: index.sizeBytes,
            sha256: index.sha256,
            header_sha256: headerSha256(indexAge.header),
            header_bytes: indexAge.header.length,
          },
          blocks: { name: "blocks.bin", block_bytes: BLOCK_BYTES, count: artifact.blockCount, root: artifact.root },
          encryption: {
            algorithm: "age-encryption.org/v1",
            recipients: await Promise.all(
              target.recipients.map(async (recipient) => ({ fingerprint: await recipientFingerprint(recipient) })),
            ),
          },
          contents: {
            files: totals.files,
            directories: totals.dirs,
            links: totals.links,
            plain_bytes: totals.logicalBytes,
            problems: totals.problems,
          },
        };
      },
    };
  } catch (error) {
    await abort();
    throw error;
  }
}

/** Writes one small object whole. */
export async function writeObject(store: ObjectStore, key: string, bytes: Buffer): Promise<void> {
  const writer = await store.create(key);
  try {
    await writer.write(bytes);
    await writer.close();
    await writer.commit();
  } catch (error) {
    await writer.abort().catch(() => {});
    throw error;
  }
}

/** Reads a stored object again and compares it with what was written: what the disk gives back is what counts. */
export async function readBack(
  store: ObjectStore,
  key: string,
  expected: { size_bytes: number; sha256: string },
  sha256Of: (key: string) => Promise<string>,
): Promise<void> {
  const found = await store.stat(key);
  if (found?.sizeBytes !== expected.size_bytes || (await sha256Of(key)) !== expected.sha256) {
    throw new XVaultError("ARTIFACT_CORRUPT", "What the storage gives back is not what was written to it.", {
      retry: true,
    });
  }
}
