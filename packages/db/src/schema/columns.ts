import { type AnyPgColumn, check, type CheckBuilder, timestamp, uuid } from "drizzle-orm/pg-core";
import { sql } from "drizzle-orm";

/** A moment, kept to the millisecond as JavaScript knows it, so that a value read equals the value written. */
export function moment(name: string) {
  return timestamp(name, { withTimezone: true, precision: 3, mode: "date" });
}

/** When the row was made; by the database's clock unless given. */
export function createdAt() {
  return moment("created_at").notNull().defaultNow();
}

/** The row's own id: a UUID that the application mints. */
export function primaryId() {
  return uuid("id").primaryKey();
}

/** The workspace that the row belongs to. Every table that has it is a tenant table, under row-level security. */
export function tenantId() {
  return uuid("tenant_id").notNull();
}

/** A CHECK that a text column holds one of `values`. */
export function oneOf(name: string, column: AnyPgColumn, values: readonly string[]): CheckBuilder {
  const list = values.map((value) => `'${value}'`).join(", ");
  return check(name, sql`${column} in (${sql.raw(list)})`);
}
