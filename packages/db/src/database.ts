import { isId, type TenantId, XVaultError } from "@xvault/kernel";
import { sql } from "drizzle-orm";
import { ROLES, roleUrl } from "./access/urls.ts";
import { connect } from "./connection.ts";
import { translated } from "./errors.ts";
import { PLATFORM_TENANT } from "./platform-tenant.ts";
import { createPool } from "./pool.ts";
import type { Tx } from "./transaction.ts";

/** A transaction within one workspace: row-level security shows and takes that workspace's rows alone. */
export type TenantTx = Tx;
/** A transaction of the platform's, across workspaces, on the tables that `access/grants.ts` opens to it. */
export type SystemTx = Tx;

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
  const app = createPool(appUrl, { max, name: "xvault app" });
  const system = createPool(systemUrl, { max, name: "xvault system" });
  // For notices alone: one connection, which the driver renews when it was lost.
  const notices = connect(systemUrl, { max: 1, name: "xvault notices" });

  return {
    withTenant(tenantId, fn) {
      return told(async () => {
        if (typeof tenantId !== "string" || !isId(tenantId) || tenantId === PLATFORM_TENANT) {
          throw new XVaultError("INPUT_INVALID", "A workspace id is missing or malformed.");
        }
        // For the transaction alone ('true'). The id was checked: it holds hex digits and dashes.
        return app.transaction(`select set_config('app.tenant', '${tenantId}', true)`, fn);
      });
    },

    withSystem: (fn) => told(() => system.transaction("", fn)),

    notify: (channel, payload) =>
      told(() =>
        system.transaction("", async (tx) => {
          await tx.execute(sql`select pg_notify(${channel}, ${payload})`);
        }),
      ),

    listen: (channel, onNotice) => told(async () => (await notices.listen(channel, onNotice)).unlisten),

    ping: () =>
      told(async () => {
        const look = async (tx: Tx) => void (await tx.execute(sql`select 1`));
        await Promise.all([app.transaction("", look), system.transaction("", look)]);
      }),

    async close() {
      await Promise.all([app.close(), system.close(), notices.end({ timeout: 1 })]);
    },
  };
}

/** Runs `work` and translates what it throws. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error);
  }
}
