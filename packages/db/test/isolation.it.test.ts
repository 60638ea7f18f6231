// Promise 8: a forgotten WHERE leaks nothing. Raw statements of the app role, table by table, without and with another workspace's setting.
import { newId, type TenantId } from "@xvault/kernel";
import type { Sql, TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { getTableName, is } from "drizzle-orm";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import * as db from "../src/index.ts";
import { databaseCode } from "../src/errors.ts";
import { makeWorkspace, twoWorkspaces, type Workspace } from "./world.ts";

type Row = Record<string, unknown>;

const TABLES = Object.values(db as Record<string, unknown>)
  .filter((item) => is(item, PgTable))
  .map((table) => ({ name: getTableName(table), columns: getTableConfig(table).columns.map((column) => column.name) }))
  .filter(({ name, columns }) => name === "tenants" || columns.includes("tenant_id"))
  .map(({ name }) => ({
    name,
    tenant: name === "tenants" ? "id" : "tenant_id",
    verbs: db.GRANTS[name]?.app?.verbs ?? [],
  }));

class Undo extends Error {}

let world: Awaited<ReturnType<typeof twoWorkspaces>>;
let third: Workspace;

beforeAll(async () => {
  world = await twoWorkspaces();
  third = await makeWorkspace(world.db, "c");
});
afterAll(async () => {
  await Promise.all([world.db.close(), world.owner.close(), world.app.end()]);
  await world.drop();
});

/** Runs as the app role with `tenant` set (or nothing set) and undoes everything. */
async function as<T>(tenant: TenantId | null, work: (tx: TransactionSql) => Promise<T>): Promise<T> {
  let result: { value: T } | undefined;
  const sql: Sql = world.app;
  await sql
    .begin(async (tx) => {
      if (tenant) await tx`select set_config('app.tenant', ${tenant}, true)`;
      result = { value: await work(tx) };
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  if (!result) throw new Error("the work did not end");
  return result.value;
}

const codeOf = (work: Promise<unknown>) => work.then(() => "done", databaseCode);

/** A further row like the one that workspace A has, which nothing but row-level security speaks against. */
async function likeRowOfA(table: (typeof TABLES)[number]): Promise<Row> {
  const found = await world.owner.withSystem((tx) =>
    tx.execute(
      db.sql.raw(`select to_jsonb(t) as row from ${table.name} t where ${table.tenant} = '${world.a.id}' limit 1`),
    ),
  );
  const row = { ...(found[0]?.["row"] as Row) };
  const changes: Row = {
    id: table.name === "job_events" ? 1_000_000 : newId(),
    user_id: table.name === "memberships" ? third.userId : row["user_id"],
    token_hash: newId(),
    fingerprint: newId(),
    version: 2,
    seq: 1_000_000,
    key: newId(),
    subject_id: newId(),
    ...OTHERWISE[table.name],
    ...(table.name === "placements" ? { storage_id: world.a.otherStorageId } : {}),
    ...(table.name === "audit_archives" ? { snapshot_id: world.a.otherSnapshotId } : {}),
  };
  for (const [key, value] of Object.entries(changes)) if (key in row) row[key] = value;
  return row;
}

/** What else must differ from a row that is there. */
const OTHERWISE: Record<string, Row> = {
  snapshots: { state: "pending", sequence: 2 },
  copies: { state: "removed" },
  storages: { name: "third disks" },
  retention_rules: { package_type: "cache" },
};
/** There once for each workspace. */
const SINGLE = ["tenants", "audit_heads", "workspace_settings"];

async function insert(tx: TransactionSql, table: string, row: Row): Promise<number> {
  // The values stand in the statement: the record's type is the table's own, whatever it is.
  const json = JSON.stringify(row).replaceAll("'", "''");
  const done = await tx.unsafe(
    `insert into ${table} overriding system value select * from jsonb_populate_record(null::${table}, '${json}'::jsonb)`,
  );
  return done.count;
}

it("looks at every tenant table of the schema", () => {
  expect(TABLES.map(({ name }) => name).toSorted()).toEqual([
    "alerts",
    "api_tokens",
    "audit_archives",
    "audit_heads",
    "audit_log",
    "copies",
    "credentials",
    "idempotency_keys",
    "job_events",
    "jobs",
    "memberships",
    "packages",
    "placements",
    "proofs",
    "retention_rules",
    "schedules",
    "snapshots",
    "sources",
    "storages",
    "tenant_data_keys",
    "tenant_keys",
    "tenants",
    "webhook_deliveries",
    "webhooks",
    "workspace_settings",
  ]);
});

describe.each(TABLES)("$name", (table) => {
  const { name, tenant, verbs } = table;
  const mayUpdate = verbs.includes("update");
  const mayDelete = verbs.includes("delete");
  const ofA = () => `${tenant} = '${world.a.id}'`;

  it("opens to its own workspace", async () => {
    const like = await likeRowOfA(table);
    // A head or a workspace is there once for each: it is made for a workspace that has none yet.
    const single = SINGLE.includes(name);
    const own = single ? newId<TenantId>() : world.a.id;
    if (single) like[tenant] = own;
    const seen = await as(world.a.id, (tx) => tx.unsafe(`select * from ${name}`));
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen.map((row) => (row as Row)[tenant]))).toEqual(new Set([world.a.id]));
    const made = as(own, async (tx) => {
      if (name === "workspace_settings")
        await insert(tx, "tenants", { id: own, name: "c", key_mode: "platform", created_at: new Date() });
      return insert(tx, name, like);
    });
    expect(await made).toBe(1);
    if (mayUpdate) {
      const changed = await as(world.a.id, (tx) =>
        tx.unsafe(`update ${name} set ${tenant} = ${tenant} where ${ofA()}`),
      );
      expect(changed.count).toBeGreaterThan(0);
    }
    if (mayDelete) {
      const gone = await as(world.a.id, async (tx) => {
        await insert(tx, name, like);
        const column = ["id", "user_id", "storage_id", "package_type"].find((one) => one in like) ?? "";
        const key = `${column} = '${like[column]}'`;
        return tx.unsafe(`delete from ${name} where ${key}`);
      });
      expect(gone.count).toBe(1);
    }
  });

  describe.each([
    { who: "nobody's setting", setting: () => null },
    { who: "another workspace's setting", setting: () => world.b.id },
  ])("with $who", ({ setting }) => {
    it("shows no row of the workspace", async () => {
      expect((await as(setting(), (tx) => tx.unsafe(`select * from ${name} where ${ofA()}`))).length).toBe(0);
      const all = await as(setting(), (tx) => tx.unsafe(`select * from ${name}`));
      expect(all.filter((row) => (row as Row)[tenant] !== setting())).toEqual([]);
    });

    it("takes no row for the workspace", async () => {
      const like = await likeRowOfA(table);
      if (name === "tenants") like["id"] = newId();
      if (SINGLE.includes(name) && "tenant_id" in like) like["tenant_id"] = newId();
      expect(await codeOf(as(setting(), (tx) => insert(tx, name, like)))).toBe("42501");
    });

    it("changes no row of the workspace", async () => {
      const change = as(
        setting(),
        async (tx) => (await tx.unsafe(`update ${name} set ${tenant} = ${tenant} where ${ofA()}`)).count,
      );
      if (mayUpdate) expect(await change).toBe(0);
      else expect(await codeOf(change)).toBe("42501");
    });

    it("removes no row of the workspace", async () => {
      const removal = as(setting(), async (tx) => (await tx.unsafe(`delete from ${name} where ${ofA()}`)).count);
      if (mayDelete) expect(await removal).toBe(0);
      else expect(await codeOf(removal)).toBe("42501");
    });
  });

  it("lets no row be moved to another workspace", async () => {
    const move = as(world.b.id, (tx) => tx.unsafe(`update ${name} set ${tenant} = '${world.a.id}'`));
    // Where nothing may be changed, that is why; a head or a workspace of that id exists, which the server may find first.
    expect(["42501", "23505"]).toContain(await codeOf(move));
  });
});

describe("beside the tenant tables", () => {
  it("a workspace sees its members and nobody else, and no password hash", async () => {
    const columns = { id: db.users.id, email: db.users.email };
    const seen = await world.db.withTenant(world.a.id, (tx) => tx.select(columns).from(db.users));
    expect(seen.map(({ id }) => id)).toEqual([world.a.userId]);
    expect(await codeOf(as(world.a.id, (tx) => tx`select password_hash from users`))).toBe("42501");
    expect(await codeOf(as(world.a.id, (tx) => tx`select email from users`))).toBe("done");
  });

  it("a workspace reads the public half of the platform's keys, not the wrapped one", async () => {
    expect(await codeOf(as(world.a.id, (tx) => tx`select public_key from platform_keys`))).toBe("done");
    expect(await codeOf(as(world.a.id, (tx) => tx`select wrapped_private from platform_keys`))).toBe("42501");
  });

  it("a published snapshot cannot be deleted by its workspace", async () => {
    const removed = await as(world.a.id, async (tx) => (await tx`delete from snapshots`).count);
    expect(removed).toBe(0);
    const kept = await as(world.a.id, (tx) => tx`select 1 from snapshots`);
    expect(kept.length).toBe(2);
  });

  it("the system role has no way to credentials", async () => {
    const look = world.db.withSystem((tx) => tx.select().from(db.credentials));
    expect(await codeOf(look)).toBe("42501");
    expect(await codeOf(world.db.withSystem((tx) => tx.select().from(db.sources)))).toBe("done");
  });

  it("a foreign key cannot reach into another workspace", async () => {
    const schedule = (tenantId: TenantId, sourceId: string) => ({
      id: newId(),
      tenantId,
      sourceId,
      cron: "0 3 * * *",
      timezone: "UTC",
    });
    const add = (sourceId: string) =>
      world.db.withTenant(world.b.id, (tx) => tx.insert(db.schedules).values(schedule(world.b.id, sourceId)));
    expect(await codeOf(add(world.a.sourceId))).toBe("23503");
    expect(await codeOf(add(world.b.sourceId))).toBe("done");
  });
});

describe("withTenant", () => {
  it.each([undefined, null, "", "x", 7, "00000000-0000-0000-0000-000000000000", `${newId().toUpperCase()}A`])(
    "refuses %j for a workspace",
    async (id) => {
      const call = world.db.withTenant(id as unknown as TenantId, async () => "reached");
      await expect(call).rejects.toMatchObject({ code: "INPUT_INVALID" });
    },
  );

  it("passes what the work gives and throws, and says nothing of parameters", async () => {
    expect(await world.db.withTenant(world.a.id, async () => 7)).toBe(7);
    const thrown = new Error("mine");
    await expect(world.db.withTenant(world.a.id, () => Promise.reject(thrown))).rejects.toBe(thrown);
    const canary = `canary-${newId()}`;
    const refused = await world.db
      .withTenant(world.a.id, (tx) =>
        tx
          .insert(db.credentials)
          .values({ id: newId(), tenantId: world.b.id, kind: "password", sealed: canary, keyVersion: 1 }),
      )
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(db.DatabaseError);
    const told = [refused, (refused as Error).stack, JSON.stringify(refused), String((refused as Error).cause)].join();
    expect(told).toContain("row-level security");
    expect(told).not.toContain(canary);
  });

  it("tells a taken name from other errors", async () => {
    const user = { id: newId(), email: "taken@x.test", name: "x", passwordHash: "x" };
    const add = () => world.db.withSystem((tx) => tx.insert(db.users).values({ ...user, id: newId() }));
    await add();
    const error = await add().catch((thrown: unknown) => thrown);
    expect(db.isUniqueViolation(error)).toBe(true);
    expect(db.isUniqueViolation(error, "users_email_unique")).toBe(true);
    expect(db.isUniqueViolation(error, "another")).toBe(false);
    expect(db.isUniqueViolation(new Error("x"))).toBe(false);
    let inside = false;
    const refused = world.db.withSystem((tx) =>
      tx
        .insert(db.users)
        .values(user)
        .catch((thrown: unknown) => {
          inside = db.isUniqueViolation(thrown, "users_email_unique");
        }),
    );
    // A refused statement ends its transaction, whoever catches it.
    await expect(refused).rejects.toMatchObject({ code: "23505" });
    expect(inside).toBe(true);
  });
});
