import {
  type PresetName,
  RETENTION_PRESETS,
  type RuleOverrides,
  type RuleSet,
  ruleSetSchema,
  type TierAges,
  tierEnds,
} from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";

/** The rules of a package type: the preset's, and what was set otherwise field by field. @throws RETENTION_INVALID */
export function ruleSet(preset: PresetName, overrides: RuleOverrides = {}): RuleSet {
  const rules = ruleSetSchema.parse(overlaid({ ...RETENTION_PRESETS[preset].backup }, overrides));
  checkAges(rules);
  return rules;
}

/** What is set in `changes`, and the rest as it was. */
export function overlaid<T extends object>(base: T, changes: { [Name in keyof T]?: T[Name] | undefined }): T {
  const set = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}

/** Refuses ages that would not mean what they seem to. @throws RETENTION_INVALID */
function checkAges(ages: TierAges): void {
  let before: [string, number | null] | undefined;
  for (const [tier, days] of tierEnds(ages)) {
    const name = `${tier}_days`;
    if (before !== undefined && days !== null) {
      const [earlier, least] = before;
      if (least === null) {
        throw new XVaultError(
          "RETENTION_INVALID",
          `${name} never counts: with ${earlier} null, a package stays there.`,
          {
            fix: `Set ${name} to null as well, or give ${earlier} a number of days.`,
          },
        );
      }
      if (days <= least) {
        throw new XVaultError("RETENTION_INVALID", `${name} (${days}) is not above ${earlier} (${least}).`, {
          fix: "The figures are ages since creation, each above the one before it.",
        });
      }
    }
    before = [name, days];
  }
}
