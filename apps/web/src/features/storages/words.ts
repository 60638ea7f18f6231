import type { Copy, Storage, StorageKind } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";
import type { StateLook } from "../../lib/states.ts";
import { TIER_WORDS } from "../../lib/tiers.ts";
import { counted } from "../../lib/words.ts";

export const KIND_WORDS: Record<StorageKind, string> = { local_fs: "Worker disks", s3: "S3 bucket", rclone: "rclone" };

/** What the last test of a storage came to. */
export function testLook(storage: Pick<Storage, "test">): StateLook {
  if (storage.test === null) return { word: "Not tested", icon: "i-lucide-circle-help", color: "neutral" };
  if (storage.test.some(({ status }) => status === "failed"))
    return { word: "Test failed", icon: "i-lucide-circle-x", color: "error" };
  return { word: "Works", icon: "i-lucide-circle-check", color: "success" };
}

/** What is known of a storage's locks: only what was seen to hold counts as one. */
export const LOCK_LOOKS: Record<Storage["lock"], StateLook> = {
  none: { word: "No lock", icon: "i-lucide-lock-open", color: "neutral" },
  unproven: { word: "Lock not proven", icon: "i-lucide-triangle-alert", color: "warning" },
  enforced: { word: "Lock enforced", icon: "i-lucide-lock", color: "success" },
};

export const COPY_LOOKS: Record<Copy["state"], StateLook> = {
  complete: { word: "Complete", icon: "i-lucide-circle-check", color: "success" },
  missing: { word: "Missing", icon: "i-lucide-circle-x", color: "error" },
  corrupt: { word: "Corrupt", icon: "i-lucide-circle-x", color: "error" },
  removing: { word: "Being removed", icon: "i-lucide-hourglass", color: "warning" },
  removed: { word: "Removed", icon: "i-lucide-archive-x", color: "neutral" },
};

/** What there is to say of a storage, line by line. */
export function factsOf(storage: Storage): { key: string; label: string; text?: string }[] {
  const { config } = storage;
  const lock = config["lock"] as { mode?: string; days?: number } | null | undefined;
  return [
    { key: "location", label: "Place" },
    { key: "kind", label: "Kind", text: KIND_WORDS[storage.kind] },
    { key: "owner", label: "Whose", text: storage.owner === "workspace" ? "This workspace's" : "The operator's" },
    { key: "tier", label: "Tier", text: TIER_WORDS[storage.tier].word },
    {
      key: "held",
      label: "Held there",
      text: `${counted(storage.copies, "copy", "copies")}, ${formatBytes(storage.bytes)}`,
    },
    { key: "sources", label: "Sources placed there", text: storage.sources.join(", ") || "none" },
    ...(lock
      ? [
          {
            key: "lock",
            label: "Lock asked for",
            text: `${lock.mode?.toLowerCase()}, ${counted(lock.days ?? 0, "day", "days")}`,
          },
        ]
      : []),
    ...(typeof config["storage_class"] === "string"
      ? [{ key: "class", label: "Storage class", text: config["storage_class"] }]
      : []),
  ];
}
