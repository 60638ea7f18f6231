type Verb = "select" | "insert" | "update" | "delete";

/** What one role may do with one table. `columns`: of `select`, where not all may be read. */
interface Grant {
  verbs: readonly Verb[];
  columns?: readonly string[];
}

const may = (...verbs: Verb[]): Grant => ({ verbs });
const read = may("select");
const append = may("select", "insert");
const keep = may("select", "insert", "update");
const all = may("select", "insert", "update", "delete");

/**
 * Who may do what, table by table, within what row-level security lets through. What is not written here is not allowed; nobody
 * may TRUNCATE. `app` acts for one workspace at a time; `system` is sign-in, token look-up, scheduler, reaper and platform
 * admin, which look across workspaces, but have no way to a credential.
 */
export const GRANTS: Readonly<Record<string, { app?: Grant; system?: Grant }>> = {
  users: { app: { verbs: ["select"], columns: ["id", "email", "name", "created_at", "disabled_at"] }, system: keep },
  sessions: { system: all },
  refresh_tokens: { system: all },
  tenants: { app: keep, system: keep },
  memberships: { app: all, system: all },
  tenant_data_keys: { app: append, system: all },
  tenant_keys: { app: keep, system: append },
  api_tokens: { app: keep, system: keep },
  sources: { app: keep, system: read },
  credentials: { app: all },
  schedules: { app: all, system: read },
  jobs: { app: keep, system: all },
  job_events: { app: append, system: may("select", "insert", "delete") },
  packages: { app: all, system: read },
  snapshots: { app: all, system: read },
  storages: { app: keep, system: may("select", "insert") },
  platform_storages: {
    app: {
      verbs: ["select"],
      columns: ["id", "name", "kind", "tier", "config", "own_keys", "offered", "created_at", "retired_at"],
    },
    system: keep,
  },
  placements: { app: all },
  copies: { app: keep, system: read },
  retention_rules: { app: all },
  workspace_settings: { app: keep, system: read },
  proofs: { app: append },
  alerts: { app: keep, system: read },
  webhooks: { app: all },
  webhook_deliveries: { app: keep, system: all },
  idempotency_keys: { app: keep, system: all },
  workers: { app: read, system: keep },
  worker_enrollments: { system: all },
  platform_keys: {
    app: { verbs: ["select"], columns: ["id", "purpose", "public_key", "created_at", "retired_at"] },
    system: keep,
  },
  rate_limits: { system: all },
  audit_log: { app: append, system: may("select", "insert", "delete") },
  audit_heads: { app: keep, system: keep },
  audit_archives: { app: append },
};

/** The SQL that gives both roles exactly what {@link GRANTS} says and takes everything else. Run as the owner, in one transaction. */
export function grantStatements(database: string, roles: { app: string; system: string }): string[] {
  const both = `${roles.app}, ${roles.system}`;
  const statements = [
    `revoke all on database ${quote(database)} from public`,
    `grant connect on database ${quote(database)} to ${both}`,
    "revoke all on schema public from public",
    `grant usage on schema public to ${both}`,
    `revoke all on all tables in schema public from public, ${both}`,
  ];
  for (const [table, grants] of Object.entries(GRANTS)) {
    for (const role of ["app", "system"] as const) {
      const grant = grants[role];
      if (!grant) continue;
      const verbs = grant.columns ? `select (${grant.columns.join(", ")})` : grant.verbs.join(", ");
      statements.push(`grant ${verbs} on public.${table} to ${roles[role]}`);
    }
  }
  return statements;
}

/** An identifier as SQL wants it. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
