import { type Keyring, newDataKey, openSecret, sealSecret } from "@xvault/crypto";
import { and, asc, desc, eq, tenantDataKeys, tenantKeys, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";

/** Where a secret lies: it opens there alone. */
export interface SealedPlace {
  table: string;
  /** The row's id. */
  row: string;
  column: string;
}

/** A tenant's secrets: sealed with its data key, which the hub's key encryption key wraps. */
export interface TenantVault {
  /** @returns the sealed text and the version of the data key, both to be stored in the row. @throws TENANT_SHREDDED */
  seal(
    tx: TenantTx,
    tenantId: TenantId,
    place: SealedPlace,
    plaintext: Uint8Array,
  ): Promise<{ sealed: string; keyVersion: number }>;
  /** @throws SECRET_UNREADABLE when it was damaged or moved; TENANT_SHREDDED */
  open(tx: TenantTx, tenantId: TenantId, place: SealedPlace, sealed: string, keyVersion: number): Promise<Buffer>;
  /** The age identities that the platform holds for a tenant, those in use first; none in customer-held mode. */
  identities(tx: TenantTx, tenantId: TenantId): Promise<string[]>;
}

/** Purpose of the wrapping, so that a wrapped data key serves as nothing else. */
const PURPOSE = "tenant-data-key";

/** Makes a tenant's first data key. */
export async function createDataKey(tx: TenantTx, tenantId: TenantId, keyring: Keyring): Promise<void> {
  const wrapped = await keyring.wrap(newDataKey(), { purpose: PURPOSE, tenantId });
  await tx.insert(tenantDataKeys).values({ tenantId, version: 1, wrapped, kekId: keyring.currentId });
}

/** A tenant's data key: of `version`, or the newest. @throws TENANT_SHREDDED when it was destroyed; KEK_UNKNOWN, SECRET_UNREADABLE */
async function openDataKey(
  tx: TenantTx,
  tenantId: TenantId,
  keyring: Keyring,
  version?: number,
): Promise<{ key: Buffer; version: number }> {
  const [row] = await tx
    .select()
    .from(tenantDataKeys)
    .where(
      and(
        eq(tenantDataKeys.tenantId, tenantId),
        version === undefined ? undefined : eq(tenantDataKeys.version, version),
      ),
    )
    .orderBy(desc(tenantDataKeys.version))
    .limit(1);
  if (!row) throw new XVaultError("TENANT_SHREDDED");
  return { key: await keyring.unwrap(row.wrapped, { purpose: PURPOSE, tenantId }), version: row.version };
}

export function createTenantVault({ keyring }: { keyring: Keyring }): TenantVault {
  const vault: TenantVault = {
    async seal(tx, tenantId, place, plaintext) {
      const { key, version } = await openDataKey(tx, tenantId, keyring);
      const sealed = await sealSecret(key, plaintext, { tenantId, ...place, keyVersion: version });
      key.fill(0);
      return { sealed, keyVersion: version };
    },
    async open(tx, tenantId, place, sealed, keyVersion) {
      const { key } = await openDataKey(tx, tenantId, keyring, keyVersion);
      const plaintext = await openSecret(key, sealed, { tenantId, ...place, keyVersion });
      key.fill(0);
      return plaintext;
    },
    async identities(tx, tenantId) {
      const rows = await tx
        .select()
        .from(tenantKeys)
        .where(and(eq(tenantKeys.tenantId, tenantId), eq(tenantKeys.holder, "platform")))
        .orderBy(asc(tenantKeys.state), desc(tenantKeys.createdAt));
      const identities: string[] = [];
      for (const row of rows) {
        if (row.sealedIdentity === null || row.keyVersion === null) continue;
        const text = await vault.open(tx, tenantId, identityPlace(row.id), row.sealedIdentity, row.keyVersion);
        identities.push(text.toString("utf8"));
      }
      return identities;
    },
  };
  return vault;
}

/** Where the identity of a tenant key lies. */
export function identityPlace(keyId: string): SealedPlace {
  return { table: "tenant_keys", row: keyId, column: "sealed_identity" };
}
