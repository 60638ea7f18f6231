import type { Package } from "@xvault/contracts";
import type { StateLook } from "../../lib/states.ts";

/** What backs a package's claim, as it is shown. */
export const EVIDENCE: Record<Package["evidence"], StateLook> = {
  reported: { word: "Reported only", icon: "i-lucide-message-square", color: "neutral" },
  stored: { word: "Stored", icon: "i-lucide-archive", color: "info" },
  verified: { word: "Verified", icon: "i-lucide-shield-check", color: "success" },
  lost: { word: "Lost", icon: "i-lucide-circle-x", color: "error" },
  removed: { word: "Removed", icon: "i-lucide-archive-x", color: "neutral" },
};
