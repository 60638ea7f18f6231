import { DEFAULT_VERIFICATION, updateVerificationInput, type VerificationPolicy } from "@xvault/contracts";
import type { TenantTx } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { z } from "zod";
import { settingsUnder, writeUnder } from "../retention/settings.ts";

/** Under which key of the workspace's settings the policy stands. */
const KEY = "verification";

/** How a workspace wants its copies checked: what it chose, else what is usual. */
export async function verificationPolicy(tx: TenantTx, tenantId: TenantId): Promise<VerificationPolicy> {
  const chosen = updateVerificationInput.safeParse((await settingsUnder(tx, tenantId, KEY)) ?? {});
  return changedPolicy(DEFAULT_VERIFICATION, chosen.data ?? {});
}

/** A policy with what is given changed in it. */
export function changedPolicy(
  policy: VerificationPolicy,
  change: z.output<typeof updateVerificationInput>,
): VerificationPolicy {
  const given = Object.entries(change).filter(([, value]) => value !== undefined);
  return { ...policy, ...(Object.fromEntries(given) as Partial<VerificationPolicy>) };
}

/** Keeps a policy beside whatever else the workspace chose. */
export function savePolicy(tx: TenantTx, tenantId: TenantId, policy: VerificationPolicy, now: Date): Promise<void> {
  return writeUnder(tx, tenantId, KEY, policy, now);
}
