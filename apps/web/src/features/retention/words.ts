import type { LifecycleAction, PackageType, PresetName } from "@xvault/contracts";

export const PACKAGE_TYPE_WORDS: Record<PackageType, string> = {
  user_data: "User data",
  app_logs: "Application logs",
  audit_logs: "Audit logs",
  business_data: "Business data",
  job_package: "Job package",
  cache: "Cache",
};
export const PACKAGE_TYPE_ITEMS = (Object.keys(PACKAGE_TYPE_WORDS) as PackageType[]).map((value) => ({
  value,
  label: PACKAGE_TYPE_WORDS[value],
}));

export const PRESET_WORDS: Record<PresetName, { word: string; text: string }> = {
  "cloud-object": { word: "Cloud object storage", text: "For S3 and its like: seven years, most of it far away." },
  "on-prem": { word: "On premises", text: "Own disks, shares and tape: longer near, ten years in all." },
  "cost-optimized": { word: "Cost-optimized", text: "Tight budgets: quickly to cold storage, three years in all." },
};

/** An age in words, from days: '7 days', '1 year', '12 hours', 'for ever'. */
export function ageInWords(days: number | null): string {
  if (days === null) return "for ever";
  if (days === 0) return "at once";
  const [number, unit] =
    days >= 365 && days % 365 === 0
      ? [days / 365, "year"]
      : days >= 1
        ? [days, "day"]
        : days * 24 >= 1
          ? [days * 24, "hour"]
          : [days * 86_400, "second"];
  const rounded = Number(number.toFixed(number >= 10 ? 0 : 1));
  return `${rounded.toLocaleString("en")} ${unit}${rounded === 1 ? "" : "s"}`;
}

/** What is done, in a few words: 'Moves from hot to warm'. */
export function actionInWords({
  kind,
  from_tier,
  to_tier,
}: Pick<LifecycleAction, "kind" | "from_tier" | "to_tier">): string {
  if (kind === "expire") return `Ends, from ${from_tier}`;
  if (kind === "replicate") return `Gets a copy in ${to_tier ?? from_tier}`;
  return `Moves from ${from_tier} to ${to_tier ?? from_tier}`;
}
