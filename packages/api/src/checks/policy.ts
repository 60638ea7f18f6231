import { DEFAULT_VERIFICATION, updateVerificationInput, type VerificationPolicy } from "@xvault/contracts";
import { eq, sql, type TenantTx, workspaceSettings } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { z } from "zod";

/** How a workspace wants its copies checked: what it chose, else what is usual. */
export async function verificationPolicy(tx: TenantTx, tenantId: TenantId): Promise<VerificationPolicy> {
  const [row] = await tx.select().from(workspaceSettings).where(eq(workspaceSettings.tenantId, tenantId));
  const chosen = updateVerificationInput.safeParse(row?.settings["verification"] ?? {});
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
export async function savePolicy(
  tx: TenantTx,
  tenantId: TenantId,
  policy: VerificationPolicy,
  now: Date,
): Promise<void> {
  const settings = { verification: { ...policy } };
  await tx
    .insert(workspaceSettings)
    .values({ tenantId, settings, updatedAt: now })
    .onConflictDoUpdate({
      target: workspaceSettings.tenantId,
      set: { settings: sql`${workspaceSettings.settings} || ${JSON.stringify(settings)}::jsonb`, updatedAt: now },
    });
}
