import type { RetentionConfig, Tier } from "@xvault/contracts";
import { TIER_ORDER } from "../../lib/tiers.ts";

/** A number as a field holds it; empty for none. */
type Field = number | string;

export interface ConfigForm {
  /** Days. */
  audit: Field;
  operational: Field;
  /** Hours. */
  objectives: Record<Tier, { rto: Field; rpo: Field }>;
}

const HOUR = 3600;

export function formOfConfig({ retention, objectives }: RetentionConfig): ConfigForm {
  const hours = (seconds: number | null): Field => (seconds === null ? "" : seconds / HOUR);
  const of = (tier: Tier) => ({ rto: hours(objectives[tier].rto_seconds), rpo: hours(objectives[tier].rpo_seconds) });
  return {
    audit: retention.audit_days ?? "",
    operational: retention.operational_days ?? "",
    objectives: { hot: of("hot"), warm: of("warm"), cold: of("cold"), offsite: of("offsite") },
  };
}

/** What is sent: an empty field is none. */
export function configOfForm(form: ConfigForm) {
  const number = (field: Field) => (field === "" ? null : Number(field));
  const seconds = (field: Field) => (field === "" ? null : Math.round(Number(field) * HOUR));
  const objectives = Object.fromEntries(
    TIER_ORDER.map((tier) => {
      const { rto, rpo } = form.objectives[tier];
      return [tier, { rto_seconds: seconds(rto), rpo_seconds: seconds(rpo) }];
    }),
  ) as Record<Tier, { rto_seconds: number | null; rpo_seconds: number | null }>;
  return { retention: { audit_days: number(form.audit), operational_days: number(form.operational) }, objectives };
}
