// The services over a real PostgreSQL, with the queue on it, and one customer-held workspace: for tests that call services directly.
import { createKeyring, generateIdentity, kekId } from "@xvault/crypto";
import { type Database, migrate, openDatabase, queueUrl, sql } from "@xvault/db";
import { newId, randomBytes, systemClock, type TenantId, type UserId } from "@xvault/kernel";
import { createLogger } from "@xvault/platform";
import { createJobQueue, migrateQueue } from "@xvault/queue";
import { createTenantVault, loadPlatformKeys } from "../accounts/index.ts";
import { createTenant } from "../accounts/tenant-keys.ts";
import { freshDatabase } from "../accounts/test/database.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { createJobFeed } from "../jobs/feed.ts";

export interface ServiceWorld {
  ownerUrl: string;
  db: Database;
  deps: ServiceDeps;
  tenantId: TenantId;
  /** The workspace's owner, who is platform admin as well. */
  caller: Caller;
  stop(): Promise<void>;
}

export async function startServices(): Promise<ServiceWorld> {
  const fresh = await freshDatabase();
  await migrate(fresh.ownerUrl);
  const db = openDatabase(fresh.ownerUrl, { max: 4 });
  const connection = { kind: "postgres", url: queueUrl(fresh.ownerUrl) } as const;
  await migrateQueue(connection.url);
  const queue = createJobQueue(connection, { onError: () => {} });
  const feed = await createJobFeed(db);
  const kek = Buffer.from(randomBytes(32));
  const keyring = createKeyring({ current: { id: kekId(kek), key: kek } });
  const vault = createTenantVault({ keyring });
  const platformKeys = await loadPlatformKeys({ db, keyring });
  const log = createLogger({ name: "test", level: "silent" });
  const deps: ServiceDeps = { db, queue, feed, vault, keyring, platformKeys, clock: systemClock, log };

  const tenantId = newId<TenantId>();
  const userId = newId<UserId>();
  const { recipient } = await generateIdentity();
  await db.withSystem(async (tx) => {
    await tx.execute(
      sql`insert into users (id, email, name, password_hash) values (${userId}, 'o@example.org', 'o', '')`,
    );
    const owner = { id: userId, email: "o@example.org" };
    const tenant = { id: tenantId, name: "t", keyMode: "customer", recipient, owner, requestId: null } as const;
    await createTenant(tx, tenant, { keyring, vault, clock: systemClock });
  });
  const workspace = { id: tenantId, name: "t", keyMode: "customer", role: "owner", createdAt: new Date() } as const;
  const actor = { kind: "user", userId, email: "o@example.org", name: "o", isPlatformAdmin: true } as const;
  const caller: Caller = {
    actor: { ...actor, credentialId: "", scopes: null, confirmedAt: null, workspace },
    requestId: "test",
  };
  return {
    ownerUrl: fresh.ownerUrl,
    db,
    deps,
    tenantId,
    caller,
    async stop() {
      await feed.close();
      await queue.close();
      await db.close();
      await fresh.drop();
    },
  };
}
