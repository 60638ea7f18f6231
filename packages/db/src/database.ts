import { isId, type TenantId, XVaultError } from "@xvault/kernel";
import { sql } from "drizzle-orm";
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import { ROLES, roleUrl } from "./access/urls.ts";
import { connect } from "./connection.ts";
import { translated } from "./errors.ts";
import { PLATFORM_TENANT } from "./platform-tenant.ts";

type Handle = PostgresJsDatabase;
/** A transaction within one workspace: row-level security shows and takes that workspace's rows alone. */
export type TenantTx = Parameters<Parameters<Handle["transaction"]>[0]>[0];
/** A transaction of the platform's, across workspaces, on the tables that `access/grants.ts` opens to it. */
export type SystemTx = TenantTx;

/** The way to the database. Every statement runs in a transaction that belongs to one workspace or to the platform. */
export interface Database {
  /**
   * Runs `fn` within a workspace: commits when it resolves, rolls back when it rejects. The workspace is set for this transaction
   * alone, so that a pooled connection never carries it to the next.
   *
   * @throws INPUT_INVALID for an id that is missing or not a workspace's; UNAVAILABLE; CONFLICT (retry) on a deadlock;
   *   DatabaseError for what the database refused.
   */
  withTenant<T>(tenantId: TenantId, fn: (tx: TenantTx) => Promise<T>): Promise<T>;
  /** The same for the platform: sign-in, token look-up, scheduler, reaper, platform admin. */
  withSystem<T>(fn: (tx: SystemTx) => Promise<T>): Promise<T>;
  /** Tells all who listen on `channel`, in this process and others. At most 8,000 bytes; nothing secret. */
  notify(channel: string, payload: string): Promise<void>;
  /** Calls back for each notice until the returned function is called. Listens again by itself after a lost connection; notices in between are lost. */
  listen(channel: string, onNotice: (payload: string) => void): Promise<() => Promise<void>>;
  /** Resolves when both roles are answered. @throws UNAVAILABLE */
  ping(): Promise<void>;
  /** Ends all connections, when what runs has ended or after 5 s. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Connections for each of the two roles. Default 10. */
  max?: number;
}

/**
 * Opens the database, by the owner's URL (the roles' URLs are derived from it) or by the URLs of both roles. Connects when first used.
 * The schema must be there: see `migrate`.
 */
export function openDatabase(
  urls: string | { appUrl: string; systemUrl: string },
  { max = 10 }: DatabaseOptions = {},
): Database {
  const { appUrl, systemUrl } =
    typeof urls === "string" ? { appUrl: roleUrl(urls, ROLES.app), systemUrl: roleUrl(urls, ROLES.system) } : urls;
  const appPool = connect(appUrl, { max, name: "xvault app" });
  const systemPool = connect(systemUrl, { max, name: "xvault system" });
  const app: Handle = drizzle(appPool);
  const system: Handle = drizzle(systemPool);

  return {
    async withTenant(tenantId, fn) {
      if (typeof tenantId !== "string" || !isId(tenantId) || tenantId === PLATFORM_TENANT) {
        throw new XVaultError("INPUT_INVALID", "A workspace id is missing or malformed.");
      }
      try {
        return await app.transaction(async (tx) => {
          await tx.execute(sql`select set_config('app.tenant', ${tenantId}, true)`);
          return fn(tx);
        });
      } catch (error) {
        throw translated(error);
      }
    },

    async withSystem(fn) {
      try {
        return await system.transaction(fn);
      } catch (error) {
        throw translated(error);
      }
    },

    async notify(channel, payload) {
      try {
        await systemPool.notify(channel, payload);
      } catch (error) {
        throw translated(error);
      }
    },

    async listen(channel, onNotice) {
      try {
        const { unlisten } = await systemPool.listen(channel, onNotice);
        return unlisten;
      } catch (error) {
        throw translated(error);
      }
    },

    async ping() {
      try {
        await Promise.all([appPool`select 1`, systemPool`select 1`]);
      } catch (error) {
        throw translated(error);
      }
    },

    async close() {
      await Promise.all([appPool.end({ timeout: 5 }), systemPool.end({ timeout: 5 })]);
    },
  };
}
