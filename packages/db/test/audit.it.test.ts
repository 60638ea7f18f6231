// Promises 40 and 41: no action without its audit entry; edits, truncation and rewriting are found.
import { type Json, manualClock, newId, type TenantId } from "@xvault/kernel";
import { getTableColumns } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryHash } from "../src/audit/entry.ts";
import * as db from "../src/index.ts";
import { twoWorkspaces } from "./world.ts";

let world: Awaited<ReturnType<typeof twoWorkspaces>>;
beforeAll(async () => {
  world = await twoWorkspaces();
});
afterAll(async () => {
  await Promise.all([world.db.close(), world.owner.close(), world.app.end()]);
  await world.drop();
});

const entry = (tenantId: TenantId, data: Record<string, Json> = {}): db.AuditEntryInput => ({
  tenantId,
  actor: { kind: "user", id: world.a.userId, label: "ada@example.test" },
  action: "source.renamed",
  target: { kind: "source", id: world.a.sourceId },
  data,
  requestId: "req-1",
});

const rename = (name: string) =>
  world.db.withTenant(world.a.id, async (tx) => {
    await tx.update(db.sources).set({ name }).where(db.eq(db.sources.id, world.a.sourceId));
    await db.appendAudit(tx, entry(world.a.id, { name }));
  });
const nameNow = async () => {
  const rows = await world.db.withTenant(world.a.id, (tx) => tx.select({ name: db.sources.name }).from(db.sources));
  return rows[0]?.name;
};

describe("no action without its entry (promise 40)", () => {
  it.each([
    {
      broken: "the log takes nothing",
      by: "alter table audit_log add constraint broken check (seq < 0) not valid",
      mend: "alter table audit_log drop constraint broken",
    },
    {
      broken: "the log is not there",
      by: "alter table audit_log rename to gone",
      mend: "alter table gone rename to audit_log",
    },
    {
      broken: "the head cannot be moved",
      by: "revoke update on audit_heads from xvault_app",
      mend: "grant update on audit_heads to xvault_app",
    },
  ])("rolls the action back when $broken", async ({ by, mend }) => {
    await rename("before");
    expect(await nameNow()).toBe("before");
    await world.owner.withSystem((tx) => tx.execute(db.sql.raw(by)));
    try {
      await expect(rename("after")).rejects.toThrow(db.DatabaseError);
      expect(await nameNow()).toBe("before");
    } finally {
      await world.owner.withSystem((tx) => tx.execute(db.sql.raw(mend)));
    }
    await rename("mended");
    expect(await nameNow()).toBe("mended");
  });

  it("keeps no entry of an action that failed", async () => {
    const check = () => world.db.withTenant(world.a.id, (tx) => db.verifyAuditChain(tx, world.a.id));
    const before = await check();
    const failing = world.db.withTenant(world.a.id, async (tx) => {
      await db.appendAudit(tx, entry(world.a.id));
      throw new Error("afterwards");
    });
    await expect(failing).rejects.toThrow("afterwards");
    expect(await check()).toEqual(before);
    expect(before.ok).toBe(true);
  });
});

/** A workspace's log with `length` entries. */
async function chain(length: number) {
  const tenantId = newId<TenantId>();
  const clock = manualClock(new Date("2026-01-02T03:04:05.678Z"));
  let end = { seq: 0, hash: "" };
  await world.db.withTenant(tenantId, async (tx) => {
    for (let n = 1; n <= length; n += 1) {
      clock.advance(1000);
      end = await db.appendAudit(tx, entry(tenantId, { n }), clock);
    }
  });
  return { tenantId, end };
}

class Undo extends Error {}

/** What the check finds after a superuser did `deed`; undone afterwards. */
async function checkAfter(tenantId: TenantId, deed: (tx: db.SystemTx) => Promise<unknown>, anchor?: db.AuditAnchor) {
  let found: db.AuditCheck | undefined;
  await world.owner
    .withSystem(async (tx) => {
      await deed(tx);
      found = await db.verifyAuditChain(tx, tenantId, anchor);
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  return found;
}

describe("an unbroken chain", () => {
  it("is found whole, by the workspace itself too, and to fit its anchor", async () => {
    const { tenantId, end } = await chain(5);
    const whole = { ok: true, entries: 5, head: end, problem: null };
    expect(await world.db.withTenant(tenantId, (tx) => db.verifyAuditChain(tx, tenantId))).toEqual(whole);
    expect(await checkAfter(tenantId, async () => {}, end)).toEqual(whole);
  });

  it("is found whole when there is nothing yet", async () => {
    const tenantId = newId<TenantId>();
    const found = await world.db.withTenant(tenantId, (tx) => db.verifyAuditChain(tx, tenantId));
    expect(found).toMatchObject({ ok: true, entries: 0, head: { seq: 0 } });
  });

  it("has no gap when many append at once", async () => {
    const tenantId = newId<TenantId>();
    const append = (n: number) => world.db.withTenant(tenantId, (tx) => db.appendAudit(tx, entry(tenantId, { n })));
    const made = await Promise.all(Array.from({ length: 60 }, (_, n) => append(n)));
    expect(made.map(({ seq }) => seq).toSorted((x, y) => x - y)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(await checkAfter(tenantId, async () => {})).toMatchObject({ ok: true, entries: 60 });
  });

  it("is walked in pieces when it is long", async () => {
    const { tenantId, end } = await chain(2003);
    expect(await checkAfter(tenantId, async () => {}, end)).toMatchObject({ ok: true, entries: 2003 });
  });

  it("keeps odd data as it was hashed", async () => {
    const tenantId = newId<TenantId>();
    const data = {
      "b\u0000ad\ud800": ["\u0000", "\udfff x", "é", "e\u0301", "😀"],
      numbers: [-0, 1e21, 1e-7, 0.1, Number.MAX_SAFE_INTEGER, 1.0],
      nested: { z: null, a: { "": [] }, "10": 1, "9": 2 },
    };
    await world.db.withTenant(tenantId, (tx) =>
      db.appendAudit(tx, { ...entry(tenantId, data), target: null, requestId: null }),
    );
    expect(await checkAfter(tenantId, async () => {})).toMatchObject({ ok: true, entries: 1 });
  });

  it("of the platform belongs to no workspace", async () => {
    const append = () => db.appendAudit;
    await world.db.withSystem((tx) => append()(tx, entry(db.PLATFORM_TENANT)));
    expect(await world.db.withSystem((tx) => db.verifyAuditChain(tx, db.PLATFORM_TENANT))).toMatchObject({ ok: true });
    const foreign = world.db.withTenant(world.a.id, (tx) => append()(tx, entry(db.PLATFORM_TENANT)));
    await expect(foreign).rejects.toMatchObject({ code: "42501" });
  });
});

/** For each column, by its SQL type, values that differ from what stands there. */
const OTHERS: Record<string, string[]> = {
  text: ["'other'", "''"],
  jsonb: [`'{"n": 3.5}'`, "'{}'", "data || '{\"more\": 1}'"],
  bigint: ["1000", "-3"],
  "timestamp (3) with time zone": ["at + interval '1 millisecond'", "at - interval '1 year'"],
  uuid: [`'${newId()}'`],
};
const NULLABLE = ["actor_id", "target_kind", "target_id", "request_id"];

const EDITS = Object.values(getTableColumns(db.auditLog)).flatMap((column) => {
  const values = OTHERS[column.getSQLType()];
  if (!values) throw new Error(`say how to change a column of type ${column.getSQLType()}`);
  const own =
    column.name === "actor_kind" ? ["'admin'"] : column.name.endsWith("hash") ? [`'${"a".repeat(64)}'`] : values;
  return [...own, ...(NULLABLE.includes(column.name) ? ["null"] : [])].map((value) => ({ column: column.name, value }));
});

describe("a superuser who edits (promise 41)", () => {
  const where = (tenantId: TenantId, seq: number) => `where tenant_id = '${tenantId}' and seq = ${seq}`;

  it.each(EDITS)("sets $column to $value", async ({ column, value }) => {
    const { tenantId, end } = await chain(6);
    for (const seq of [1, 3, 6]) {
      const set = db.sql.raw(`update audit_log set ${column} = ${value} ${where(tenantId, seq)}`);
      const found = await checkAfter(tenantId, (tx) => tx.execute(set));
      expect(found, `entry ${seq}`).toMatchObject({ ok: false });
    }
    expect(await checkAfter(tenantId, async () => {}, end)).toMatchObject({ ok: true });
  });

  it("names the entry that was edited", async () => {
    const { tenantId } = await chain(6);
    const edit = db.sql.raw(`update audit_log set action = 'nothing' ${where(tenantId, 4)}`);
    expect(await checkAfter(tenantId, (tx) => tx.execute(edit))).toMatchObject({
      entries: 3,
      problem: { seq: 4, reason: "edited" },
    });
  });

  it.each([
    { gone: 1, problem: { seq: 1, reason: "gap" } },
    { gone: 3, problem: { seq: 3, reason: "gap" } },
    { gone: 6, problem: { seq: 6, reason: "truncated" } },
  ])("removes entry $gone of six", async ({ gone, problem }) => {
    const { tenantId } = await chain(6);
    const remove = db.sql.raw(`delete from audit_log ${where(tenantId, gone)}`);
    expect(await checkAfter(tenantId, (tx) => tx.execute(remove))).toMatchObject({ ok: false, problem });
  });

  it("removes all of it", async () => {
    const { tenantId, end } = await chain(3);
    const remove = async (tx: db.SystemTx, heads: boolean) => {
      await tx.delete(db.auditLog).where(db.eq(db.auditLog.tenantId, tenantId));
      if (heads) await tx.delete(db.auditHeads).where(db.eq(db.auditHeads.tenantId, tenantId));
    };
    const truncated = { ok: false, problem: { seq: 1, reason: "truncated" } };
    expect(await checkAfter(tenantId, (tx) => remove(tx, false))).toMatchObject(truncated);
    expect(await checkAfter(tenantId, (tx) => remove(tx, true), end)).toMatchObject(truncated);
  });

  it("removes the end and sets the head back: the anchor tells", async () => {
    const { tenantId, end } = await chain(6);
    const cut = async (tx: db.SystemTx) => {
      await tx.execute(db.sql.raw(`delete from audit_log where tenant_id = '${tenantId}' and seq > 4`));
      await tx.execute(
        db.sql.raw(
          `update audit_heads set seq = 4, hash = (select hash from audit_log ${where(tenantId, 4)}) where tenant_id = '${tenantId}'`,
        ),
      );
    };
    expect(await checkAfter(tenantId, cut)).toMatchObject({ ok: true, entries: 4 });
    expect(await checkAfter(tenantId, cut, end)).toMatchObject({ ok: false, problem: { seq: 5, reason: "truncated" } });
  });

  it("moves the head alone", async () => {
    const { tenantId } = await chain(4);
    const heads = (set: string) => db.sql.raw(`update audit_heads set ${set} where tenant_id = '${tenantId}'`);
    const back = heads(`seq = 3, hash = (select hash from audit_log ${where(tenantId, 3)})`);
    for (const deed of [
      back,
      heads("seq = 9"),
      heads(`hash = '${"b".repeat(64)}'`),
      heads(`tenant_id = '${newId()}'`),
    ]) {
      expect(await checkAfter(tenantId, (tx) => tx.execute(deed))).toMatchObject({ ok: false });
    }
  });

  it("writes the whole chain anew: the anchor tells, also when it was published before the end", async () => {
    const { tenantId, end } = await chain(6);
    const [early] = await world.db.withTenant(tenantId, (tx) =>
      tx.select({ seq: db.auditLog.seq, hash: db.auditLog.hash }).from(db.auditLog).where(db.eq(db.auditLog.seq, 4)),
    );
    if (!early) throw new Error("the chain has no fourth entry");
    const rewrite = async (tx: db.SystemTx) => {
      const mine = db.eq(db.auditLog.tenantId, tenantId);
      const rows = await tx.select().from(db.auditLog).where(mine).orderBy(db.asc(db.auditLog.seq));
      let last = "0".repeat(64);
      for (const row of rows) {
        const forged = { ...row, data: row.seq === 2 ? { n: 99 } : row.data };
        const hash = entryHash(last, forged);
        await tx
          .update(db.auditLog)
          .set({ data: forged.data, prevHash: last, hash })
          .where(db.and(mine, db.eq(db.auditLog.seq, row.seq)));
        last = hash;
      }
      await tx.update(db.auditHeads).set({ hash: last }).where(db.eq(db.auditHeads.tenantId, tenantId));
    };
    expect(await checkAfter(tenantId, rewrite), "a perfect forgery by itself").toMatchObject({ ok: true, entries: 6 });
    expect(await checkAfter(tenantId, rewrite, end)).toMatchObject({
      ok: false,
      problem: { seq: 6, reason: "rewritten" },
    });
    expect(await checkAfter(tenantId, rewrite, early)).toMatchObject({
      ok: false,
      problem: { seq: 4, reason: "rewritten" },
    });
  });
});
