import { XVaultError, randomBytes } from "@xvault/kernel";
import { openJwe, sealJwe } from "./jwe.ts";
import { KEY_SIZE } from "./kek.ts";

/** Where a sealed secret lies in the database. It opens there and nowhere else. */
export interface SecretPlace {
  tenantId: string;
  table: string;
  /** The row's id. */
  row: string;
  column: string;
  /** Version of the tenant's data key. */
  keyVersion: number;
}

/** A new random data key, 32 bytes. */
export function newDataKey(): Buffer {
  return Buffer.from(randomBytes(KEY_SIZE));
}

function placeOf(where: SecretPlace) {
  const { tenantId, table, row, column, keyVersion } = where;
  return { tenant_id: tenantId, table, row, column, key_version: keyVersion };
}

function checkDataKey(dataKey: Uint8Array): void {
  if (dataKey.length !== KEY_SIZE) throw new XVaultError("SECRET_UNREADABLE", `A data key is ${KEY_SIZE} bytes long.`);
}

/** Encrypts a secret with a tenant's data key for one place (AES-256-GCM, a flattened JWE as JSON text). */
export async function sealSecret(dataKey: Uint8Array, plaintext: Uint8Array, where: SecretPlace): Promise<string> {
  checkDataKey(dataKey);
  return sealJwe(plaintext, dataKey, { alg: "dir" }, placeOf(where));
}

/** @throws SECRET_UNREADABLE when it was damaged, moved from where it was sealed, or belongs to another data key. */
export async function openSecret(dataKey: Uint8Array, sealed: string, where: SecretPlace): Promise<Buffer> {
  checkDataKey(dataKey);
  return openJwe(sealed, dataKey, "dir", placeOf(where));
}
