import { BLOCK_BYTES, createArtifactWriter, hashBlocks, type ArtifactWriter } from "@xvault/archive";
import type { ManifestBody } from "@xvault/contracts";
import { ageEncrypt, headerSha256, recipientFingerprint } from "@xvault/crypto";
import type { ByteSink, PathProblem } from "@xvault/kernel";
import type { ObjectStore, ObjectWriter } from "@xvault/storage";
import { keysOf, type SnapshotPlace } from "../place.ts";
import { meter } from "../sinks.ts";

type Target = SnapshotPlace & { recipients: string[] };
type Parts = Pick<ManifestBody, "artifact" | "index" | "blocks" | "encryption" | "contents">;

/** The objects of one snapshot while they are being written. Nothing is visible before `commit`. */
export interface SnapshotWriter {
  archive: ArtifactWriter;
  /** Ends the streams and makes the objects durable under their names; all but the manifest, without which none of them counts. */
  commit(): Promise<Parts>;
  /** Writes one small object whole, durable when it resolves. */
  put(key: string, bytes: Buffer): Promise<void>;
  /** The same for one that `write` produces and closes. Kept only when it answers true. */
  stream(key: string, write: (sink: ByteSink) => Promise<boolean>): Promise<boolean>;
  /** Removes whatever this attempt wrote, and nothing that another one did. Never throws. */
  abort(): Promise<void>;
}

/** Opens the three streams of a snapshot (artifact, index, block hashes), each encrypted where it must be, ready to be filled. */
export async function createSnapshotWriter(
  store: ObjectStore,
  target: Target,
  options: { signal: AbortSignal; onProblem: (problem: PathProblem) => void },
): Promise<SnapshotWriter> {
  const keys = keysOf(target);
  const opened: { key: string; writer: ObjectWriter }[] = [];
  /** Keys of what this attempt has made visible. */
  const committed: string[] = [];
  const open = async (key: string) => {
    const writer = await store.create(key);
    opened.push({ key, writer });
    return writer;
  };
  const commitAll = async () => {
    for (let next = opened[0]; next; next = opened[0]) {
      await next.writer.commit();
      committed.push(next.key);
      opened.shift();
    }
  };

  const abort = async () => {
    await Promise.allSettled(opened.map(({ writer }) => writer.abort()));
    // The last one first: that is the manifest, without which there is no snapshot.
    for (const key of committed.toReversed()) await store.remove(key).catch(() => {});
    if (await isEmpty(store, keys.dir)) await store.removeTree(keys.dir).catch(() => {});
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
      put: async (key, bytes) => {
        const writer = await open(key);
        await writer.write(bytes);
        await writer.close();
        await commitAll();
      },
      stream: async (key, write) => {
        const writer = await open(key);
        const kept = await write(writer);
        if (kept) await commitAll();
        else {
          opened.splice(0);
          await writer.abort();
        }
        return kept;
      },
      commit: async () => {
        const totals = await archive.finish();
        await commitAll();
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

/** Whether nothing lies below a prefix. False where that cannot be told. */
async function isEmpty(store: ObjectStore, prefix: string): Promise<boolean> {
  try {
    for await (const _ of store.list(prefix)) return false;
    return true;
  } catch {
    return false;
  }
}
