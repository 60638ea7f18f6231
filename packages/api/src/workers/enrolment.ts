import type { workerProtocol, WorkerOutput } from "@xvault/contracts";
import { hashOpaqueToken, issueCertificate, verifyBytes } from "@xvault/crypto";
import {
  and,
  appendAudit,
  eq,
  isNull,
  PLATFORM_TENANT,
  type SystemTx,
  workerEnrollments,
  type WorkerRow,
  workers,
} from "@xvault/db";
import { newId, type WorkerId, XVaultError } from "@xvault/kernel";
import { timingSafeEqual } from "node:crypto";
import type { z } from "zod";
import type { ServiceDeps } from "../deps.ts";

type In<C extends "enrol" | "hello"> = z.output<(typeof workerProtocol)[C]["input"]>;
type Certificate = WorkerOutput<"enrol">["certificate"];

export interface EnrolmentOptions {
  /**
   * A token from the operator's own configuration that any number of workers may enrol with (a compose file cannot pass one-time tokens
   * around). Undefined: one-time tokens only.
   */
  presetToken?: string | undefined;
  /** Origins that browsers load the web UI from, for the data listener's CORS. */
  webOrigins: string[];
}

const DAY = 24 * 60 * 60_000;
/** How long a certificate is valid; it is renewed when less than half of that is left. */
const CERTIFICATE_TTL = 90 * DAY;

/** Registering workers, and hearing that they live. */
export function createEnrolment(deps: ServiceDeps, options: EnrolmentOptions) {
  const { db, clock, platformKeys } = deps;

  const certify = (workerId: string, publicKey: string): Certificate => {
    const now = clock.now().getTime();
    return issueCertificate(
      // An hour back: the clocks of hub and worker may differ a little.
      { workerId, publicKey, notBefore: new Date(now - DAY / 24), notAfter: new Date(now + CERTIFICATE_TTL) },
      platformKeys.root.privateKey,
    );
  };

  /** The invitation that a token belongs to; null for the preset one, which any number of workers use. @throws ENROLLMENT_INVALID */
  async function invitation(tx: SystemTx, token: string): Promise<string | null> {
    if (options.presetToken !== undefined && sameText(token, options.presetToken)) return null;
    const [found] = await tx
      .select({ id: workerEnrollments.id })
      .from(workerEnrollments)
      .where(eq(workerEnrollments.tokenHash, hashOpaqueToken(token)));
    if (!found) throw new XVaultError("ENROLLMENT_INVALID");
    return found.id;
  }

  async function spend(tx: SystemTx, invited: string | null, workerId: string): Promise<void> {
    if (invited === null) return;
    const [spent] = await tx
      .update(workerEnrollments)
      .set({ usedAt: clock.now(), workerId })
      .where(and(eq(workerEnrollments.id, invited), isNull(workerEnrollments.usedAt)))
      .returning();
    if (!spent || spent.expiresAt < clock.now()) throw new XVaultError("ENROLLMENT_USED");
  }

  return {
    enrol: (input: In<"enrol">): Promise<WorkerOutput<"enrol">> =>
      db.withSystem(async (tx) => {
        // Possession: whoever enrols a key holds its private half.
        if (!verifyBytes(Buffer.from(input.token), input.proof, input.public_key))
          throw new XVaultError("ENROLLMENT_INVALID");
        // Before the root key signs anything: a stranger must not make it work.
        const invited = await invitation(tx, input.token);
        const id = newId<WorkerId>();
        const certificate = certify(id, input.public_key);
        await tx.insert(workers).values({
          id,
          name: input.name,
          publicKey: input.public_key,
          certificate,
          state: "active",
          ...factsOf(input),
          enrolledAt: clock.now(),
          lastSeenAt: clock.now(),
        });
        await spend(tx, invited, id);
        await appendAudit(tx, {
          tenantId: PLATFORM_TENANT,
          actor: { kind: "worker", id, label: input.name },
          action: "worker.enrolled",
          target: { kind: "worker", id },
          data: { storage_base_path: input.storage_base_path },
          requestId: null,
        });
        return { worker_id: id, certificate, root_keys: platformKeys.rootPublicKeys };
      }),

    hello: (worker: WorkerRow, input: In<"hello">): Promise<WorkerOutput<"hello">> =>
      db.withSystem(async (tx) => {
        const current = worker.certificate;
        const now = clock.now().getTime();
        const left = Date.parse(current.not_after) - now;
        // One that a clock which was ahead has issued is not valid yet: whatever the worker signed would be refused.
        const isGood = Date.parse(current.not_before) <= now && left >= CERTIFICATE_TTL / 2 && left <= CERTIFICATE_TTL;
        const certificate = isGood ? current : certify(worker.id, worker.publicKey);
        await tx
          .update(workers)
          .set({ ...factsOf(input), certificate, lastSeenAt: clock.now() })
          .where(eq(workers.id, worker.id));
        return {
          certificate,
          root_keys: platformKeys.rootPublicKeys,
          ticket_keys: platformKeys.jwtPublicKeys,
          web_origins: options.webOrigins,
          draining: worker.state === "draining",
        };
      }),
  };
}

function factsOf(input: In<"hello">) {
  return {
    version: input.version,
    capabilities: input.capabilities,
    storageBasePath: input.storage_base_path,
    dataUrl: input.data_url,
    concurrency: input.concurrency,
    disk: { free_bytes: input.free_bytes },
  };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(hashOpaqueToken(a)), Buffer.from(hashOpaqueToken(b))];
  return timingSafeEqual(left, right);
}
