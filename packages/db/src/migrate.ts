import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as runMigrations } from "drizzle-orm/postgres-js/migrator";
import { grantStatements } from "./access/grants.ts";
import { ensureQueueDatabase, ensureRoles } from "./access/roles.ts";
import { databaseOf, ROLES } from "./access/urls.ts";
import { connect } from "./connection.ts";
import { translated } from "./errors.ts";

const MIGRATIONS = fileURLToPath(new URL("../migrations", import.meta.url));

/** Held while a hub migrates, so that others which start at the same time wait. The number is arbitrary, and ours. */
const LOCK = 7_384_200;

export interface MigrateOptions {
  /** Make the queue's database too. Default true; false where the queue is elsewhere. */
  queue?: boolean;
}

/**
 * Brings the owner's database to the present schema: roles and their passwords, migrations, grants, the queue's database. Repeating it
 * changes nothing. The owner needs to be superuser, or to own the database and have CREATEROLE and CREATEDB.
 *
 * @throws CONFIG_INVALID, UNAVAILABLE
 */
export async function migrate(ownerUrl: string, { queue = true }: MigrateOptions = {}): Promise<void> {
  const sql = connect(ownerUrl, { max: 1, name: "xvault migrate" });
  try {
    await sql`select pg_advisory_lock(${LOCK})`;
    await ensureRoles(sql, ownerUrl);
    await runMigrations(drizzle(sql), { migrationsFolder: MIGRATIONS });
    const grants = grantStatements(databaseOf(ownerUrl), ROLES);
    await sql.begin((tx) => tx.unsafe(grants.join(";\n")));
    if (queue) await ensureQueueDatabase(sql, ownerUrl);
  } catch (error) {
    throw translated(error);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
