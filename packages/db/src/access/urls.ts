import { hkdfSync } from "node:crypto";
import { XVaultError } from "@xvault/kernel";

/** The roles that run xVault; the owner, whose URL the operator gives, only migrates. */
export const ROLES = { app: "xvault_app", system: "xvault_system", queue: "xvault_queue" } as const;
export type RoleName = (typeof ROLES)[keyof typeof ROLES];

/**
 * The URL by which one of our roles reaches the owner's database. Its password is derived from the owner's (HKDF-SHA256, RFC 5869,
 * labelled with the role), so that several hubs agree on it and nothing is stored.
 *
 * @throws CONFIG_INVALID when the owner's URL names no password or no database.
 */
export function roleUrl(ownerUrl: string, role: RoleName): string {
  const url = parse(ownerUrl);
  url.username = role;
  url.password = rolePassword(ownerUrl, role);
  return url.href;
}

/** The URL of the queue's own database, `<database>_queue`, as the role that sees nothing else. @throws as {@link roleUrl} */
export function queueUrl(ownerUrl: string): string {
  const url = parse(roleUrl(ownerUrl, ROLES.queue));
  url.pathname = `/${encodeURIComponent(queueDatabase(ownerUrl))}`;
  return url.href;
}

export function queueDatabase(ownerUrl: string): string {
  return `${databaseOf(ownerUrl)}_queue`;
}

/** The name of the database that a URL leads to. */
export function databaseOf(ownerUrl: string): string {
  return decodeURIComponent(parse(ownerUrl).pathname.slice(1));
}

/** The same server and role, another database. */
export function withDatabase(anyUrl: string, database: string): string {
  const url = parse(anyUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}

export function rolePassword(ownerUrl: string, role: RoleName): string {
  const secret = decodeURIComponent(parse(ownerUrl).password);
  return Buffer.from(hkdfSync("sha256", secret, "", `xvault database role ${role}`, 32)).toString("base64url");
}

function parse(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new XVaultError("CONFIG_INVALID", "The database URL cannot be read.", {
      fix: "Write it as postgres://owner:password@host:5432/database.",
    });
  }
  if (url.password === "" || url.username === "" || url.pathname.length < 2) {
    throw new XVaultError("CONFIG_INVALID", "The database URL lacks a user, a password or a database.", {
      fix: "Write it as postgres://owner:password@host:5432/database; the roles' passwords are derived from the owner's.",
    });
  }
  return url;
}
