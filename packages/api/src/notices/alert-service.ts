import {
  alerts,
  type AlertRow,
  and,
  count,
  desc,
  eq,
  inArray,
  isNull,
  lt,
  or,
  sources,
  type TenantTx,
  webhooks,
} from "@xvault/db";
import { XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { ServiceDeps } from "../deps.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { AlertService } from "../services.ts";
import { tell } from "./alerts.ts";
import { toAlert } from "./dto.ts";

/** What the subjects of these alerts are called, by id. */
async function namesOf(tx: TenantTx, rows: readonly AlertRow[]): Promise<Map<string, string>> {
  const [first] = rows;
  if (!first) return new Map();
  const ids = [...new Set(rows.map((row) => row.subjectId))];
  const named = [
    ...(await tx
      .select({ id: sources.id, name: sources.name })
      .from(sources)
      .where(and(eq(sources.tenantId, first.tenantId), inArray(sources.id, ids)))),
    ...(await tx
      .select({ id: webhooks.id, name: webhooks.name })
      .from(webhooks)
      .where(and(eq(webhooks.tenantId, first.tenantId), inArray(webhooks.id, ids)))),
  ];
  return new Map(named.map(({ id, name }) => [id, name]));
}

export function createAlertService(deps: Pick<ServiceDeps, "db" | "clock">): AlertService {
  const { db, clock } = deps;
  return {
    list: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const mine = eq(alerts.tenantId, caller.actor.workspace.id);
        const open = and(mine, isNull(alerts.resolvedAt));
        const filters = [input.state === "open" ? open : mine];
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          filters.push(or(lt(alerts.openedAt, at), and(eq(alerts.openedAt, at), lt(alerts.id, id))));
        }
        const rows = await tx
          .select()
          .from(alerts)
          .where(and(...filters))
          .orderBy(desc(alerts.openedAt), desc(alerts.id))
          .limit(input.limit + 1);
        const names = await namesOf(tx, rows);
        const [counted] = await tx.select({ n: count() }).from(alerts).where(open);
        const page = toPage(
          rows,
          input.limit,
          (row) => toAlert(row, names.get(row.subjectId) ?? null),
          (row) => ({ at: row.openedAt, id: row.id }),
        );
        return { ...page, open: counted?.n ?? 0 };
      }),

    resolve: (caller, { id, note }) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const mine = and(eq(alerts.tenantId, caller.actor.workspace.id), eq(alerts.id, id));
        const [found] = await tx.select().from(alerts).where(mine).for("update");
        if (!found) throw new XVaultError("NOT_FOUND", "There is no such alert.");
        if (found.resolvedAt !== null) throw new XVaultError("CONFLICT", "This alert was resolved already.");
        const [row] = await tx
          .update(alerts)
          .set({ resolvedAt: clock.now(), resolution: `${caller.actor.name}: ${note}` })
          .where(mine)
          .returning();
        if (!row) throw new XVaultError("NOT_FOUND");
        await auditCall(tx, caller, "alert.resolved", { kind: "alert", id }, { alert_kind: row.kind, note });
        await tell(tx, "alert.resolved", row);
        return toAlert(row, (await namesOf(tx, [row])).get(row.subjectId) ?? null);
      }),
  };
}
