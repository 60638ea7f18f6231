import { openDatabase, sql } from "@xvault/db";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Folder of the newest PostgreSQL that Debian installed, with server and `pg_dump`; null where there is none. The built-in server comes
 * without `pg_dump`, and an older `pg_dump` refuses it: a stack that is to be dumped by it runs on this one.
 */
export function debianPostgres(): string | null {
  for (const version of [18, 17, 16, 15, 14]) {
    const folder = `/usr/lib/postgresql/${version}/bin`;
    if (["initdb", "postgres", "pg_dump"].every((name) => existsSync(join(folder, name)))) return folder;
  }
  return null;
}

/** A whole dump of a database, by `pg_dump` of the folder given, or where there is none every row of every table as text. */
export async function dumpDatabase(ownerUrl: string, binaries: string | null): Promise<Buffer> {
  if (binaries === null) return allRows(ownerUrl);
  return execFileSync(join(binaries, "pg_dump"), ["--inserts", ownerUrl], { maxBuffer: 512 * 1024 * 1024 });
}

/** Every row of every table as text, each after its table's name. */
export async function allRows(url: string): Promise<Buffer> {
  const database = openDatabase({ appUrl: url, systemUrl: url }, { max: 1 });
  try {
    return await database.withSystem(async (tx) => {
      const tables = await tx.execute<{ name: string }>(sql`
        select format('%I.%I', table_schema, table_name) as name from information_schema.tables
        where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`);
      const texts: string[] = [];
      for (const { name } of tables) {
        const rows = await tx.execute<{ row: string }>(sql`select t::text as row from ${sql.raw(name)} t`);
        texts.push(`TABLE ${name}\n`, ...rows.map(({ row }) => `${row}\n`));
      }
      return Buffer.from(texts.join(""));
    });
  } finally {
    await database.close();
  }
}
