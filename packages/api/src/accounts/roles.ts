import type { Role, Scope } from "@xvault/contracts";

const READ: Scope[] = ["sources:read", "jobs:read", "snapshots:read", "packages:read", "audit:read"];
const OPERATE: Scope[] = [...READ, "backups:run", "packages:write"];
const ADMINISTER: Scope[] = [...OPERATE, "sources:write", "snapshots:remove", "restores:run"];

/** The scopes that a token of a person with this role may have: never more than the role itself may do. */
export const SCOPES_OF_ROLE: Readonly<Record<Role, readonly Scope[]>> = {
  viewer: READ,
  operator: OPERATE,
  admin: ADMINISTER,
  owner: [...ADMINISTER, "keys:export"],
};
