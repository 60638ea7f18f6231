import type { Subject } from "@xvault/contracts";
import { alerts, type AlertRow, and, eq, isNull, sql, type TenantTx } from "@xvault/db";
import { newId, type TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { emitEvent } from "./events.ts";

type Deps = Pick<ServiceDeps, "clock">;

export interface NewAlert {
  tenantId: TenantId;
  /** As 'source_overdue'. Whoever raises a kind resolves it too, when its cause is gone. */
  kind: string;
  severity: AlertRow["severity"];
  subject: Subject;
  /** Cause and fix, in a sentence each. */
  message: string;
  fix: string;
  data?: Record<string, unknown>;
}

/**
 * Opens an alert, or counts the open one of the same kind and subject up and gives it what is said now. Only one that is new is told to
 * webhooks.
 */
export async function raiseAlert(tx: TenantTx, deps: Deps, alert: NewAlert): Promise<AlertRow> {
  const now = deps.clock.now();
  const { severity, message, fix, data = {} } = alert;
  const [row] = await tx
    .insert(alerts)
    .values({
      id: newId(),
      tenantId: alert.tenantId,
      kind: alert.kind,
      subjectKind: alert.subject.kind,
      subjectId: alert.subject.id,
      severity,
      message,
      fix,
      data,
      openedAt: now,
      lastSeenAt: now,
    })
    .onConflictDoUpdate({
      target: [alerts.tenantId, alerts.kind, alerts.subjectId],
      targetWhere: isNull(alerts.resolvedAt),
      set: { severity, message, fix, data, lastSeenAt: now, seen: sql`${alerts.seen} + 1` },
    })
    .returning();
  if (!row) throw new Error("the database returned no row for an insert");
  if (row.seen === 1) await tell(tx, "alert.opened", row);
  return row;
}

/** Resolves what is open of a kind about a subject, where something is. `resolution` says why, in a sentence. */
export async function resolveAlert(
  tx: TenantTx,
  deps: Deps,
  about: { tenantId: TenantId; kind: string; subject: Subject },
  resolution: string,
): Promise<AlertRow | null> {
  const [row] = await tx
    .update(alerts)
    .set({ resolvedAt: deps.clock.now(), resolution })
    .where(
      and(
        eq(alerts.tenantId, about.tenantId),
        eq(alerts.kind, about.kind),
        eq(alerts.subjectId, about.subject.id),
        isNull(alerts.resolvedAt),
      ),
    )
    .returning();
  if (!row) return null;
  await tell(tx, "alert.resolved", row);
  return row;
}

/** Resolves all that is open about a subject that is no more. */
export async function resolveAlertsOf(
  tx: TenantTx,
  deps: Deps,
  about: { tenantId: TenantId; subject: Subject },
  resolution: string,
): Promise<void> {
  const rows = await tx
    .update(alerts)
    .set({ resolvedAt: deps.clock.now(), resolution })
    .where(and(eq(alerts.tenantId, about.tenantId), eq(alerts.subjectId, about.subject.id), isNull(alerts.resolvedAt)))
    .returning();
  for (const row of rows) await tell(tx, "alert.resolved", row);
}

/** Tells webhooks that an alert was opened or resolved. */
export function tell(tx: TenantTx, event: "alert.opened" | "alert.resolved", row: AlertRow): Promise<void> {
  return emitEvent(
    tx,
    row.tenantId as TenantId,
    event,
    { kind: "alert", id: row.id },
    {
      kind: row.kind,
      severity: row.severity,
      subject: { kind: row.subjectKind, id: row.subjectId },
      message: row.message,
      fix: row.fix,
      ...(row.resolution === null ? {} : { resolution: row.resolution }),
    },
  );
}
