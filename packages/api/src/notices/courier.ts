import { sql } from "@xvault/db";
import type { TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { claimDelivery, recordAnswer } from "./delivery.ts";
import { post, type PostOptions } from "./post.ts";
import { signatureOf } from "./sign.ts";

export interface CourierOptions extends PostOptions {
  /** Waits between the tries, in milliseconds; there is one try more than waits. Default: 10 s, then 60 s. */
  waitsMs?: readonly number[];
  /** How often it looks for what is due, in milliseconds. Default 1,000. */
  tickMs?: number;
}

/** Deliveries of one workspace that are under way at once: receivers that never answer hold up their own workspace alone. */
const PER_TENANT = 4;
/** And of all. */
const IN_ALL = 64;

/** Brings to webhooks what is to be told to them. Several hubs may do so at once: each takes what no other has. */
export interface Courier {
  /** Sends what is due, each once. Resolves when all that it took is over, with how many those were. */
  deliverDue(): Promise<number>;
  /** Tries one delivery, due or not. */
  deliver(tenantId: TenantId, id: string): Promise<void>;
  start(): void;
  /** Resolves when what was under way is over. */
  stop(): Promise<void>;
}

export function createCourier(
  deps: Pick<ServiceDeps, "db" | "vault" | "clock" | "log">,
  options: CourierOptions,
): Courier {
  const { db, clock, log } = deps;
  const waitsMs = options.waitsMs ?? [10_000, 60_000];
  const underWay = new Map<string, { tenantId: string; over: Promise<void> }>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<unknown> = Promise.resolve();

  async function tryOnce(tenantId: TenantId, id: string, mustBeDue: boolean): Promise<void> {
    const claim = await claimDelivery(deps, { tenantId, id, mustBeDue, tries: waitsMs.length + 1 });
    if (!claim) return;
    const seconds = Math.floor(clock.now().getTime() / 1000);
    const headers = {
      "user-agent": "xVault",
      "x-xvault-event": claim.event,
      "x-xvault-delivery": id,
      "x-xvault-timestamp": String(seconds),
      "x-xvault-signature": signatureOf(claim.secret, seconds, claim.body),
    };
    const answer = await post(claim.url, headers, claim.body, options);
    await recordAnswer(deps, { tenantId, id, claim, answer, waitMs: waitsMs[claim.attempt - 1] });
  }

  /** The oldest that are due, workspaces in turn. */
  async function due(): Promise<{ id: string; tenantId: TenantId }[]> {
    const rows = await db.withSystem((tx) =>
      tx.execute<{ id: string; tenant_id: string }>(sql`
        select id, tenant_id from (
          select id, tenant_id, next_attempt_at,
            row_number() over (partition by tenant_id order by next_attempt_at, id) as place
          from webhook_deliveries where state = 'pending' and next_attempt_at <= now()
        ) waiting where place <= ${PER_TENANT} order by place, next_attempt_at limit ${IN_ALL}`),
    );
    return rows.map((row) => ({ id: row.id, tenantId: row.tenant_id as TenantId }));
  }

  async function takeDue(): Promise<Promise<void>[]> {
    const taken: Promise<void>[] = [];
    for (const { id, tenantId } of await due()) {
      const mine = [...underWay.values()].filter((one) => one.tenantId === tenantId).length;
      if (underWay.has(id) || mine >= PER_TENANT || underWay.size >= IN_ALL) continue;
      const over = tryOnce(tenantId, id, true)
        .catch((error: unknown) => log.error({ err: error, deliveryId: id }, "a delivery could not be seen to"))
        .finally(() => underWay.delete(id));
      underWay.set(id, { tenantId, over });
      taken.push(over);
    }
    return taken;
  }

  return {
    async deliverDue() {
      const taken = await takeDue();
      await Promise.all(taken);
      return taken.length;
    },

    deliver: (tenantId, id) => tryOnce(tenantId, id, false),

    start() {
      timer = setInterval(() => {
        looking = looking
          .then(takeDue)
          .catch((error: unknown) => log.error({ err: error }, "the courier could not look for deliveries"));
      }, options.tickMs ?? 1000);
    },

    async stop() {
      clearInterval(timer);
      await looking;
      await Promise.all([...underWay.values()].map(({ over }) => over));
    },
  };
}
