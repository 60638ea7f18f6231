import {
  type CheckDepth,
  type CheckedCopy,
  type CheckResult,
  checkResultSchema,
  type Copy,
  type VerificationStatus,
} from "@xvault/contracts";
import { formatBytes, formatDuration, sampleClaim } from "@xvault/kernel";
import type { StateLook } from "../../lib/states.ts";

/** The depths as a person chooses them, from the shallowest to the deepest. */
export const DEPTHS: { value: CheckDepth; label: string; description: string }[] = [
  {
    value: "presence",
    label: "Presence",
    description: "Everything is there and as long as the signed manifest says. Seconds.",
  },
  { value: "sample", label: "Sample", description: "Blocks drawn by chance, held against their signed hashes." },
  { value: "whole", label: "Whole", description: "Every stored byte, held against the signed hashes." },
  {
    value: "content",
    label: "Contents",
    description: "Every file decrypted and held against the index. Needs the key.",
  },
];

/** What the last check of a copy found, as far as that can be told. */
export function lastOf(copy: Pick<Copy, "check">): CheckResult | null {
  return checkResultSchema.safeParse(copy.check).data ?? null;
}

/** What a check found, in a line. */
export function resultInWords(result: CheckResult | null): string {
  if (result === null) return "Read back when it was written";
  if (result.outcome !== "ok") return result.message ?? "Damaged";
  if (result.confidence !== undefined) return capital(sampleClaim(result.confidence, result.lost_below ?? 0));
  const size = result.bytes === undefined ? "" : `, ${formatBytes(result.bytes)}`;
  if (result.depth === "presence") return `Everything is there${size}`;
  if (result.depth === "content") return `Every file decrypted and compared${size}`;
  return result.depth === undefined ? "Read back when it was written" : `Every stored byte compared${size}`;
}

export function copyLook(copy: Pick<CheckedCopy, "state">): StateLook {
  if (copy.state === "corrupt") return { word: "Corrupt", icon: "i-lucide-circle-x", color: "error" };
  if (copy.state === "missing") return { word: "Missing", icon: "i-lucide-circle-x", color: "error" };
  return { word: "Sound", icon: "i-lucide-circle-check", color: "success" };
}

export function proofLook(passed: boolean): StateLook {
  return passed
    ? { word: "Passed", icon: "i-lucide-circle-check", color: "success" }
    : { word: "Failed", icon: "i-lucide-circle-x", color: "error" };
}

type SourceDrill = VerificationStatus["sources"][number];

/** Whether the measured speed reaches the objective. */
export function objectiveLook({ drill, objective_seconds: wanted }: SourceDrill): StateLook | null {
  if (!drill || wanted === null || drill.all_seconds === null) return null;
  return drill.all_seconds <= wanted
    ? { word: "Within the objective", icon: "i-lucide-circle-check", color: "success" }
    : { word: "Too slow for the objective", icon: "i-lucide-triangle-alert", color: "warning" };
}

/** How long a drill took. */
export function tookInWords(seconds: number): string {
  return seconds < 1 ? "under a second" : formatDuration(seconds);
}

/** How long all of a source would take, beside how long it may. */
export function recoveryInWords({ drill, objective_seconds: wanted, plain_bytes: bytes }: SourceDrill): string {
  if (!drill) return "Not measured yet";
  const may = wanted === null ? "no objective is set" : `${formatDuration(wanted)} is the objective`;
  if (drill.all_seconds === null) return `Not measured: ${may}`;
  return `${formatDuration(drill.all_seconds)} for all ${formatBytes(bytes)} at the measured speed; ${may}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
