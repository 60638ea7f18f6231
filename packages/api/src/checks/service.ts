import { type ProofSummary, restoreProofSchema } from "@xvault/contracts";
import {
  and,
  desc,
  eq,
  lt,
  or,
  type ProofRow,
  proofs,
  snapshots,
  type SnapshotRow,
  sources,
  type TenantTx,
} from "@xvault/db";
import { type TenantId, XVaultError } from "@xvault/kernel";
import { auditCall } from "../audit.ts";
import type { Caller } from "../context.ts";
import type { ServiceDeps } from "../deps.ts";
import { announceJob } from "../jobs/announce.ts";
import { jobParams } from "../jobs/params.ts";
import { decodeCursor, toPage } from "../pages.ts";
import type { CheckService, JobService } from "../services.ts";
import { keyHolder } from "../snapshots/dto.ts";
import { copiesOf, readableCopy } from "../storages/copies.ts";
import { snapshotById } from "../storages/queue.ts";
import { covers } from "./due.ts";
import { listChecked } from "./list.ts";
import { changedPolicy, savePolicy, verificationPolicy } from "./policy.ts";
import { activeChecks, ownShare, queueCheck, queueDrill } from "./queue.ts";
import { verificationStatus } from "./status.ts";

/** Checks of stored copies, restore drills and the statements that these leave. */
export function createCheckService(deps: ServiceDeps, jobs: Pick<JobService, "get">): CheckService {
  const { db, clock } = deps;

  async function completeSnapshot(tx: TenantTx, tenantId: TenantId, id: string): Promise<SnapshotRow> {
    const [row] = await tx
      .select()
      .from(snapshots)
      .where(and(eq(snapshots.tenantId, tenantId), eq(snapshots.id, id), eq(snapshots.state, "complete")));
    if (!row) throw new XVaultError("NOT_FOUND");
    return row;
  }

  const by = (caller: Caller) => ({
    trigger: caller.actor.kind === "token" ? ("api" as const) : ("manual" as const),
    requestedBy: caller.actor.userId,
    now: clock.now(),
  });

  return {
    policy: (caller) =>
      db.withTenant(caller.actor.workspace.id, (tx) => verificationPolicy(tx, caller.actor.workspace.id)),

    setPolicy: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const tenantId = caller.actor.workspace.id;
        const policy = changedPolicy(await verificationPolicy(tx, tenantId), input);
        await savePolicy(tx, tenantId, policy, clock.now());
        await auditCall(tx, caller, "verification.changed", { kind: "workspace", id: tenantId }, policy);
        return policy;
      }),

    status: (caller) =>
      db.withTenant(caller.actor.workspace.id, (tx) => verificationStatus(tx, caller.actor.workspace.id, clock.now())),

    copies: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, (tx) => listChecked(tx, caller.actor.workspace.id, input, clock.now())),

    async check(caller, { id, depth: wanted, copy_id }) {
      const tenantId = caller.actor.workspace.id;
      const row = await db.withTenant(tenantId, async (tx) => {
        const snapshot = await completeSnapshot(tx, tenantId, id);
        const placed = copy_id
          ? (await copiesOf(tx, tenantId, [id])).find(({ copy }) => copy.id === copy_id)
          : await readableCopy(tx, tenantId, id);
        if (!placed || placed.copy.state === "removing") throw new XVaultError("NOT_FOUND", "There is no such copy.");
        const { copy } = placed;
        const isOurs = (await keyHolder(tx, tenantId, snapshot.keyFingerprints)) === "platform";
        const depth = wanted ?? (isOurs ? "content" : "whole");
        if (depth === "content" && !isOurs) {
          throw new XVaultError("KEY_CUSTOMER_HELD", undefined, {
            fix: "Choose a check that needs no key, or run 'xvault verify --identity FILE' where the identity is.",
          });
        }
        // One that is at it already, and looks at all that is asked for, is as good as a second one.
        const active = (await activeChecks(tx, copy)).filter(({ type }) => type === "verify");
        const same = active.find((job) => covers(jobParams.verify.parse(job.params).depth ?? "whole", depth));
        if (same) return same;
        const policy = await verificationPolicy(tx, tenantId);
        const share = depth === "sample" ? ownShare(copy, policy) : 1;
        const what = { depth, share, lostBelow: policy.lost_below, earlier: true };
        const job = await queueCheck(tx, { snapshot, copy }, what, by(caller));
        const about = { job_id: job.id, copy_id: copy.id, depth };
        await auditCall(tx, caller, "verify.requested", { kind: "snapshot", id }, about);
        return job;
      });
      await announceJob(deps, row);
      return jobs.get(caller, row.id);
    },

    async drill(caller, { id, mode, files }) {
      const tenantId = caller.actor.workspace.id;
      const row = await db.withTenant(tenantId, async (tx) => {
        const snapshot = await completeSnapshot(tx, tenantId, id);
        if ((await keyHolder(tx, tenantId, snapshot.keyFingerprints)) === "customer") {
          throw new XVaultError("KEY_CUSTOMER_HELD", undefined, {
            fix: "Run 'xvault drill SNAPSHOT --identity FILE' where the identity is.",
          });
        }
        const { copy } = await readableCopy(tx, tenantId, id);
        const active = (await activeChecks(tx, copy)).filter(({ type }) => type === "drill");
        const same = active.find((job) => jobParams.drill.parse(job.params).mode === mode);
        if (same) return same;
        const job = await queueDrill(tx, { snapshot, copy }, { mode, files }, by(caller));
        await auditCall(tx, caller, "drill.requested", { kind: "snapshot", id }, { job_id: job.id, mode });
        return job;
      });
      await announceJob(deps, row);
      return jobs.get(caller, row.id);
    },

    proofs: (caller, input) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const filters = [eq(proofs.tenantId, caller.actor.workspace.id)];
        // Of a snapshot that is removed too: its proofs outlive it. Of none that is there, none are.
        if (input.snapshot_id) {
          await snapshotById(tx, caller.actor.workspace.id, input.snapshot_id);
          filters.push(eq(proofs.snapshotId, input.snapshot_id));
        }
        if (input.cursor) {
          const { at, id } = decodeCursor(input.cursor);
          const older = or(lt(proofs.createdAt, at), and(eq(proofs.createdAt, at), lt(proofs.id, id)));
          if (older) filters.push(older);
        }
        const rows = await withNames(tx)
          .where(and(...filters))
          .orderBy(desc(proofs.createdAt), desc(proofs.id))
          .limit(input.limit + 1);
        return toPage(rows, input.limit, toProof, ({ row }) => ({ at: row.createdAt, id: row.id }));
      }),

    proof: (caller, id) =>
      db.withTenant(caller.actor.workspace.id, async (tx) => {
        const [found] = await withNames(tx).where(
          and(eq(proofs.tenantId, caller.actor.workspace.id), eq(proofs.id, id)),
        );
        if (!found) throw new XVaultError("NOT_FOUND");
        return toProof(found);
      }),
  };
}

function withNames(tx: TenantTx) {
  return tx
    .select({ row: proofs, source: sources.name })
    .from(proofs)
    .leftJoin(sources, and(eq(sources.tenantId, proofs.tenantId), eq(sources.id, proofs.sourceId)));
}

function toProof({ row, source }: { row: ProofRow; source: string | null }): ProofSummary {
  return {
    id: row.id,
    source_id: row.sourceId,
    source_name: source ?? "removed source",
    snapshot_id: row.snapshotId,
    job_id: row.jobId,
    passed: row.passed,
    statement: restoreProofSchema.parse(row.statement),
    created_at: row.createdAt.toISOString(),
  };
}
