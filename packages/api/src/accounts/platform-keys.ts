import { generateSigningKey, type Keyring, publicKeyOf } from "@xvault/crypto";
import {
  type Database,
  desc,
  eq,
  PLATFORM_TENANT,
  type PlatformKeyRow,
  platformKeys,
  sql,
  type SystemTx,
} from "@xvault/db";
import { type KeyId, newId, XVaultError } from "@xvault/kernel";

export interface PlatformKey {
  /** Key id; of the JWT key also the `kid` of tokens. */
  id: string;
  /** Base64 of 32 raw bytes. */
  publicKey: string;
  /** PEM. Secret. */
  privateKey: string;
}

/** The hub's own keys. */
export interface PlatformKeys {
  /** Signs workers' certificates. */
  root: PlatformKey;
  /** All root keys by which older certificates check too, the current one first. */
  rootPublicKeys: string[];
  /** Signs access tokens and tickets. */
  jwt: PlatformKey;
  /** Key id → public key, of every key that tokens may still be signed with. */
  jwtPublicKeys: Record<string, string>;
}

type Purpose = "manifest_root" | "jwt";

/** Held while the keys are made, so that two hubs that start at once make one pair. The number is arbitrary, and ours. */
const LOCK = 7_384_201;

/**
 * Loads the hub's keys, or makes them at the first start. Private halves lie in the database wrapped by the key encryption key.
 *
 * @throws KEK_UNKNOWN, SECRET_UNREADABLE: a hub that cannot open its own keys must not start.
 */
export async function loadPlatformKeys(deps: { db: Database; keyring: Keyring }): Promise<PlatformKeys> {
  const { db, keyring } = deps;
  return db.withSystem(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${LOCK})`);
    const roots = await loadOrMake(tx, keyring, "manifest_root");
    const jwts = await loadOrMake(tx, keyring, "jwt");
    return {
      root: await openKey(roots.active, keyring),
      rootPublicKeys: [roots.active, ...roots.others].map((row) => row.publicKey),
      jwt: await openKey(jwts.active, keyring),
      jwtPublicKeys: Object.fromEntries([jwts.active, ...jwts.others].map((row) => [row.id, row.publicKey])),
    };
  });
}

async function loadOrMake(
  tx: SystemTx,
  keyring: Keyring,
  purpose: Purpose,
): Promise<{ active: PlatformKeyRow; others: PlatformKeyRow[] }> {
  const rows = await tx
    .select()
    .from(platformKeys)
    .where(eq(platformKeys.purpose, purpose))
    .orderBy(desc(platformKeys.createdAt));
  const active = rows.find((row) => row.retiredAt === null) ?? (await makeKey(tx, keyring, purpose));
  return { active, others: rows.filter((row) => row !== active) };
}

async function makeKey(tx: SystemTx, keyring: Keyring, purpose: Purpose): Promise<PlatformKeyRow> {
  const pair = generateSigningKey();
  const id = newId<KeyId>();
  const wrapped = await keyring.wrap(Buffer.from(pair.privateKey), contextOf(id, purpose));
  const [row] = await tx
    .insert(platformKeys)
    .values({ id, purpose, publicKey: pair.publicKey, wrappedPrivateKey: wrapped, kekId: keyring.currentId })
    .returning();
  if (!row) throw new Error("the database returned no row for an insert");
  return row;
}

async function openKey(row: PlatformKeyRow, keyring: Keyring): Promise<PlatformKey> {
  const privateKey = (await keyring.unwrap(row.wrappedPrivateKey, contextOf(row.id, row.purpose))).toString("utf8");
  if (publicKeyOf(privateKey) !== row.publicKey) {
    throw new XVaultError("SECRET_UNREADABLE", "A key of the platform does not fit its public half.");
  }
  return { id: row.id, publicKey: row.publicKey, privateKey };
}

/** Bound to the row, so that a private key cannot be put in another's place. */
function contextOf(id: string, purpose: string) {
  return { purpose: `platform-key/${purpose}/${id}`, tenantId: PLATFORM_TENANT };
}
