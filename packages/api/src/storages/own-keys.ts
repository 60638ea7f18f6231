import type { setStorageKeyInput, StorageKey } from "@xvault/contracts";
import { and, asc, eq, isUniqueViolation, platformStorages, storages, type TenantTx, tenants } from "@xvault/db";
import { newId, type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { secretPlace } from "./refs.ts";

type Audit = (tx: TenantTx, tenantId: TenantId, storageId: string) => Promise<unknown>;

/**
 * Keys of workspaces on the operator's storages. A key lies in the workspace's own row, sealed by its data key as its credentials are, and is
 * what its jobs get in place of the operator's. `audit` writes into the workspace's log, in the same transaction.
 */
export function createOwnKeys({ db, vault, clock }: Pick<ServiceDeps, "db" | "vault" | "clock">) {
  async function platformRow(id: string) {
    const [row] = await db.withSystem((tx) => tx.select().from(platformStorages).where(eq(platformStorages.id, id)));
    if (!row) throw new XVaultError("NOT_FOUND", "There is no such storage.");
    return row;
  }
  const placeOn = async (tx: TenantTx, tenantId: TenantId, id: string) => {
    const mine = and(eq(storages.tenantId, tenantId), eq(storages.platformStorageId, id));
    return (await tx.select().from(storages).where(mine))[0];
  };

  return {
    /** Every workspace, and whether it has a key of its own. @throws NOT_FOUND */
    async list(id: string): Promise<StorageKey[]> {
      await platformRow(id);
      const rows = await db.withSystem((tx) =>
        tx
          .select({ tenantId: tenants.id, name: tenants.name, storageId: storages.id, sealed: storages.sealed })
          .from(tenants)
          .leftJoin(storages, and(eq(storages.tenantId, tenants.id), eq(storages.platformStorageId, id)))
          .orderBy(asc(tenants.name), asc(tenants.id)),
      );
      return rows.map(({ tenantId, name, storageId, sealed }) => ({
        tenant_id: tenantId,
        tenant_name: name,
        has_place: storageId !== null,
        own_key: sealed !== null,
      }));
    },

    /**
     * Gives a workspace its key, in place of one that it has; and a place on the storage, where it has none.
     *
     * @throws NOT_FOUND; INPUT_INVALID for a key of another kind; CONFLICT where the workspace has another storage of this name; TENANT_SHREDDED
     */
    async set(input: z.output<typeof setStorageKeyInput>, audit: Audit): Promise<void> {
      const platform = await platformRow(input.id);
      if (input.secret.kind !== platform.kind)
        throw new XVaultError("INPUT_INVALID", "The secret is of another kind than the storage.");
      const tenantId = input.tenant_id as TenantId;
      await db.withTenant(tenantId, async (tx) => {
        const [tenant] = await tx.select().from(tenants).where(eq(tenants.id, tenantId));
        if (!tenant) throw new XVaultError("NOT_FOUND", "There is no such workspace.");
        const there = await placeOn(tx, tenantId, platform.id);
        if (!there && platform.retiredAt !== null)
          throw new XVaultError("NOT_FOUND", "The storage was retired, and the workspace has no place on it.");
        const id = there?.id ?? newId();
        const text = Buffer.from(JSON.stringify(input.secret));
        const sealed = await vault.seal(tx, tenantId, secretPlace(id), text);
        const { name, kind, tier } = platform;
        const row = {
          id,
          tenantId,
          name,
          kind,
          tier,
          config: {},
          platformStorageId: platform.id,
          createdAt: clock.now(),
        };
        const change = there
          ? tx
              .update(storages)
              // What was found with another key says nothing of this one.
              .set({ ...sealed, test: null, testedAt: null, lockProvenAt: null, updatedAt: clock.now() })
              .where(and(eq(storages.tenantId, tenantId), eq(storages.id, id)))
          : tx.insert(storages).values({ ...row, ...sealed });
        await change.catch((error: unknown) => {
          if (!isUniqueViolation(error)) throw error;
          throw new XVaultError("CONFLICT", `The workspace has another storage that is called '${name}'.`);
        });
        await audit(tx, tenantId, id);
      });
    },

    /** Takes a workspace's key back. Where each needs its own, nothing of the workspace's can be read or written there then. @throws NOT_FOUND */
    async remove(input: { id: string; tenant_id: string }, audit: Audit): Promise<void> {
      const platform = await platformRow(input.id);
      const tenantId = input.tenant_id as TenantId;
      await db.withTenant(tenantId, async (tx) => {
        const there = await placeOn(tx, tenantId, platform.id);
        if (!there || there.sealed === null) throw new XVaultError("NOT_FOUND", "The workspace has no key there.");
        await tx
          .update(storages)
          .set({ sealed: null, keyVersion: null, updatedAt: clock.now() })
          .where(and(eq(storages.tenantId, tenantId), eq(storages.id, there.id)));
        await audit(tx, tenantId, there.id);
      });
    },
  };
}
