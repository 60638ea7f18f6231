// Promises 8 and 9, by the catalog: what a new table, view, foreign key or grant must have, so that forgetting it fails here. Every question is
// also put to a database in which somebody did forget.
import { freshDatabase } from "@xvault/test-kit/postgres";
import { getTableName, is } from "drizzle-orm";
import { PgTable } from "drizzle-orm/pg-core";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { connect } from "../src/connection.ts";
import * as db from "../src/index.ts";

type Ask = (sql: Sql) => Promise<string[]>;

const names = (rows: readonly Record<string, unknown>[]) => rows.map((row) => String(row["name"])).toSorted();

/** Tables on which row-level security is off, does not bind the owner, or has no policy (then nobody sees anything: not meant either). */
const unguarded: Ask = async (sql) =>
  names(
    await sql`
    select relname as name from pg_class c
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
      and not (relrowsecurity and relforcerowsecurity and exists (select 1 from pg_policy p where p.polrelid = c.oid))`,
  );

/** Policies that let the app role through to rows of a tenant table by anything but the workspace that is set. */
const looseForApp: Ask = async (sql) => {
  const rows = await sql<
    { name: string; tenant: string; cmd: string; qual: string | null; with_check: string | null }[]
  >`
    select p.tablename || '.' || p.policyname as name, p.cmd, p.qual, p.with_check,
      case when p.tablename = 'tenants' then 'id' else 'tenant_id' end as tenant
    from pg_policies p
    where p.schemaname = 'public' and p.permissive = 'PERMISSIVE' and not p.roles = array['xvault_system'::name]
      and (p.tablename = 'tenants' or exists (
        select 1 from information_schema.columns c
        where c.table_schema = 'public' and c.table_name = p.tablename and c.column_name = 'tenant_id'))`;
  const bad = rows.filter(({ tenant, cmd, qual, with_check }) => {
    const own = `(${tenant} = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)`;
    return cmd !== "ALL" || qual !== own || with_check !== own;
  });
  return names(bad);
};

/** Tenant tables without a policy for the app role. */
const closedToApp: Ask = async (sql) =>
  names(
    await sql`
    select c.table_name as name from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and c.column_name = 'tenant_id' and t.table_type = 'BASE TABLE' and not exists (
      select 1 from pg_policies p where p.tablename = c.table_name and p.roles = array['xvault_app'::name] and p.permissive = 'PERMISSIVE')`,
  );

/** Foreign keys between tenant tables that do not carry the workspace along, column for column. */
const crossing: Ask = async (sql) =>
  names(
    await sql`
    with tenant_column as (
      select a.attrelid, a.attnum from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and a.attname = case when c.relname = 'tenants' then 'id' else 'tenant_id' end and not a.attisdropped)
    select k.conname as name from pg_constraint k
      join tenant_column here on here.attrelid = k.conrelid
      join tenant_column there on there.attrelid = k.confrelid
    where k.contype = 'f' and not exists (
      select 1 from unnest(k.conkey, k.confkey) as pair(mine, theirs)
      where pair.mine = here.attnum and pair.theirs = there.attnum)`,
  );

/** Views that would read with their owner's rights, and functions that would run with them. */
const elevated: Ask = async (sql) =>
  names(
    await sql`
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
      and not (relkind = 'v' and coalesce(reloptions, '{}') && array['security_invoker=true', 'security_invoker=on'])
    union all
    select proname as name from pg_proc where pronamespace = 'public'::regnamespace and prosecdef`,
  );

/** Rights that no role of ours, and not everybody, may have on any table. */
const dangerous: Ask = async (sql) =>
  names(
    await sql`
    select distinct c.relname || ': ' || g.privilege_type as name
    from pg_class c, aclexplode(c.relacl) g left join pg_roles r on r.oid = g.grantee
    where c.relnamespace = 'public'::regnamespace
      and (g.grantee = 0 or r.rolname like 'xvault\\_%' and g.grantee <> c.relowner)
      and (g.grantee = 0 or g.is_grantable or g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))`,
  );

/** What the two roles may do, as lines 'role table verb' and 'role table(column) verb'. */
const rights: Ask = async (sql) =>
  names(
    await sql`
    select grantee || ' ' || table_name || ' ' || lower(privilege_type) as name from information_schema.role_table_grants
    where table_schema = 'public' and grantee in ('xvault_app', 'xvault_system', 'xvault_queue')
    union
    select g.grantee || ' ' || g.table_name || '(' || g.column_name || ') ' || lower(g.privilege_type)
    from information_schema.column_privileges g
    where g.table_schema = 'public' and g.grantee in ('xvault_app', 'xvault_system', 'xvault_queue') and not exists (
      select 1 from information_schema.role_table_grants t
      where t.table_schema = 'public' and t.table_name = g.table_name and t.grantee = g.grantee and t.privilege_type = g.privilege_type)`,
  );

/** Tables that the platform's role passes row-level security on. */
const openToSystem: Ask = async (sql) =>
  names(
    await sql`select tablename as name from pg_policies where schemaname = 'public' and 'xvault_system' = any(roles)`,
  );

const TABLES = Object.values(db as Record<string, unknown>)
  .filter((item) => is(item, PgTable))
  .map((table) => getTableName(table));

let good: { sql: Sql; drop(): Promise<void> };
let bad: { sql: Sql; drop(): Promise<void> };

beforeAll(async () => {
  const open = async () => {
    const { ownerUrl, drop } = await freshDatabase(inject("postgresUrl"));
    return { sql: connect(ownerUrl, { max: 1, name: "test" }), drop };
  };
  good = await open();
  bad = await open();
  await bad.sql.unsafe(`
    create table forgotten (id uuid primary key, tenant_id uuid not null, unique (tenant_id, id));
    create table unforced (id uuid primary key, tenant_id uuid not null);
    alter table unforced enable row level security;
    create policy all_of_it on unforced to xvault_app using (true) with check (true);
    create policy half on unforced to xvault_app using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
    alter table forgotten add source_id uuid references sources (id);
    alter table forgotten add job_id uuid, add other uuid;
    alter table forgotten add constraint crossed foreign key (other, job_id) references jobs (tenant_id, id);
    alter table forgotten add constraint carried foreign key (tenant_id, job_id) references jobs (tenant_id, id);
    create view peek as select * from sources;
    create view honest with (security_invoker = true) as select * from sources;
    create materialized view kept as select * from sources;
    create function climb() returns int language sql security definer as 'select 1';
    grant truncate on jobs to xvault_app;
    grant select on workers to public;
    grant delete on audit_log to xvault_app;`);
});
afterAll(async () => {
  for (const one of [good, bad]) {
    await one.sql.end();
    await one.drop();
  }
});

describe.each([
  {
    what: "row-level security with FORCE and a policy on every table",
    ask: unguarded,
    caught: ["forgotten", "unforced"],
  },
  {
    what: "only the set workspace in the app role's policies",
    ask: looseForApp,
    caught: ["unforced.all_of_it", "unforced.half"],
  },
  { what: "a policy for the app role on every tenant table", ask: closedToApp, caught: ["forgotten"] },
  {
    what: "tenant_id in every foreign key between tenant tables",
    ask: crossing,
    caught: ["crossed", "forgotten_source_id_fkey"],
  },
  { what: "views and functions with the caller's rights alone", ask: elevated, caught: ["climb", "kept", "peek"] },
  { what: "no TRUNCATE and nothing for everybody", ask: dangerous, caught: ["jobs: TRUNCATE", "workers: SELECT"] },
])("$what", ({ ask, caught }) => {
  it("holds", async () => expect(await ask(good.sql)).toEqual([]));
  it("is noticed where it was forgotten", async () => expect(await ask(bad.sql)).toEqual(caught));
});

describe("who may do what", () => {
  const written = (role: "app" | "system") =>
    Object.entries(db.GRANTS).flatMap(([table, grants]) => {
      const grant = grants[role];
      if (!grant) return [];
      const places = grant.columns?.map((column) => `${table}(${column})`) ?? [table];
      return places.flatMap((place) => grant.verbs.map((verb) => `xvault_${role} ${place} ${verb}`));
    });

  it("is written down for every table", () => expect(Object.keys(db.GRANTS).toSorted()).toEqual(TABLES.toSorted()));

  it("is what is written down", async () => {
    expect(await rights(good.sql)).toEqual([...written("app"), ...written("system")].toSorted());
  });

  it("is noticed where it is more", async () => {
    const more = (await rights(bad.sql)).filter((line) => ![...written("app"), ...written("system")].includes(line));
    expect(more).toEqual(["xvault_app audit_log delete", "xvault_app jobs truncate"]);
  });

  it("lists the tables that the platform passes row-level security on", async () => {
    expect(await openToSystem(good.sql)).toEqual(
      Object.entries(db.GRANTS)
        .filter(([, { system }]) => system)
        .map(([table]) => table)
        .toSorted(),
    );
  });

  it("gives the roles nothing above row-level security", async () => {
    const roles = await good.sql`
      select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin
      from pg_roles where rolname in ('xvault_app', 'xvault_system', 'xvault_queue') order by rolname`;
    const plain = {
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolcanlogin: true,
    };
    expect(roles.map((row) => ({ ...row }))).toEqual(
      ["xvault_app", "xvault_queue", "xvault_system"].map((rolname) => ({ rolname, ...plain })),
    );
    const owners = await good.sql`
      select tableowner from pg_tables where schemaname = 'public' and tableowner in ('xvault_app', 'xvault_system', 'xvault_queue')`;
    expect(owners.length).toBe(0);
  });
});
