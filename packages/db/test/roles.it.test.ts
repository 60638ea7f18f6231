// The roles, on a server of their own because roles belong to all of its databases. The queue's role sees the queue's database alone.
import { createDatabase } from "../src/embedded/index.ts";
import { startTestPostgres, type TestPostgres } from "@xvault/test-kit/postgres";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withDatabase } from "../src/access/urls.ts";
import { connect } from "../src/connection.ts";
import { databaseCode } from "../src/errors.ts";
import * as db from "../src/index.ts";

let server: TestPostgres;
let ownerUrl: string;

beforeAll(async () => {
  server = await startTestPostgres();
  ownerUrl = await createDatabase(server.baseUrl, "vault");
  await db.migrate(ownerUrl);
});
afterAll(() => server.stop());

async function at<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect(url, { max: 1, name: "test" });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** 'done', or the code of the refusal. */
const attempt = (url: string, statement: string) =>
  at(url, (sql) => sql.unsafe(statement)).then(
    () => "done",
    (error: unknown) => databaseCode(error) ?? error,
  );

describe("the queue's role", () => {
  it("makes and uses what it likes in its own database", async () => {
    expect(
      await attempt(
        db.queueUrl(ownerUrl),
        "create schema bull; create table bull.job (id int); select * from bull.job",
      ),
    ).toBe("done");
  });

  it("enters no other database", async () => {
    for (const database of ["vault", "xvault", "postgres", "template1", "xvault_template"]) {
      expect(await attempt(withDatabase(db.queueUrl(ownerUrl), database), "select 1"), database).toBe("42501");
    }
  });

  it("finds nothing of the platform's in its own", async () => {
    const seen = await at(
      db.queueUrl(ownerUrl),
      (sql) => sql`select 1 from pg_class where relname in ('sources', 'jobs', 'credentials')`,
    );
    expect(seen.length).toBe(0);
    expect(await attempt(db.roleUrl(ownerUrl, db.ROLES.app), "select 1 from jobs")).toBe("done");
  });

  it("is alone there: the other roles do not enter", async () => {
    for (const role of [db.ROLES.app, db.ROLES.system]) {
      expect(await attempt(withDatabase(db.roleUrl(ownerUrl, role), "vault_queue"), "select 1")).toBe("42501");
    }
  });

  it("cannot become another role", async () => {
    expect(await attempt(db.queueUrl(ownerUrl), "set role xvault_app")).toBe("42501");
    expect(await attempt(db.roleUrl(ownerUrl, db.ROLES.app), "set role xvault_system")).toBe("42501");
  });
});

describe("migrate", () => {
  it("makes tables in no role's reach but the owner's", async () => {
    for (const role of [db.ROLES.app, db.ROLES.system]) {
      expect(await attempt(db.roleUrl(ownerUrl, role), "create table public.mine (id int)")).toBe("42501");
      expect(await attempt(db.roleUrl(ownerUrl, role), "truncate jobs")).toBe("42501");
      expect(await attempt(db.roleUrl(ownerUrl, role), "create temp table mine (id int)")).toBe("42501");
    }
  });

  it("changes nothing when repeated, also by several at once", async () => {
    const count = () => at(ownerUrl, (sql) => sql`select count(*)::int as n from drizzle.__drizzle_migrations`);
    const before = await count();
    await Promise.all([db.migrate(ownerUrl), db.migrate(ownerUrl), db.migrate(ownerUrl)]);
    expect(await count()).toEqual(before);
  });

  it("takes rights back that somebody gave, and gives those that somebody took", async () => {
    const app = db.roleUrl(ownerUrl, db.ROLES.app);
    await at(ownerUrl, (sql) =>
      sql.unsafe("grant truncate, delete on audit_log to xvault_app; revoke select on sources from xvault_app"),
    );
    expect(await attempt(app, "select 1 from sources")).toBe("42501");
    await db.migrate(ownerUrl);
    expect(await attempt(app, "truncate audit_log")).toBe("42501");
    expect(await attempt(app, "delete from audit_log")).toBe("42501");
    expect(await attempt(app, "select 1 from sources")).toBe("done");
  });

  it("sets a password right that does not follow from the owner's", async () => {
    await at(ownerUrl, (sql) => sql.unsafe("alter role xvault_app password 'other'"));
    expect(await attempt(db.roleUrl(ownerUrl, db.ROLES.app), "select 1")).toBe("28P01");
    await db.migrate(ownerUrl);
    expect(await attempt(db.roleUrl(ownerUrl, db.ROLES.app), "select 1")).toBe("done");
  });

  it.each([
    { right: "bypassrls", undo: "alter role xvault_app nobypassrls" },
    { right: "superuser", undo: "alter role xvault_app nosuperuser" },
  ])("refuses a role that was made $right", async ({ right, undo }) => {
    await at(ownerUrl, (sql) => sql.unsafe(`alter role xvault_app ${right}`));
    await expect(db.migrate(ownerUrl)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await at(ownerUrl, (sql) => sql.unsafe(undo));
    await db.migrate(ownerUrl);
  });

  it("refuses a role that is a member of another", async () => {
    await at(ownerUrl, (sql) => sql.unsafe("grant xvault_system to xvault_app"));
    await expect(db.migrate(ownerUrl)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await at(ownerUrl, (sql) => sql.unsafe("revoke xvault_system from xvault_app"));
    await db.migrate(ownerUrl);
  });

  it("tells when there is no database", async () => {
    const nowhere = new URL(ownerUrl);
    nowhere.port = "1";
    await expect(db.migrate(nowhere.href)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const gone = db.openDatabase(nowhere.href);
    await expect(gone.ping()).rejects.toMatchObject({ code: "UNAVAILABLE", retry: true });
    await gone.close();
  });
});

describe("an owner who is no superuser", () => {
  it("can migrate with CREATEROLE and CREATEDB, and the roles work", async () => {
    const plain = await startTestPostgres({ migrated: false });
    try {
      await at(plain.baseUrl, (sql) => sql.unsafe("create role landlord login createrole createdb password 'pw'"));
      await at(plain.baseUrl, (sql) => sql.unsafe("create database house owner landlord"));
      const url = new URL(withDatabase(plain.baseUrl, "house"));
      url.username = "landlord";
      url.password = "pw";
      await db.migrate(url.href);
      await db.migrate(url.href);
      const house = db.openDatabase(url.href);
      await house.withSystem((tx) => tx.insert(db.rateLimits).values({ key: "k", points: 1 }));
      await house.close();
      expect(await attempt(db.queueUrl(url.href), "create table job (id int)")).toBe("done");
      // FORCE: the owner is bound by row-level security too.
      expect(await at(url.href, async (sql) => (await sql`select 1 from rate_limits`).length)).toBe(0);
    } finally {
      await plain.stop();
    }
  });
});

describe("notices", () => {
  it("reach who listens, in other processes' handles too, until they stop", async () => {
    const [one, two] = [db.openDatabase(ownerUrl, { max: 1 }), db.openDatabase(ownerUrl, { max: 1 })];
    const heard: string[] = [];
    let wake = () => {};
    const arrived = (n: number) =>
      new Promise<void>((resolve) => {
        wake = () => heard.length >= n && resolve();
        wake();
      });
    const stop = await one.listen("news", (payload) => {
      heard.push(payload);
      wake();
    });
    await two.notify("news", "first");
    await one.notify("news", 'it\'s "second"');
    await arrived(2);
    expect(heard).toEqual(["first", 'it\'s "second"']);
    await stop();
    await two.notify("news", "third");
    await one.listen("other", () => {});
    expect(heard.length).toBe(2);
    await Promise.all([one.close(), two.close()]);
  });
});
