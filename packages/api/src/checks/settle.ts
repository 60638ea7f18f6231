import { type CheckDepth, type CheckResult, DAMAGE_CODES, type JobResult } from "@xvault/contracts";
import { and, copies, type CopyRow, eq, inArray, isNull, jobs, type JobRow, sources, type TenantTx } from "@xvault/db";
import { type ErrorReport, shortId, type TenantId } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";
import { jobParams } from "../jobs/params.ts";
import { raiseAlert, resolveAlert } from "../notices/alerts.ts";
import { copiesOf, isReadable, type PlacedCopy } from "../storages/copies.ts";
import { queueTransfer, snapshotById } from "../storages/queue.ts";
import { copiesToRead, copyReadBy } from "../workers/copy-payloads.ts";
import { clearingDepth, covers, lastResult } from "./due.ts";

type Deps = Pick<ServiceDeps, "clock">;
type Damage = Pick<ErrorReport, "code" | "message" | "fix" | "data">;

/** A check that came by itself and found nothing: there are thousands, and the copy's row says what the last one saw. */
export function isRoutine(job: Pick<JobRow, "type" | "trigger" | "state">): boolean {
  return job.type === "verify" && job.trigger === "schedule" && job.state === "success";
}

/**
 * What the end of a check, a drill or an attempt at a restore says about copies: the row of each says what was found, and somebody is told. To
 * be called in the transaction that ends the job, with the row as it is then.
 */
export async function settleChecks(tx: TenantTx, deps: Deps, job: JobRow): Promise<void> {
  if (job.type === "verify") await settleVerify(tx, deps, job);
  if (job.type === "drill") await settleDrill(tx, deps, job);
  if (job.type === "restore" || job.type === "quote") await settleRead(tx, deps, job);
  if (job.type === "transfer" && job.state === "success") await settleTransfer(tx, deps, job);
}

async function settleVerify(tx: TenantTx, deps: Deps, job: JobRow): Promise<void> {
  const { copy_id } = jobParams.verify.parse(job.params);
  const placed = await copyOf(tx, job, copy_id ?? copyReadBy(job));
  if (!placed) return;
  const found = job.result as Extract<JobResult, { type: "verify" }> | null;
  if (job.state === "success" && found) await foundGood(tx, deps, job, placed, found);
  const damage = damageOf(job);
  if (damage) await foundDamaged(tx, deps, job, placed, damage);
}

async function settleDrill(tx: TenantTx, deps: Deps, job: JobRow): Promise<void> {
  if (job.sourceId === null || job.state === "queued" || job.state === "cancelled") return;
  const about = {
    tenantId: job.tenantId as TenantId,
    kind: "drill_failed",
    subject: { kind: "source", id: job.sourceId },
  };
  if (job.state === "success") {
    await resolveAlert(tx, deps, about, "A restore drill of the source passed.");
    return;
  }
  const placed = await copyOf(tx, job, jobParams.drill.parse(job.params).copy_id);
  const damage = damageOf(job);
  if (placed && damage) await foundDamaged(tx, deps, job, placed, damage);
  const error = job.error as Partial<ErrorReport> | null;
  const [source] = await tx
    .select({ name: sources.name })
    .from(sources)
    .where(and(eq(sources.tenantId, job.tenantId), eq(sources.id, job.sourceId)));
  await raiseAlert(tx, deps, {
    ...about,
    severity: "critical",
    message: `The restore drill of ${source?.name ?? "a source"} failed: ${error?.message ?? "nobody knows why."}`,
    fix: error?.fix ?? "See the job's log, and start the drill again.",
    data: { job_id: job.id, snapshot_id: job.snapshotId, ...(error?.code ? { code: error.code } : {}) },
  });
}

/** Damage that a restore, or the quote of one, meets is as good a finding as a check's: without it the next one would read the same copy again. */
async function settleRead(tx: TenantTx, deps: Deps, job: JobRow): Promise<void> {
  const damage = damageIn(job.error);
  const placed = damage && (await copyOf(tx, job, copyReadBy(job)));
  // Of one that is being removed it is no wonder that something was not there any more.
  if (!placed || placed.copy.state === "removing") return;
  const others = (await copiesToRead(tx, job.tenantId, placed.copy.snapshotId)).filter(isReadable);
  const isLast = !others.some(({ copy }) => copy.id !== placed.copy.id);
  // One that counts as missing is not read any more, though what this restore did not find may be a part of it. The last one stays open to others.
  if (isLast && damage.code === "ARTIFACT_MISSING") await tell(tx, deps, job, placed, damage);
  else await foundDamaged(tx, deps, job, placed, damage);
}

/** Whether a restore that met damage can be tried with another copy, which is whole as far as is known. */
export async function canReadAnother(tx: TenantTx, job: JobRow, error: JobRow["error"]): Promise<boolean> {
  if (job.type !== "restore" || !damageIn(error)) return false;
  const others = (await copiesToRead(tx, job.tenantId, job.snapshotId ?? "")).filter(isReadable);
  return others.some(({ copy }) => copy.id !== copyReadBy(job));
}

/** A copy that was made anew is whole: it was read back. */
async function settleTransfer(tx: TenantTx, deps: Deps, job: JobRow): Promise<void> {
  const { storage_id } = jobParams.transfer.parse(job.params);
  const there = await copiesOf(tx, job.tenantId, [job.snapshotId ?? ""], ["complete"]);
  for (const { copy } of there.filter(({ storage }) => storage.id === storage_id)) {
    await resolveBoth(tx, deps, copy, "The copy was made anew.");
  }
}

/** What a failed job found wrong with stored bytes; null where it failed for another reason. */
function damageOf(job: JobRow): Damage | null {
  return job.state === "failed" ? damageIn(job.error) : null;
}

function damageIn(reported: JobRow["error"]): Damage | null {
  const error = reported as Partial<ErrorReport> | null;
  const code = DAMAGE_CODES.find((one) => one === error?.code);
  return code ? { code, message: error?.message ?? "", fix: error?.fix ?? "", data: error?.data } : null;
}

async function copyOf(tx: TenantTx, job: JobRow, copyId: string | undefined): Promise<PlacedCopy | null> {
  const all = await copiesOf(tx, job.tenantId, [job.snapshotId ?? ""]);
  return all.find(({ copy }) => copy.id === copyId) ?? null;
}

async function foundGood(
  tx: TenantTx,
  deps: Deps,
  job: JobRow,
  placed: PlacedCopy,
  found: Extract<JobResult, { type: "verify" }>,
): Promise<void> {
  const { copy } = placed;
  const now = deps.clock.now();
  const { depth, bytes, confidence, lost_below } = found;
  const before = lastResult(copy);
  const passed = { ...before?.passed, [depth]: now.toISOString() };
  const isDamaged = copy.state === "corrupt" || copy.state === "missing";
  // What a shallower look than that which found the damage does not see is not gone.
  if (isDamaged && !covers(depth, clearingDepth(copy))) return;
  const needed = isDamaged ? before?.in_snapshot_id : undefined;
  if (needed !== undefined && (await neighbour(tx, placed, needed))?.copy.state !== "complete") return;
  const claim = confidence === undefined ? {} : { confidence, lost_below: lost_below ?? 0 };
  const check: CheckResult = { outcome: "ok", at: now.toISOString(), depth, job_id: job.id, bytes, ...claim, passed };
  await tx
    .update(copies)
    .set({ checkedAt: now, checkedDepth: depth, check, ...(isDamaged ? { state: "complete" as const } : {}) })
    .where(mine(copy));
  await resolveBoth(tx, deps, copy, "A later check found the copy whole.");
}

async function resolveBoth(tx: TenantTx, deps: Deps, copy: CopyRow, resolution: string): Promise<void> {
  for (const kind of ["copy_corrupt", "copy_missing"]) {
    const about = { tenantId: copy.tenantId as TenantId, kind, subject: { kind: "copy", id: copy.id } };
    await resolveAlert(tx, deps, about, resolution);
  }
}

async function foundDamaged(tx: TenantTx, deps: Deps, job: JobRow, placed: PlacedCopy, damage: Damage): Promise<void> {
  const depth = job.type === "verify" ? (depthOf(job) ?? "whole") : "content";
  const inSnapshot = damage.data?.["snapshot_id"];
  const root = typeof inSnapshot === "string" ? await neighbour(tx, placed, inSnapshot) : null;
  await mark(tx, deps, job, placed, { depth, damage, inSnapshot: root?.copy.snapshotId ?? null });
  if (root) await mark(tx, deps, job, root, { depth, damage, inSnapshot: null });
  for (const each of root ? [placed, root] : [placed]) await leadRestores(tx, each.copy);
  await tell(tx, deps, job, root ?? placed, damage);
}

/** Restores that wait to read a copy which turned out to be damaged are led to the worker that has a whole one. */
async function leadRestores(tx: TenantTx, copy: CopyRow): Promise<void> {
  const whole = (await copiesOf(tx, copy.tenantId, [copy.snapshotId], ["complete"])).find(isReadable);
  if (!whole) return;
  const { workerId } = copy;
  await tx
    .update(jobs)
    .set({ targetWorkerId: whole.copy.workerId })
    .where(
      and(
        eq(jobs.tenantId, copy.tenantId),
        eq(jobs.snapshotId, copy.snapshotId),
        eq(jobs.type, "restore"),
        eq(jobs.state, "queued"),
        workerId === null ? isNull(jobs.targetWorkerId) : eq(jobs.targetWorkerId, workerId),
      ),
    );
}

function depthOf(job: JobRow): CheckDepth | null {
  return jobParams.verify.parse(job.params).depth;
}

/** The copy of another snapshot that lies beside a copy. */
async function neighbour(tx: TenantTx, beside: PlacedCopy, snapshotId: string): Promise<PlacedCopy | null> {
  const all = await copiesOf(tx, beside.copy.tenantId, [snapshotId]);
  return all.find(({ copy }) => copy.storageId === beside.copy.storageId) ?? null;
}

async function mark(
  tx: TenantTx,
  deps: Deps,
  job: JobRow,
  { copy }: PlacedCopy,
  found: { depth: CheckDepth; damage: Damage; inSnapshot: string | null },
): Promise<void> {
  const now = deps.clock.now();
  const { depth, damage, inSnapshot } = found;
  const outcome = damage.code === "ARTIFACT_MISSING" ? "missing" : "corrupt";
  const passed = lastResult(copy)?.passed;
  const check: CheckResult = {
    outcome,
    at: now.toISOString(),
    depth,
    job_id: job.id,
    code: damage.code,
    message: damage.message,
    fix: damage.fix,
    ...(inSnapshot === null ? {} : { in_snapshot_id: inSnapshot }),
    ...(passed ? { passed } : {}),
  };
  // One that is on its way out stays so.
  const state = copy.state === "removing" ? copy.state : outcome;
  await tx.update(copies).set({ state, checkedAt: now, checkedDepth: depth, check }).where(mine(copy));
}

async function tell(tx: TenantTx, deps: Deps, job: JobRow, placed: PlacedCopy, damage: Damage): Promise<void> {
  const { copy, storage } = placed;
  const isGone = damage.code === "ARTIFACT_MISSING";
  const others = await copiesOf(tx, copy.tenantId, [copy.snapshotId], ["complete"]);
  const whole = others.find((other) => other.copy.id !== copy.id);
  const isRepaired = !isGone && whole !== undefined && (await repair(tx, deps, placed));
  const what = `the copy of snapshot ${shortId(copy.snapshotId)} on ${storage.name}`;
  await raiseAlert(tx, deps, {
    tenantId: copy.tenantId as TenantId,
    kind: isGone ? "copy_missing" : "copy_corrupt",
    severity: "critical",
    subject: { kind: "copy", id: copy.id },
    message: `${isGone ? "Something is missing of" : "Damage was found in"} ${what}: ${damage.message}`,
    fix: whole
      ? `The copy on ${whole.storage.name} is whole and is read meanwhile. ${isRepaired ? "This one is being made anew from it; see to the disk or the storage that spoilt it." : "See to the storage, and check again; or copy the snapshot to another one on its page."}`
      : "There is no other whole copy. See to the storage, run a full backup of the source now, and check again; what is not damaged can still be restored.",
    data: { job_id: job.id, snapshot_id: copy.snapshotId, storage_id: storage.id, code: damage.code },
  });
}

/** Has a damaged copy made anew from a whole one, where its storage takes that. What is gone is not: its disk may only be away. */
async function repair(tx: TenantTx, deps: Deps, { copy, storage }: PlacedCopy): Promise<boolean> {
  const now = deps.clock.now();
  const isLocked = copy.lockedUntil !== null && copy.lockedUntil > now;
  const snapshot = await snapshotById(tx, copy.tenantId, copy.snapshotId);
  if (isLocked || storage.state !== "active" || snapshot.state !== "complete") return false;
  const [busy] = await tx
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, copy.tenantId),
        eq(jobs.snapshotId, copy.snapshotId),
        eq(jobs.type, "transfer"),
        inArray(jobs.state, ["queued", "running"]),
      ),
    )
    .limit(1);
  if (busy) return true;
  // It is announced by the sweeper, once this is committed.
  await queueTransfer(tx, snapshot, storage, {
    reason: "The copy that was there was found damaged.",
    trigger: "system",
    requestedBy: null,
    now,
  });
  return true;
}

function mine(copy: CopyRow) {
  return and(eq(copies.tenantId, copy.tenantId), eq(copies.id, copy.id));
}
