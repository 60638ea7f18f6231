import type { Tier } from "@xvault/contracts";

/** From the nearest to the farthest. */
export const TIER_ORDER = ["hot", "warm", "cold", "offsite"] as const satisfies readonly Tier[];

interface TierWords {
  word: string;
  /** What a storage of it is like. */
  text: string;
  icon: string;
  /** Its colour, for an element and for a drawing. */
  bar: string;
  fill: string;
}

export const TIER_WORDS: Record<Tier, TierWords> = {
  hot: {
    word: "Hot",
    text: "Near and fast; read first",
    icon: "i-lucide-flame",
    bar: "bg-orange-500",
    fill: "fill-orange-500",
  },
  warm: {
    word: "Warm",
    text: "A little slower",
    icon: "i-lucide-sun",
    bar: "bg-amber-400",
    fill: "fill-amber-400",
  },
  cold: {
    word: "Cold",
    text: "Cheap, slow, rarely read",
    icon: "i-lucide-snowflake",
    bar: "bg-sky-500",
    fill: "fill-sky-500",
  },
  offsite: {
    word: "Offsite",
    text: "Far away; read last",
    icon: "i-lucide-building",
    bar: "bg-indigo-500",
    fill: "fill-indigo-500",
  },
};

/** The tiers as a filter's choices, and as those for a storage. */
export const TIER_ITEMS = TIER_ORDER.map((value) => ({ value, label: TIER_WORDS[value].word }));
export const TIER_CHOICES = TIER_ITEMS.map((item) => ({ ...item, description: TIER_WORDS[item.value].text }));
