import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { randomBytes, XVaultError } from "@xvault/kernel";
import type { Sql } from "postgres";
import { connect } from "../connection.ts";
import { databaseCode } from "../errors.ts";
import { quote } from "./grants.ts";
import { databaseOf, queueDatabase, queueUrl, rolePassword, ROLES, type RoleName, roleUrl } from "./urls.ts";

/** Another hub made or changed the role at the same moment: look again. */
const RACED = new Set(["XX000", "23505", "42710", "42P04"]);

/** Makes the roles, or gives them the passwords that follow from the owner's. @throws CONFIG_INVALID when one has rights that it must not have. */
export async function ensureRoles(sql: Sql, ownerUrl: string): Promise<void> {
  for (const role of Object.values(ROLES)) await patiently(() => ensureRole(sql, ownerUrl, role));
}

async function ensureRole(sql: Sql, ownerUrl: string, role: RoleName): Promise<void> {
  const [found] = await sql<{ bad: boolean }[]>`
    select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
      or exists (select 1 from pg_auth_members m where m.member = r.oid) as bad
    from pg_roles r where rolname = ${role}`;
  if (found?.bad) {
    throw new XVaultError("CONFIG_INVALID", `The database role ${role} has rights that it must not have.`, {
      fix: `Take superuser, BYPASSRLS, CREATEROLE, CREATEDB, REPLICATION and memberships from ${role}, then start again.`,
    });
  }
  if (found && (await passwordFits(ownerUrl, role))) return;
  const password = scramVerifier(rolePassword(ownerUrl, role));
  await sql.unsafe(`${found ? "alter" : "create"} role ${role} login password '${password}'`);
}

/** Tries the door. The server looks at the password first: whatever it says after that, the password was right. */
async function passwordFits(ownerUrl: string, role: RoleName): Promise<boolean> {
  const url = role === ROLES.queue ? queueUrl(ownerUrl) : roleUrl(ownerUrl, role);
  const trial = connect(url, { max: 1, name: "xvault check" });
  try {
    await trial`select 1`;
    return true;
  } catch (error) {
    const code = databaseCode(error);
    if (code === "28P01" || code === "28000") return false;
    if (code === "3D000" || code === "42501") return true;
    throw error;
  } finally {
    await trial.end({ timeout: 5 });
  }
}

/** Makes the queue's own database, closed to everybody but the queue's role. */
export async function ensureQueueDatabase(sql: Sql, ownerUrl: string): Promise<void> {
  const name = queueDatabase(ownerUrl);
  await patiently(async () => {
    const [found] = await sql`select 1 from pg_database where datname = ${name}`;
    if (found) return;
    const [owner] = await sql<
      { super: boolean }[]
    >`select rolsuper as super from pg_roles where rolname = current_user`;
    // To give a database away, one must be the receiver, or a member of it, or above all that.
    if (!owner?.super) await sql.unsafe(`grant ${ROLES.queue} to current_user`);
    await sql.unsafe(`create database ${quote(name)} owner ${ROLES.queue}`);
  });
  await sql.unsafe(`revoke all on database ${quote(name)} from public`);
  await sql.unsafe(`revoke all on database ${quote(databaseOf(ownerUrl))} from ${ROLES.queue}`);
}

async function patiently(work: () => Promise<void>, tries = 5): Promise<void> {
  for (let left = tries; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      if (left <= 1 || !RACED.has(databaseCode(error) ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
    }
  }
}

/** The form in which PostgreSQL keeps passwords (RFC 5803), made here so that none appears in a statement that a server may log. */
function scramVerifier(password: string): string {
  const iterations = 4096;
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString("base64")}$${storedKey}:${serverKey}`;
}
