import { quote } from "../access/grants.ts";
import { withDatabase } from "../access/urls.ts";
import { connect } from "../connection.ts";

/** Makes an empty database on the server that `ownerUrl` leads to, or a copy of `template`, which nobody may be connected to. Gives its URL. */
export async function createDatabase(ownerUrl: string, name: string, template?: string): Promise<string> {
  await onServer(ownerUrl, `create database ${quote(name)}${template ? ` template ${quote(template)}` : ""}`);
  return withDatabase(ownerUrl, name);
}

/** Removes a database and throws out who is connected to it. */
export async function dropDatabase(ownerUrl: string, name: string): Promise<void> {
  await onServer(ownerUrl, `drop database if exists ${quote(name)} with (force)`);
}

/** Runs statements one by one, outside a transaction, in the server's maintenance database. */
export async function onServer(ownerUrl: string, ...statements: string[]): Promise<void> {
  const sql = connect(withDatabase(ownerUrl, "postgres"), { max: 1, name: "xvault maintenance" });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
