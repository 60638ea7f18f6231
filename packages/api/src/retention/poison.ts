import { formatBytes } from "@xvault/kernel";

/** What is known of a snapshot that tells whether it looks like those before it. Null: not known. */
export interface SnapshotFacts {
  id: string;
  sequence: number;
  good: boolean;
  /** Somebody said that it is right as it is. */
  accepted: boolean;
  files: number;
  plainBytes: number;
  /** How much of the files was not there, or not like that, before: 0 to 1. Null for a run that did not look. */
  churn: number | null;
  /** Of what was packed: compressed by uncompressed size. Near 1 for what is encrypted already. */
  ratio: number | null;
  packedBytes: number;
  /** Path → SHA-256 of files that never change. Null where the source has none. */
  canaries: Readonly<Record<string, string | null>> | null;
}

export interface Suspicion {
  snapshotId: string;
  sequence: number;
  kind: "size" | "files" | "churn" | "compressibility" | "canary";
  /** What was seen, in words for people. */
  message: string;
}

/**
 * From when on a snapshot looks wrong beside the median of up to five before it. What is small is not judged: a few files more or less mean nothing.
 */
const THRESHOLDS = {
  /** Snapshots before it that there must be. A canary needs one. */
  before: 3,
  compared: 5,
  /** Bytes and files: less than half, or more than three times as much, and a difference that counts. */
  shrinks: 0.5,
  grows: 3,
  leastBytes: 1024 * 1024,
  leastFiles: 20,
  /** More than half of the files changed where less than a fifth did. */
  churn: 0.5,
  calmChurn: 0.2,
  /** What is packed hardly compresses any more, where it did by at least a fifth more. */
  ratio: 0.95,
  ratioJump: 0.2,
  leastPacked: 64 * 1024,
} as const;

/**
 * What looks wrong in a source's snapshots and nobody has said to be right. A snapshot that looks wrong is no measure for those after it; one that
 * was accepted is the new measure, and what came before it counts no more.
 */
export function findSuspicions(snapshots: readonly SnapshotFacts[]): Suspicion[] {
  const found: Suspicion[] = [];
  let usual: SnapshotFacts[] = [];
  for (const one of snapshots.toSorted((a, b) => a.sequence - b.sequence)) {
    if (!one.good) continue;
    const wrong = compare(one, usual.slice(-THRESHOLDS.compared));
    if (wrong.length === 0) usual.push(one);
    else if (one.accepted) usual = [one];
    else found.push(...wrong);
  }
  return found;
}

function compare(one: SnapshotFacts, before: readonly SnapshotFacts[]): Suspicion[] {
  const found: Suspicion[] = [];
  const say = (kind: Suspicion["kind"], message: string) =>
    found.push({ snapshotId: one.id, sequence: one.sequence, kind, message });

  const canary = changedCanary(one, before.at(-1));
  if (canary) say("canary", canary);
  if (before.length < THRESHOLDS.before) return found;

  const bytes = median(before.map((each) => each.plainBytes));
  if (jumped(one.plainBytes, bytes, THRESHOLDS.leastBytes)) {
    say("size", `It has ${formatBytes(one.plainBytes)} where those before it had ${formatBytes(bytes)}.`);
  }
  const files = median(before.map((each) => each.files));
  if (jumped(one.files, files, THRESHOLDS.leastFiles)) {
    say("files", `It has ${one.files} files where those before it had ${files}.`);
  }
  const churns = before.flatMap((each) => (each.churn === null ? [] : [each.churn]));
  if (one.churn !== null && churns.length > 0 && one.files >= THRESHOLDS.leastFiles) {
    const calm = median(churns);
    if (one.churn > THRESHOLDS.churn && calm < THRESHOLDS.calmChurn) {
      say("churn", `${percent(one.churn)} of it changed at once, where ${percent(calm)} is usual.`);
    }
  }
  const ratios = before.flatMap((each) => (each.ratio === null || each.packedBytes === 0 ? [] : [each.ratio]));
  if (one.ratio !== null && ratios.length > 0 && one.packedBytes >= THRESHOLDS.leastPacked) {
    const usual = median(ratios);
    if (one.ratio > THRESHOLDS.ratio && one.ratio - usual > THRESHOLDS.ratioJump) {
      say(
        "compressibility",
        `What changed hardly compresses (to ${percent(one.ratio)}, where ${percent(usual)} is usual), as if it were encrypted.`,
      );
    }
  }
  return found;
}

/** Half, or three times; and by more than a source varies anyway. */
function jumped(value: number, usual: number, least: number): boolean {
  if (Math.abs(value - usual) < least) return false;
  return value < usual * THRESHOLDS.shrinks || value > usual * THRESHOLDS.grows;
}

function changedCanary(one: SnapshotFacts, before: SnapshotFacts | undefined): string | null {
  for (const [path, hash] of Object.entries(before?.canaries ?? {})) {
    const now = one.canaries?.[path];
    // One that was not there before says nothing, and neither does one that the source names no more.
    if (hash === null || now === undefined) continue;
    if (now === null) return `The canary ${path} is gone.`;
    if (now !== hash) return `The canary ${path} is not what it was.`;
  }
  return null;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
