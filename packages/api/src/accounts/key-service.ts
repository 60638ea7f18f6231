import type { keysSchema } from "@xvault/contracts";
import { formatRecoveryKit, recipientOf } from "@xvault/crypto";
import { and, type Database, desc, eq, tenantKeys, type TenantTx } from "@xvault/db";
import { type Clock, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { KeyService } from "../services.ts";
import type { PlatformKeys } from "./platform-keys.ts";
import { addKeys, checkMode, toTenantKey } from "./tenant-keys.ts";
import type { TenantVault } from "./tenant-vault.ts";

type Keys = z.infer<typeof keysSchema>;

/** The keys by which a workspace's backups are sealed and opened. */
export function createKeyService(deps: {
  db: Database;
  vault: TenantVault;
  keys: PlatformKeys;
  clock: Clock;
  baseUrl: string;
}): KeyService {
  const { db, vault, keys, clock } = deps;

  async function read(tx: TenantTx, { actor }: Caller): Promise<Keys> {
    const rows = await tx
      .select()
      .from(tenantKeys)
      .where(eq(tenantKeys.tenantId, actor.workspace.id))
      .orderBy(tenantKeys.state, desc(tenantKeys.createdAt));
    return { key_mode: actor.workspace.keyMode, keys: rows.map(toTenantKey), root_keys: keys.rootPublicKeys };
  }

  return {
    list: (caller) => db.withTenant(caller.actor.workspace.id, (tx) => read(tx, caller)),

    change: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { id: tenantId, keyMode } = caller.actor.workspace;
        const recipients = input.recipients ?? [];
        checkMode(keyMode, recipients);
        const retired = await tx
          .update(tenantKeys)
          .set({ state: "retired", retiredAt: clock.now() })
          .where(and(eq(tenantKeys.tenantId, tenantId), eq(tenantKeys.state, "active")))
          .returning();
        const added = await addKeys(tx, tenantId, keyMode, recipients, { vault, clock });
        await auditCall(
          tx,
          caller,
          "key.changed",
          { kind: "workspace", id: tenantId },
          { retired: retired.map((row) => row.fingerprint), added: added.map((row) => row.fingerprint) },
        );
        return read(tx, caller);
      }),

    recoveryKit: (caller) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { workspace } = caller.actor;
        const identities = await vault.identities(tx, workspace.id);
        const [current, ...previous] = await Promise.all(
          identities.map(async (identity) => ({ identity, recipient: await recipientOf(identity) })),
        );
        if (!current) {
          throw new XVaultError(
            "KEY_CUSTOMER_HELD",
            "Only you hold the restore key of this workspace; xVault never had it.",
            {
              fix: "Keep the identity file that was made when the workspace was set up.",
            },
          );
        }
        const createdAt = clock.now();
        const content = formatRecoveryKit({
          ...current,
          previous,
          workspace: workspace.name,
          hubRootPublicKey: keys.root.publicKey,
          createdAt,
          url: deps.baseUrl,
        });
        await auditCall(
          tx,
          caller,
          "key.exported",
          { kind: "workspace", id: workspace.id },
          { keys: identities.length },
        );
        return {
          filename: `xvault-recovery-${slug(workspace.name)}-${createdAt.toISOString().slice(0, 10)}.txt`,
          content,
        };
      }),
  };
}

/** A workspace's name as a part of a file name. */
function slug(name: string): string {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  return plain.replaceAll(/^-+|-+$/g, "").slice(0, 40) || "workspace";
}
