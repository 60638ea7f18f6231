import { newOpaqueToken } from "@xvault/crypto";
import {
  and,
  asc,
  desc,
  eq,
  lt,
  ne,
  or,
  sql,
  type TenantTx,
  webhookDeliveries,
  type WebhookDeliveryRow,
  type WebhookRow,
  webhooks,
} from "@xvault/db";
import { newId, type TenantId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { WebhookService } from "../services.ts";
import { resolveAlertsOf } from "./alerts.ts";
import type { Courier } from "./courier.ts";
import { secretPlace } from "./delivery.ts";
import { toDelivery, toWebhook } from "./dto.ts";
import { newPayload } from "./events.ts";
import { SECRET_PREFIX } from "./sign.ts";

/** Webhooks of one workspace. */
const MOST = 20;
/** How long a test is left to the call that asked for it, before the courier takes it for lost. Seconds. */
const TEST_SECONDS = 60;

export function createWebhookService(
  deps: Pick<ServiceDeps, "db" | "vault" | "clock">,
  courier: Pick<Courier, "deliver">,
): WebhookService {
  const { db, vault, clock } = deps;
  const mine = (caller: Caller, id: string) =>
    and(eq(webhooks.tenantId, caller.actor.workspace.id), eq(webhooks.id, id));
  const about = (id: string) => ({ kind: "webhook", id });

  async function find(tx: TenantTx, caller: Caller, id: string): Promise<WebhookRow> {
    const [row] = await tx.select().from(webhooks).where(mine(caller, id)).for("update");
    if (!row) throw new XVaultError("NOT_FOUND", "There is no such webhook.");
    return row;
  }

  /** Webhooks with the newest of the deliveries that are over, of each. */
  async function show(tx: TenantTx, tenantId: TenantId, rows: WebhookRow[]) {
    const last = await tx
      .selectDistinctOn([webhookDeliveries.webhookId])
      .from(webhookDeliveries)
      .where(and(eq(webhookDeliveries.tenantId, tenantId), ne(webhookDeliveries.state, "pending")))
      .orderBy(webhookDeliveries.webhookId, desc(webhookDeliveries.createdAt), desc(webhookDeliveries.id));
    return rows.map((row) =>
      toWebhook(
        row,
        last.find((one) => one.webhookId === row.id),
      ),
    );
  }

  async function showOne(tx: TenantTx, row: WebhookRow | undefined) {
    const [shown] = row ? await show(tx, row.tenantId as TenantId, [row]) : [];
    if (!shown) throw new XVaultError("NOT_FOUND", "There is no such webhook.");
    return shown;
  }

  async function newSecret(tx: TenantTx, tenantId: TenantId, id: string) {
    const { token: secret } = newOpaqueToken(SECRET_PREFIX);
    return { secret, ...(await vault.seal(tx, tenantId, secretPlace(id), Buffer.from(secret))) };
  }

  return {
    list: (caller) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const rows = await tx
          .select()
          .from(webhooks)
          .where(eq(webhooks.tenantId, tenantId))
          .orderBy(asc(webhooks.name));
        const whole = mayChange(caller);
        return show(tx, tenantId, whole ? rows : rows.map((row) => ({ ...row, url: originOf(row.url) })));
      }),

    create: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const present = await tx.select({ id: webhooks.id }).from(webhooks).where(eq(webhooks.tenantId, tenantId));
        if (present.length >= MOST) {
          throw new XVaultError("CONFLICT", `A workspace has at most ${MOST} webhooks.`, { fix: "Remove one first." });
        }
        const id = newId();
        const { secret, sealed, keyVersion } = await newSecret(tx, tenantId, id);
        const now = clock.now();
        const events = [...new Set(input.events)];
        const [row] = await tx
          .insert(webhooks)
          .values({
            id,
            tenantId,
            name: input.name,
            url: input.url,
            events,
            sealed,
            keyVersion,
            createdAt: now,
            updatedAt: now,
          })
          .returning();
        await auditCall(tx, caller, "webhook.created", about(id), {
          name: input.name,
          origin: originOf(input.url),
          events,
        });
        return { secret, webhook: await showOne(tx, row) };
      }),

    update: (caller, { id, ...change }) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const before = await find(tx, caller, id);
        const [row] = await tx
          .update(webhooks)
          .set({
            name: change.name ?? before.name,
            url: change.url ?? before.url,
            events: change.events ? [...new Set(change.events)] : before.events,
            enabled: change.enabled ?? before.enabled,
            updatedAt: clock.now(),
          })
          .where(mine(caller, id))
          .returning();
        await auditCall(tx, caller, "webhook.updated", about(id), {
          ...(change.name === undefined ? {} : { name: change.name }),
          ...(change.url === undefined ? {} : { origin: originOf(change.url) }),
          ...(change.events === undefined ? {} : { events: change.events }),
          ...(change.enabled === undefined ? {} : { enabled: change.enabled }),
        });
        if (change.enabled === false) await settle(tx, caller, id, "The webhook was switched off.");
        return showOne(tx, row);
      }),

    remove: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { name } = await find(tx, caller, id);
        await tx.delete(webhooks).where(mine(caller, id));
        await auditCall(tx, caller, "webhook.removed", about(id), { name });
        await settle(tx, caller, id, "The webhook was removed.");
      }),

    rotateSecret: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        await find(tx, caller, id);
        const { secret, sealed, keyVersion } = await newSecret(tx, caller.actor.workspace.id, id);
        const [row] = await tx
          .update(webhooks)
          .set({ sealed, keyVersion, updatedAt: clock.now() })
          .where(mine(caller, id))
          .returning();
        await auditCall(tx, caller, "webhook.secret_rotated", about(id));
        return { secret, webhook: await showOne(tx, row) };
      }),

    async test(caller, id) {
      const tenantId = caller.actor.workspace.id;
      const made = await db.withTenant(tenantId, async (tx) => {
        await find(tx, caller, id);
        const now = clock.now();
        const data = { message: "A test, as somebody asked for it in xVault." };
        const payload = newPayload(tenantId, { event: "test", subject: about(id), data, at: now });
        const nextAttemptAt = sql`now() + make_interval(secs => ${TEST_SECONDS})`;
        const row = {
          id: newId(),
          tenantId,
          webhookId: id,
          event: payload.event,
          payload: { ...payload },
          createdAt: now,
        };
        await tx.insert(webhookDeliveries).values({ ...row, nextAttemptAt });
        await auditCall(tx, caller, "webhook.tested", about(id), { delivery_id: row.id });
        return row.id;
      });
      await courier.deliver(tenantId, made);
      return db.withTenant(tenantId, async (tx) => toDelivery(await findDelivery(tx, caller, made)));
    },

    deliveries: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const [webhook] = await tx.select({ id: webhooks.id }).from(webhooks).where(mine(caller, input.id));
        if (!webhook) throw new XVaultError("NOT_FOUND", "There is no such webhook.");
        const filters = [eq(webhookDeliveries.tenantId, tenantId), eq(webhookDeliveries.webhookId, input.id)];
        if (input.state) filters.push(eq(webhookDeliveries.state, input.state));
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const { createdAt } = webhookDeliveries;
          const older = or(lt(createdAt, at), and(eq(createdAt, at), lt(webhookDeliveries.id, id)));
          if (older) filters.push(older);
        }
        const rows = await tx
          .select()
          .from(webhookDeliveries)
          .where(and(...filters))
          .orderBy(desc(webhookDeliveries.createdAt), desc(webhookDeliveries.id))
          .limit(input.limit + 1);
        return toPage(rows, input.limit, toDelivery, (row) => ({ at: row.createdAt, id: row.id }));
      }),

    redeliver: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const { tenantId, webhookId, event, payload } = await findDelivery(tx, caller, id);
        const [row] = await tx
          .insert(webhookDeliveries)
          .values({ id: newId(), tenantId, webhookId, event, payload, createdAt: clock.now() })
          .returning();
        if (!row) throw new Error("the database returned no row for an insert");
        await auditCall(tx, caller, "webhook.redelivered", about(webhookId), { delivery_id: row.id, of: id });
        return toDelivery(row);
      }),
  };

  async function settle(tx: TenantTx, caller: Caller, id: string, resolution: string): Promise<void> {
    await resolveAlertsOf(tx, deps, { tenantId: caller.actor.workspace.id, subject: about(id) }, resolution);
  }
}

async function findDelivery(tx: TenantTx, caller: Caller, id: string): Promise<WebhookDeliveryRow> {
  const [row] = await tx
    .select()
    .from(webhookDeliveries)
    .where(and(eq(webhookDeliveries.tenantId, caller.actor.workspace.id), eq(webhookDeliveries.id, id)));
  if (!row) throw new XVaultError("NOT_FOUND", "There is no such delivery.");
  return row;
}

/** Who may change webhooks sees their addresses whole; whoever has one can write to what is behind it. */
function mayChange({ actor: { workspace, scopes } }: Caller): boolean {
  if (workspace.role !== "admin" && workspace.role !== "owner") return false;
  return !scopes || scopes.includes("notices:write");
}

/** An address without path and query, where receivers have their keys. */
function originOf(url: string): string {
  return new URL(url).origin;
}
