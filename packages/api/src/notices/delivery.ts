import type { EventName } from "@xvault/contracts";
import { and, desc, eq, inArray, lte, ne, sql, type TenantTx, webhookDeliveries, webhooks } from "@xvault/db";
import { isXVaultError, type TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import type { SealedPlace } from "../accounts/tenant-vault.ts";
import { raiseAlert, resolveAlert } from "./alerts.ts";
import type { Answer } from "./post.ts";

/** Who has claimed a delivery sends it within this time, or another may. Seconds. */
const CLAIM_SECONDS = 60;
/** So many deliveries in a row that failed in every try open an alert. */
const FAILING_AFTER = 3;

/** One try that is to be made now. */
export interface Claim {
  webhookId: string;
  name: string;
  url: string;
  secret: string;
  event: EventName;
  body: string;
  /** Its number, from 1 on. */
  attempt: number;
}

/** Where a webhook's secret lies. */
export function secretPlace(webhookId: string): SealedPlace {
  return { table: "webhooks", row: webhookId, column: "sealed" };
}

/**
 * Takes a delivery for one try, which is counted before it is made: a hub that dies in it has spent it. Null where another has it, where it
 * is not due, or where it ends here because its webhook was switched off or its last try was spent.
 */
export async function claimDelivery(
  deps: Pick<ServiceDeps, "db" | "vault">,
  which: { tenantId: TenantId; id: string; mustBeDue: boolean; tries: number },
): Promise<Claim | null> {
  const { tenantId, id } = which;
  return deps.db.withTenant(tenantId, async (tx) => {
    const mine = and(eq(webhookDeliveries.tenantId, tenantId), eq(webhookDeliveries.id, id));
    const waiting = and(mine, eq(webhookDeliveries.state, "pending"));
    const [row] = await tx
      .select()
      .from(webhookDeliveries)
      .where(which.mustBeDue ? and(waiting, lte(webhookDeliveries.nextAttemptAt, sql`now()`)) : waiting)
      .for("update", { skipLocked: true });
    if (!row) return null;
    const [webhook] = await tx
      .select()
      .from(webhooks)
      .where(and(eq(webhooks.tenantId, tenantId), eq(webhooks.id, row.webhookId)));
    if (!webhook) return null;

    const end = async (error: string) => {
      await tx
        .update(webhookDeliveries)
        .set({ state: "failed", finishedAt: sql`now()`, error })
        .where(mine);
      return null;
    };
    const isTest = row.event === "test";
    if (!webhook.enabled && !isTest) return end("The webhook was switched off.");
    if (row.attempts >= (isTest ? 1 : which.tries)) return end(row.error ?? "The hub ended while it was sending this.");
    const opened = await deps.vault
      .open(tx, tenantId, secretPlace(webhook.id), webhook.sealed, webhook.keyVersion)
      .catch((error: unknown) => {
        if (isXVaultError(error) && !error.retry) return error;
        throw error;
      });
    if (isXVaultError(opened)) return end(opened.message);

    const attempt = row.attempts + 1;
    await tx
      .update(webhookDeliveries)
      .set({ attempts: attempt, nextAttemptAt: sql`now() + make_interval(secs => ${CLAIM_SECONDS})` })
      .where(mine);
    return {
      webhookId: webhook.id,
      name: webhook.name,
      url: webhook.url,
      secret: opened.toString("utf8"),
      event: row.event as EventName,
      body: JSON.stringify(row.payload),
      attempt,
    };
  });
}

/** Writes down what became of a try. `waitMs`: until the next one; undefined where this was the last. */
export async function recordAnswer(
  deps: Pick<ServiceDeps, "db" | "clock" | "log">,
  tried: { tenantId: TenantId; id: string; claim: Claim; answer: Answer; waitMs: number | undefined },
): Promise<void> {
  const { tenantId, id, claim, answer } = tried;
  const delivered = answer.status !== null && answer.status >= 200 && answer.status < 300;
  const waitMs = claim.event === "test" ? undefined : tried.waitMs;
  const again = !delivered && waitMs !== undefined;
  await deps.db.withTenant(tenantId, async (tx) => {
    const [row] = await tx
      .update(webhookDeliveries)
      .set({
        statusCode: answer.status,
        error: delivered ? null : (answer.error ?? `The receiver answered with status ${answer.status}.`),
        ...(again
          ? { nextAttemptAt: sql`now() + make_interval(secs => ${waitMs / 1000})` }
          : { state: delivered ? ("delivered" as const) : ("failed" as const), finishedAt: sql`now()` }),
      })
      .where(
        and(
          eq(webhookDeliveries.tenantId, tenantId),
          eq(webhookDeliveries.id, id),
          eq(webhookDeliveries.state, "pending"),
          eq(webhookDeliveries.attempts, claim.attempt),
        ),
      )
      .returning();
    // Removed meanwhile, or so slow that another took it.
    if (!row || row.state === "pending") return;
    await noteHealth(tx, deps, tenantId, claim, row.error);
  });
  if (delivered) return;
  // Neither address nor body: both are the customer's.
  const { webhookId, attempt } = claim;
  deps.log.info({ deliveryId: id, webhookId, attempt, status: answer.status, again }, "a webhook took no delivery");
}

/** Opens an alert when nothing reaches a webhook any more, and resolves it when something does. */
async function noteHealth(
  tx: TenantTx,
  deps: Pick<ServiceDeps, "clock">,
  tenantId: TenantId,
  { webhookId, name }: Claim,
  error: string | null,
): Promise<void> {
  const about = { tenantId, kind: "webhook_failing", subject: { kind: "webhook", id: webhookId } };
  if (error === null) {
    await resolveAlert(tx, deps, about, "A delivery reached the webhook.");
    return;
  }
  const last = await tx
    .select({ state: webhookDeliveries.state })
    .from(webhookDeliveries)
    .where(
      and(
        eq(webhookDeliveries.tenantId, tenantId),
        eq(webhookDeliveries.webhookId, webhookId),
        inArray(webhookDeliveries.state, ["delivered", "failed"]),
        ne(webhookDeliveries.event, "test"),
      ),
    )
    .orderBy(desc(webhookDeliveries.createdAt), desc(webhookDeliveries.id))
    .limit(FAILING_AFTER);
  if (last.length < FAILING_AFTER || last.some(({ state }) => state === "delivered")) return;
  await raiseAlert(tx, deps, {
    ...about,
    severity: "warning",
    message: `Nothing reaches the webhook ${name} any more. ${error}`,
    fix: "Check its address and that the receiver answers with a status from 200 to 299; then send a test.",
  });
}
