import type { createPlatformStorageInput, PlatformStorage, updatePlatformStorageInput } from "@xvault/contracts";
import { storagePlaceSchema } from "@xvault/contracts";
import {
  and,
  asc,
  count,
  eq,
  ne,
  platformStorages,
  type PlatformStorageRow,
  storages,
  type SystemTx,
  tenants,
} from "@xvault/db";
import { newId, type TenantId, XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";
import { locationOf, platformSecretContext } from "./refs.ts";
import { checkPlace } from "./service.ts";

type Audit = (tx: SystemTx, id: string) => Promise<unknown>;

/** The storages that the operator offers to every workspace. Only platform admins get here; `audit` writes the entry, in the same transaction. */
export function createPlatformStorages({ db, keyring, clock }: Pick<ServiceDeps, "db" | "keyring" | "clock">) {
  async function list(): Promise<PlatformStorage[]> {
    return db.withSystem(async (tx) => {
      const rows = await tx.select().from(platformStorages).orderBy(asc(platformStorages.createdAt));
      const used = await tx
        .select({ id: storages.platformStorageId, n: count(), keyed: count(storages.sealed) })
        .from(storages)
        .groupBy(storages.platformStorageId);
      return rows.map((row) => ({
        id: row.id,
        name: row.name,
        kind: row.kind,
        tier: row.tier,
        config: row.config,
        location: locationOf(storagePlaceSchema.parse({ kind: row.kind, config: row.config })),
        offered: row.offered,
        own_keys: row.ownKeys,
        workspaces: used.find((one) => one.id === row.id)?.n ?? 0,
        keyed: used.find((one) => one.id === row.id)?.keyed ?? 0,
        created_at: row.createdAt.toISOString(),
        retired_at: row.retiredAt?.toISOString() ?? null,
      }));
    });
  }

  async function show(id: string): Promise<PlatformStorage> {
    const found = (await list()).find((one) => one.id === id);
    if (!found) throw new XVaultError("NOT_FOUND", "There is no such storage.");
    return found;
  }

  return {
    list,

    /** Makes a storage of the operator's, and where it is offered gives every workspace its place on it. @throws CONFLICT, INPUT_INVALID */
    async create(input: z.output<typeof createPlatformStorageInput>, audit: Audit): Promise<PlatformStorage> {
      const { name, tier, offered, place, own_keys: ownKeys } = input;
      if (ownKeys && place.kind === "local_fs")
        throw new XVaultError("INPUT_INVALID", "A folder of the workers' disks has no keys.");
      // Where each workspace has its own, there need be no general one.
      if (!ownKeys || input.secret) checkPlace(place, input.secret);
      const id = newId();
      const sealed = input.secret
        ? await keyring.wrap(Buffer.from(JSON.stringify(input.secret)), platformSecretContext(id))
        : null;
      await db.withSystem(async (tx) => {
        const taken = await tx.select().from(platformStorages).where(eq(platformStorages.name, name));
        if (taken.length > 0) throw new XVaultError("CONFLICT", "A storage of this name exists already.");
        await tx.insert(platformStorages).values({
          id,
          name,
          kind: place.kind,
          tier,
          config: place.config,
          sealed,
          kekId: sealed === null ? null : keyring.currentId,
          ownKeys,
          offered,
          createdAt: clock.now(),
        });
        await audit(tx, id);
        if (offered) await giveToAll(tx, { id, name, kind: place.kind, tier });
      });
      return show(id);
    },

    /**
     * Changes what the operator says of a storage; where it is stays. Workspaces' own names of it stay, too; the tier changes everywhere.
     *
     * @throws NOT_FOUND, also for one that is retired; CONFLICT, INPUT_INVALID
     */
    async update(input: z.output<typeof updatePlatformStorageInput>, audit: Audit): Promise<PlatformStorage> {
      const { id, name, tier, offered, own_keys: ownKeys, secret } = input;
      const sealed = secret
        ? await keyring.wrap(Buffer.from(JSON.stringify(secret)), platformSecretContext(id))
        : undefined;
      const places = await db.withSystem(async (tx) => {
        const [row] = await tx.select().from(platformStorages).where(eq(platformStorages.id, id)).for("update");
        if (!row || row.retiredAt !== null) throw new XVaultError("NOT_FOUND", "There is no such storage.");
        if (secret && secret.kind !== row.kind)
          throw new XVaultError("INPUT_INVALID", "The secret is of another kind than the storage.");
        if (ownKeys === true && row.kind === "local_fs")
          throw new XVaultError("INPUT_INVALID", "A folder of the workers' disks has no keys.");
        if (ownKeys === false && row.kind === "s3" && row.sealed === null && !secret)
          throw new XVaultError("INPUT_INVALID", "Without keys of their own, workspaces need the operator's.");
        const [other] = await tx
          .select()
          .from(platformStorages)
          .where(eq(platformStorages.name, name ?? ""));
        if (other && other.id !== id) throw new XVaultError("CONFLICT", "A storage of this name exists already.");
        const changed = {
          ...row,
          ...(name === undefined ? {} : { name }),
          ...(tier === undefined ? {} : { tier }),
          ...(offered === undefined ? {} : { offered }),
          ...(ownKeys === undefined ? {} : { ownKeys }),
          ...(sealed === undefined ? {} : { sealed, kekId: keyring.currentId }),
        };
        await tx.update(platformStorages).set(changed).where(eq(platformStorages.id, id));
        await audit(tx, id);
        if (offered === true && !row.offered) await giveToAll(tx, changed);
        return tx
          .select({ tenantId: storages.tenantId })
          .from(storages)
          .where(and(eq(storages.platformStorageId, id), ne(storages.tier, changed.tier)));
      });
      for (const place of tier === undefined ? [] : places) {
        const mine = and(eq(storages.tenantId, place.tenantId), eq(storages.platformStorageId, id));
        await db.withTenant(place.tenantId as TenantId, (tx) =>
          tx.update(storages).set({ tier, updatedAt: clock.now() }).where(mine),
        );
      }
      return show(id);
    },

    /** No new workspace gets it. Those that have a place on it keep it. @throws NOT_FOUND */
    retire: (id: string, audit: Audit): Promise<void> =>
      db.withSystem(async (tx) => {
        const done = await tx
          .update(platformStorages)
          .set({ offered: false, retiredAt: clock.now() })
          .where(eq(platformStorages.id, id))
          .returning({ id: platformStorages.id });
        if (done.length === 0) throw new XVaultError("NOT_FOUND", "There is no such storage.");
        await audit(tx, id);
      }),
  };
}

/** Gives every workspace its place on a storage. One that has a storage of this name keeps its own; one that has the place, too. */
async function giveToAll(
  tx: SystemTx,
  { id, name, kind, tier }: Pick<PlatformStorageRow, "id" | "name" | "kind" | "tier">,
): Promise<void> {
  const have = await tx
    .select({ tenantId: storages.tenantId })
    .from(storages)
    .where(eq(storages.platformStorageId, id));
  const there = new Set(have.map(({ tenantId }) => tenantId));
  for (const tenant of await tx.select({ id: tenants.id }).from(tenants)) {
    if (there.has(tenant.id)) continue;
    await tx
      .insert(storages)
      .values({ id: newId(), tenantId: tenant.id as TenantId, name, kind, tier, config: {}, platformStorageId: id })
      .onConflictDoNothing();
  }
}
