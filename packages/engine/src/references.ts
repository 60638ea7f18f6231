import { type EarlierArtifacts, openFrames } from "@xvault/archive";
import type { Manifest } from "@xvault/contracts";
import { openPayload } from "@xvault/crypto";
import { shortId, toXVaultError, XVaultError } from "@xvault/kernel";
import type { CheckedArtifact, CheckedSnapshot } from "./snapshot.ts";

/** Held decompressed of each earlier artifact: little, because many are open at once. Bytes. */
const CACHED_BYTES = 4 * 1024 * 1024;

/** Gives the file key of an earlier artifact, out of its age header. Called once for each that is needed. */
export type EarlierKey = (sealed: Pick<CheckedArtifact, "manifest" | "header">) => Promise<Buffer>;

/** The artifacts that a checked snapshot refers to, each unsealed with a key of its own. */
export function earlierArtifacts(checked: CheckedSnapshot, keyOf: EarlierKey): EarlierArtifacts {
  const named = new Set(checked.manifest.references.map((reference) => reference.snapshot_id));
  /** Kept for as long as the snapshot is open: whoever gives them may not be asked again when an artifact is opened anew. */
  const keys = new Map<string, Promise<Buffer>>();
  return {
    has: (snapshot) => named.has(snapshot),
    async open(snapshot) {
      const found = await checked.earlier(snapshot);
      let key = keys.get(snapshot);
      if (!key) {
        key = keyOf(found);
        keys.set(snapshot, key);
        key.catch(() => keys.delete(snapshot));
      }
      try {
        const plain = await openPayload(found.artifact, found.header.length, await key);
        return await openFrames(plain, { cachedBytes: CACHED_BYTES });
      } catch (error) {
        throw aboutEarlier(snapshot, error);
      }
    },
  };
}

/** What the manifest says about an earlier snapshot that it refers to. @throws ARCHIVE_MALFORMED when it does not refer to it */
export function referenceTo(manifest: Manifest, snapshotId: string): Manifest["references"][number] {
  const found = manifest.references.find((reference) => reference.snapshot_id === snapshotId);
  if (found) return found;
  throw new XVaultError("ARCHIVE_MALFORMED", `The manifest does not refer to snapshot ${shortId(snapshotId)}.`);
}

/** A failure with an earlier artifact, as it is told: which snapshot it is about must not be guessed. */
export function aboutEarlier(snapshotId: string, error: unknown): XVaultError {
  const failure = toXVaultError(error);
  return new XVaultError(
    failure.code,
    `Earlier snapshot ${shortId(snapshotId)}, which this one needs: ${failure.message}`,
    { fix: failure.fix, retry: failure.retry, data: { ...failure.data, snapshot_id: snapshotId }, cause: error },
  );
}
