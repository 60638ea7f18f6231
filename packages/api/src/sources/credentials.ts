import {
  type Credential,
  credentialSecretSchema,
  type CredentialSecret,
  type createCredentialInput,
} from "@xvault/contracts";
import { and, type CredentialRow, credentials, eq, type TenantTx } from "@xvault/db";
import { type Id, newId, type TenantId, XVaultError } from "@xvault/kernel";
import { generateKeyPair, inspectPrivateKey } from "@xvault/source";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";

type Vault = ServiceDeps["vault"];

export function toCredential(row: CredentialRow): Credential {
  return { id: row.id, kind: row.kind, public_key: row.publicKey, fingerprint: row.fingerprint };
}

/** Makes (or takes) a credential and stores it sealed to its tenant, row and column. */
export async function storeCredential(
  tx: TenantTx,
  vault: Vault,
  tenantId: TenantId,
  input: z.output<typeof createCredentialInput>,
  comment: string,
): Promise<CredentialRow> {
  const id = newId<Id<"credential">>();
  let secret: CredentialSecret;
  let publicKey: string | null = null;
  let fingerprint: string | null = null;
  if (input.kind === "generated_key") {
    const pair = generateKeyPair(comment);
    secret = { kind: "key", private_key: pair.privateKey };
    publicKey = pair.publicKeyLine;
    fingerprint = inspectPrivateKey(pair.privateKey).fingerprint;
  } else if (input.kind === "private_key") {
    const facts = inspectPrivateKey(input.private_key, input.passphrase);
    publicKey = facts.publicKeyLine;
    fingerprint = facts.fingerprint;
    secret = {
      kind: "key",
      private_key: input.private_key,
      ...(input.passphrase ? { passphrase: input.passphrase } : {}),
    };
  } else {
    secret = { kind: "password", password: input.password };
  }
  const sealed = await vault.seal(tx, tenantId, placeOf(id), Buffer.from(JSON.stringify(secret)));
  const [row] = await tx
    .insert(credentials)
    .values({
      id,
      tenantId,
      kind: input.kind,
      publicKey,
      fingerprint,
      sealed: sealed.sealed,
      keyVersion: sealed.keyVersion,
    })
    .returning();
  if (!row) throw new Error("the database returned no row for an insert");
  return row;
}

/** Opens a credential for the worker that holds a lease on a job of its source. */
export async function openCredential(
  tx: TenantTx,
  vault: Vault,
  tenantId: TenantId,
  id: string,
): Promise<CredentialSecret> {
  const [row] = await tx
    .select()
    .from(credentials)
    .where(and(eq(credentials.tenantId, tenantId), eq(credentials.id, id)));
  if (!row)
    throw new XVaultError("NOT_FOUND", "The source's credential does not exist any more.", {
      fix: "Give the source a new one.",
    });
  const text = await vault.open(tx, tenantId, placeOf(id), row.sealed, row.keyVersion);
  return credentialSecretSchema.parse(JSON.parse(text.toString("utf8")));
}

/**
 * Sees to it that a workspace's credential may be used for a server. A key pair proves itself anywhere without giving itself away; a password
 * is given to whoever asks for it, so it is bound to the host and port of its first use: who may point sources elsewhere must not thereby
 * learn the passwords that others stored.
 *
 * @throws NOT_FOUND, FORBIDDEN
 */
export async function bindCredential(
  tx: TenantTx,
  tenantId: TenantId,
  id: string,
  server: { host: string; port: number },
): Promise<void> {
  const mine = and(eq(credentials.tenantId, tenantId), eq(credentials.id, id));
  const [row] = await tx.select().from(credentials).where(mine).for("update");
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such credential.");
  if (row.kind !== "password") return;
  const host = server.host.toLowerCase();
  if (row.boundHost === null) {
    await tx.update(credentials).set({ boundHost: host, boundPort: server.port }).where(mine);
  } else if (row.boundHost !== host || row.boundPort !== server.port) {
    throw new XVaultError("FORBIDDEN", "This password was given for another server.", {
      fix: "Enter the password again for this server, or use a key pair.",
    });
  }
}

function placeOf(id: string): { table: string; row: string; column: string } {
  return { table: "credentials", row: id, column: "sealed" };
}
