import type { Manifest } from "@xvault/contracts";
import { type ByteReader, readThrough, sampleConfidence, sharedBlocks, XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import type { Reporter } from "../progress.ts";
import { aboutEarlier } from "../references.ts";
import { type CheckedSnapshot, checkSnapshot, storedObjects } from "../snapshot.ts";
import { type Draw, drawSome, secureDraw } from "./draw.ts";
import { checkPresence, type PresenceCheck } from "./presence.ts";

/** Ranges of a sample that are asked for at once: a storage that is far away is waited for less. */
const AT_ONCE = 4;

export interface CheckRun extends PresenceCheck {
  depth: "presence" | "sample" | "whole";
  /** Of a sample: the share of the blocks that is read, between 0 and 1. */
  share: number;
  /** Of a sample: the share of lost blocks that its confidence is told for. */
  lostBelow: number;
  /**
   * Whether the blocks of earlier artifacts that the snapshot needs count too. Where each of these is checked as a snapshot of its own, that
   * they are there is enough; it is looked at in any case.
   */
  earlier: boolean;
  reporter: Reporter;
  random?: Draw;
}

export interface CheckFound {
  depth: CheckRun["depth"];
  /** Of 'presence': what the objects have; else what was read of artifacts and compared with the signed hashes. */
  bytes: number;
  /** Of a sample: how sure it is that less than `lost_below` of the blocks is lost; that being 0, they were all read. */
  confidence?: number;
  lost_below?: number;
}

/**
 * Checks a stored snapshot as deeply as is asked, and without a key. In any depth: the signature, and that every object is there and as long as
 * it should be. 'sample' and 'whole' go on to the block hashes against the signed root, the whole index against its hash, and blocks of the
 * artifacts, drawn by chance or all, against their hashes. What does not match is read once more before it is called damaged (promise 18).
 *
 * @throws ARTIFACT_CORRUPT and the other errors of damaged archives, ARTIFACT_MISSING, SIGNATURE_INVALID; STORAGE_FAILED, which says nothing
 * about the bytes.
 */
export async function runCheck(run: CheckRun): Promise<CheckFound> {
  const { store, place, rootKeys, reporter, depth } = run;
  reporter.step("check", "Checking the signature, and that every object is there and as long as it should be.");
  const present = await checkPresence(run);
  if (depth === "presence") return { depth, bytes: present };
  const checked = await checkSnapshot(storedObjects(store, place), { rootKeys, expect: place });
  return depth === "sample" ? readSample(run, checked) : readWhole(run, checked);
}

interface Part {
  id: string | null;
  manifest: Manifest;
  artifact: ByteReader;
}

async function partsOf(run: CheckRun, checked: CheckedSnapshot): Promise<Part[]> {
  const parts: Part[] = [{ id: null, manifest: checked.manifest, artifact: checked.artifact }];
  if (!run.earlier) return parts;
  for (const { snapshot_id: id } of checked.manifest.references) {
    run.signal.throwIfAborted();
    const { manifest, artifact } = await checked.earlier(id);
    parts.push({ id, manifest, artifact });
  }
  return parts;
}

async function readSample(run: CheckRun, checked: CheckedSnapshot): Promise<CheckFound> {
  const { reporter, signal, share, lostBelow, random = secureDraw } = run;
  const parts = await partsOf(run, checked);
  const all = parts.reduce((sum, { manifest }) => sum + manifest.blocks.count, 0);
  const some = sharedBlocks(all, share);
  reporter.step("read", `Reading ${some} of ${all} blocks, drawn by chance.`);
  const drawn = drawSome(all, some, random);
  let first = 0;
  let bytes = 0;
  const work = parts.flatMap((part) => {
    const { count, block_bytes: step } = part.manifest.blocks;
    const mine = drawn.filter((block) => block >= first && block < first + count).map((block) => block - first);
    first += count;
    return mine.map((block) => ({
      part,
      start: block * step,
      length: Math.min(step, part.artifact.size - block * step),
    }));
  });
  reporter.expect({ files: 0, bytes: work.reduce((sum, { length }) => sum + length, 0) });
  for (let at = 0; at < work.length; at += AT_ONCE) {
    signal.throwIfAborted();
    const read = work.slice(at, at + AT_ONCE).map(async ({ part, start, length }) => {
      await about(part, signal, () => part.artifact.read(start, length));
      bytes += length;
      reporter.advance({ bytes: length });
    });
    await Promise.all(read);
  }
  if (some === all) return { depth: "sample", bytes, confidence: 1, lost_below: 0 };
  return { depth: "sample", bytes, confidence: sampleConfidence(all, some, lostBelow), lost_below: lostBelow };
}

async function readWhole(run: CheckRun, checked: CheckedSnapshot): Promise<CheckFound> {
  const { reporter, signal } = run;
  const parts = await partsOf(run, checked);
  reporter.step("read", "Reading every stored block.");
  reporter.expect({ files: 0, bytes: parts.reduce((sum, { artifact }) => sum + artifact.size, 0) });
  let bytes = 0;
  for (const part of parts) {
    const whole = createHash("sha256");
    await about(part, signal, async () => {
      for await (const piece of readThrough(part.artifact)) {
        signal.throwIfAborted();
        whole.update(piece);
        bytes += piece.length;
        reporter.advance({ bytes: piece.length });
      }
      if (whole.digest("hex") !== part.manifest.artifact.sha256) {
        throw new XVaultError("ARTIFACT_CORRUPT", "The artifact as a whole is not the one that was signed.");
      }
    });
  }
  return { depth: "whole", bytes };
}

async function about<T>(part: Part, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw part.id === null ? error : aboutEarlier(part.id, error);
  }
}
