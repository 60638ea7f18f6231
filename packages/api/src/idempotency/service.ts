import { and, eq, type IdempotencyKeyRow, idempotencyKeys, lt, type TenantTx } from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import type { ServiceDeps } from "../deps.ts";

/** How long an answer is kept. Milliseconds. */
const KEPT = 24 * 60 * 60_000;
/** Longer than any call works. A call whose hub died in it keeps its key for so long; then it may be sent again. Milliseconds. */
const AT_WORK = 5 * 60_000;

/** A call that carries a key: who makes it, and a text that is the same for the same request. */
export interface KeyedCall {
  tenantId: TenantId;
  /** The session or token. */
  callerId: string;
  key: string;
  request: string;
}

export interface StoredAnswer {
  status: number;
  body: unknown;
}

/** A key that is held by a call which is to be carried out now. */
export interface HeldKey {
  /** The call was answered: the same one again gets this. Never throws; what cannot be stored is logged, and the key stays held. */
  keep(answer: StoredAnswer): Promise<void>;
  /** The call came to nothing and may be sent again. Never throws. */
  release(): Promise<void>;
}

export interface IdempotencyKeys {
  /**
   * Takes a call's key, or gives the answer that the same call got before.
   * @throws IDEMPOTENCY_KEY_REUSED for another request under this key, CONFLICT while the first is at work
   */
  take(call: KeyedCall): Promise<HeldKey | StoredAnswer>;
}

/**
 * Idempotency keys in the database, so that every hub knows them. Requests and answers can hold secrets (passwords, tokens, recovery kits):
 * what lies there is sealed with the tenant's data key, the hash of the request too, since a password could be guessed by it.
 */
export function createIdempotencyKeys(deps: Pick<ServiceDeps, "db" | "vault" | "clock" | "log">): IdempotencyKeys {
  const { db, vault, clock, log } = deps;

  async function seal(tx: TenantTx, call: KeyedCall, column: string, text: string): Promise<string> {
    const { sealed, keyVersion } = await vault.seal(tx, call.tenantId, placeOf(call, column), Buffer.from(text));
    return `${keyVersion} ${sealed}`;
  }

  async function open(tx: TenantTx, call: KeyedCall, column: string, stored: string): Promise<string> {
    const space = stored.indexOf(" ");
    const version = Number(stored.slice(0, space));
    return (await vault.open(tx, call.tenantId, placeOf(call, column), stored.slice(space + 1), version)).toString();
  }

  function held(call: KeyedCall, since: Date): HeldKey {
    // Whoever took the key over since then has another time.
    const mine = and(rowOf(call), eq(idempotencyKeys.createdAt, since));
    const settle = async (what: string, work: (tx: TenantTx) => Promise<unknown>) => {
      try {
        await db.withTenant(call.tenantId, work);
      } catch (error) {
        log.error({ err: error }, `the answer to a call with an idempotency key could not be ${what}`);
      }
    };
    return {
      keep: (answer) =>
        settle("stored", async (tx) => {
          const body = await seal(tx, call, "body", JSON.stringify(answer.body));
          await tx.update(idempotencyKeys).set({ status: answer.status, body }).where(mine);
        }),
      // As if it had been taken long ago: the next call may have it, and the sweep takes it away.
      release: () =>
        settle("forgotten", (tx) =>
          tx
            .update(idempotencyKeys)
            .set({ createdAt: new Date(0) })
            .where(mine),
        ),
    };
  }

  async function answerOf(tx: TenantTx, call: KeyedCall, row: IdempotencyKeyRow): Promise<StoredAnswer> {
    if ((await open(tx, call, "request_hash", row.requestHash)) !== hashOf(call)) {
      throw new XVaultError("IDEMPOTENCY_KEY_REUSED");
    }
    if (row.status === null) {
      throw new XVaultError("CONFLICT", "The first call with this idempotency key is still at work.", {
        fix: "Wait a moment and send it again.",
        retry: true,
      });
    }
    return { status: row.status, body: JSON.parse(await open(tx, call, "body", String(row.body))) as unknown };
  }

  return {
    take: (call) =>
      db.withTenant(call.tenantId, async (tx) => {
        const now = clock.now();
        const fresh = {
          requestHash: await seal(tx, call, "request_hash", hashOf(call)),
          status: null,
          body: null,
          createdAt: now,
        };
        const { tenantId, callerId, key } = call;
        const [made] = await tx
          .insert(idempotencyKeys)
          .values({ tenantId, callerId, key, ...fresh })
          .onConflictDoNothing()
          .returning({ key: idempotencyKeys.key });
        if (made) return held(call, now);
        const [row] = await tx.select().from(idempotencyKeys).where(rowOf(call)).for("update");
        // Swept between the two.
        if (!row) throw new XVaultError("CONFLICT", undefined, { retry: true });
        const age = now.getTime() - row.createdAt.getTime();
        if (age < (row.status === null ? AT_WORK : KEPT)) return answerOf(tx, call, row);
        await tx.update(idempotencyKeys).set(fresh).where(rowOf(call));
        return held(call, now);
      }),
  };
}

/** Forgets keys that are older than they are good for. A step of the scheduler. */
export async function sweepIdempotencyKeys({ db, clock }: Pick<ServiceDeps, "db" | "clock">): Promise<void> {
  const before = new Date(clock.now().getTime() - KEPT);
  await db.withSystem((tx) => tx.delete(idempotencyKeys).where(lt(idempotencyKeys.createdAt, before)));
}

function rowOf({ tenantId, callerId, key }: KeyedCall) {
  return and(
    eq(idempotencyKeys.tenantId, tenantId),
    eq(idempotencyKeys.callerId, callerId),
    eq(idempotencyKeys.key, key),
  );
}

function placeOf({ callerId, key }: KeyedCall, column: string) {
  return { table: "idempotency_keys", row: `${callerId} ${key}`, column };
}

function hashOf({ request }: KeyedCall): string {
  return createHash("sha256").update(request).digest("hex");
}
