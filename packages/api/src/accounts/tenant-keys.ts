import type { KeyMode, TenantKey } from "@xvault/contracts";
import { checkRecipient, generateIdentity, type Keyring, recipientFingerprint } from "@xvault/crypto";
import { appendAudit, memberships, type TenantKeyRow, tenantKeys, tenants, type TenantTx } from "@xvault/db";
import { type Clock, type KeyId, newId, type TenantId, type UserId, XVaultError } from "@xvault/kernel";
import { giveStorages } from "../storages/placement.ts";
import { createDataKey, identityPlace, type TenantVault } from "./tenant-vault.ts";

interface Deps {
  keyring: Keyring;
  vault: TenantVault;
  clock: Clock;
}

export interface NewTenant {
  /** Minted by the caller, because the transaction is bound to it. */
  id: TenantId;
  name: string;
  keyMode: KeyMode;
  /** Customer-held only: the public recipient. */
  recipient?: string | undefined;
  owner: { id: UserId; email: string };
  requestId: string | null;
}

/**
 * Makes a workspace with its owner, its data key and its first recipient.
 *
 * @throws RECIPIENT_INVALID, RECIPIENT_IS_PRIVATE; INPUT_INVALID when customer-held mode comes without a recipient, or the other with one.
 */
export async function createTenant(tx: TenantTx, tenant: NewTenant, deps: Deps): Promise<void> {
  const { id, name, keyMode, owner } = tenant;
  const recipients = tenant.recipient === undefined ? [] : [tenant.recipient];
  checkMode(keyMode, recipients);
  const now = deps.clock.now();
  await tx.insert(tenants).values({ id, name, keyMode, createdAt: now });
  await tx.insert(memberships).values({ tenantId: id, userId: owner.id, role: "owner", createdAt: now });
  await createDataKey(tx, id, deps.keyring);
  const keys = await addKeys(tx, id, keyMode, recipients, deps);
  await giveStorages(tx, id);
  await appendAudit(tx, {
    tenantId: id,
    actor: { kind: "user", id: owner.id, label: owner.email },
    action: "workspace.created",
    target: { kind: "workspace", id },
    data: { name, key_mode: keyMode, fingerprints: keys.map((key) => key.fingerprint) },
    requestId: tenant.requestId,
  });
}

/** Refuses recipients that do not go with the mode. */
export function checkMode(keyMode: KeyMode, recipients: readonly string[]): void {
  if (keyMode === "customer" && recipients.length === 0) {
    throw new XVaultError("INPUT_INVALID", "A workspace that holds its own key needs its recipient (age1…).");
  }
  if (keyMode === "platform" && recipients.length > 0) {
    throw new XVaultError("INPUT_INVALID", "The platform makes the key of this workspace itself; name no recipient.");
  }
}

/** Adds key pairs in use: a new one of the platform's, or the customer's recipients, of which nothing secret is known. */
export async function addKeys(
  tx: TenantTx,
  tenantId: TenantId,
  keyMode: KeyMode,
  recipients: readonly string[],
  deps: Omit<Deps, "keyring">,
): Promise<TenantKeyRow[]> {
  const createdAt = deps.clock.now();
  const values: (typeof tenantKeys.$inferInsert)[] = [];
  if (keyMode === "platform") {
    const id = newId<KeyId>();
    const pair = await generateIdentity();
    const { sealed, keyVersion } = await deps.vault.seal(tx, tenantId, identityPlace(id), Buffer.from(pair.identity));
    const fingerprint = await recipientFingerprint(pair.recipient);
    const common = { id, tenantId, recipient: pair.recipient, fingerprint, state: "active", createdAt } as const;
    values.push({ ...common, holder: "platform", sealedIdentity: sealed, keyVersion });
  }
  for (const recipient of new Set(recipients.map(checkRecipient))) {
    const id = newId<KeyId>();
    const fingerprint = await recipientFingerprint(recipient);
    values.push({ id, tenantId, recipient, fingerprint, holder: "customer", state: "active", createdAt });
  }
  return tx.insert(tenantKeys).values(values).returning();
}

export function toTenantKey(row: TenantKeyRow): TenantKey {
  return {
    id: row.id,
    recipient: row.recipient,
    fingerprint: row.fingerprint,
    holder: row.holder,
    state: row.state,
    created_at: row.createdAt.toISOString(),
    retired_at: row.retiredAt?.toISOString() ?? null,
  };
}
