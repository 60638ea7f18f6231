import type { Role } from "@xvault/contracts";

/** The roles in a workspace as people read them, from most to least. */
export const ROLES: { value: Role; label: string; description: string }[] = [
  { value: "owner", label: "Owner", description: "Everything, keys included." },
  { value: "admin", label: "Admin", description: "Everything but keys: sources, team, restores, downloads." },
  { value: "operator", label: "Operator", description: "Runs backups; neither restores nor downloads." },
  { value: "viewer", label: "Viewer", description: "Looks only." },
];

/** A role's name on screen. */
export const roleWord = (role: Role) => ROLES.find(({ value }) => value === role)?.label ?? role;
