import type { Role, Scope } from "@xvault/contracts";

const READ: Scope[] = [
  "sources:read",
  "jobs:read",
  "snapshots:read",
  "packages:read",
  "audit:read",
  "members:read",
  "tokens:read",
  "tokens:revoke",
  "storage:read",
  "retention:read",
  "notices:read",
];
const OPERATE: Scope[] = [...READ, "backups:run", "packages:write", "retention:write"];
const ADMINISTER: Scope[] = [
  ...OPERATE,
  "sources:write",
  "snapshots:remove",
  "restores:run",
  "storage:write",
  "notices:write",
  "members:write",
  "workspace:write",
];

/** The scopes that a token of a person with this role may have: never more than the role itself may do. */
export const SCOPES_OF_ROLE: Readonly<Record<Role, readonly Scope[]>> = {
  viewer: READ,
  operator: OPERATE,
  admin: ADMINISTER,
  owner: [...ADMINISTER, "keys:export"],
};

/** Adding people outlives the token that did it, so a token gets this only where it is asked for by name. */
const BY_NAME_ONLY: readonly Scope[] = ["members:write"];

/** The scopes of a token for which none were named. */
export function usualScopes(role: Role): Scope[] {
  return SCOPES_OF_ROLE[role].filter((scope) => !BY_NAME_ONLY.includes(scope));
}
