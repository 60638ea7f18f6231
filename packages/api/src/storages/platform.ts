import type { createPlatformStorageInput, PlatformStorage } from "@xvault/contracts";
import { storagePlaceSchema } from "@xvault/contracts";
import { asc, count, eq, platformStorages, storages, type SystemTx, tenants } from "@xvault/db";
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
        .select({ id: storages.platformStorageId, n: count() })
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
        workspaces: used.find((one) => one.id === row.id)?.n ?? 0,
        created_at: row.createdAt.toISOString(),
        retired_at: row.retiredAt?.toISOString() ?? null,
      }));
    });
  }

  return {
    list,

    /** Makes a storage of the operator's, and where it is offered gives every workspace its place on it. @throws CONFLICT, INPUT_INVALID */
    async create(input: z.output<typeof createPlatformStorageInput>, audit: Audit): Promise<PlatformStorage> {
      checkPlace(input.place, input.secret);
      const id = newId();
      const sealed = input.secret
        ? await keyring.wrap(Buffer.from(JSON.stringify(input.secret)), platformSecretContext(id))
        : null;
      const { name, tier, offered, place } = input;
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
          offered,
          createdAt: clock.now(),
        });
        await audit(tx, id);
        if (!offered) return;
        const all = await tx.select({ id: tenants.id }).from(tenants);
        for (const tenant of all) {
          await tx
            .insert(storages)
            .values({
              id: newId(),
              tenantId: tenant.id as TenantId,
              name,
              kind: place.kind,
              tier,
              config: {},
              platformStorageId: id,
            })
            // A workspace that has one of this name keeps its own.
            .onConflictDoNothing();
        }
      });
      const made = (await list()).find((one) => one.id === id);
      if (!made) throw new XVaultError("INTERNAL");
      return made;
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
