import type { JobPayloadOf } from "@xvault/contracts";
import { isRefused, keysOf, type SealRun } from "@xvault/engine";
import { toXVaultError, XVaultError } from "@xvault/kernel";
import { createMirror } from "@xvault/storage";
import type { WorkerContext } from "../context.ts";
import { settleAfterRun } from "../leftovers.ts";
import { lockNeeded } from "../locks.ts";
import { keepReceipt } from "../receipts.ts";
import { locationOn, type OpenStore, openStoreOfJob } from "../stores.ts";
import { later } from "./later.ts";
import type { HeldJob } from "./run-job.ts";

/** How long the answer to a publication is waited for after the job was told to end, in milliseconds. */
const ANSWER_GRACE = 15_000;

type Making = Pick<JobPayloadOf<"backup">, "tenant_id" | "source_id" | "snapshot_id" | "storages">;
type MakingJob = Pick<HeldJob, "held" | "reporter" | "signal" | "onEnd"> & { payload: Making };

/** Where a job writes its snapshot to. */
export interface Targets extends Pick<SealRun, "store" | "publish"> {
  checkEach: NonNullable<SealRun["checkEach"]>;
  /** After the run: clears away what earlier attempts at the source left on storages that workers share. Never throws. */
  settle(): Promise<void>;
  /** Whether each storage that was to get the snapshot has it. */
  everywhere(): boolean;
}

/**
 * Opens the storages that a job writes to. One that cannot be opened, or fails later, is left out, as long as another is left; the job's log
 * says so.
 */
export async function openTargets(context: WorkerContext, job: MakingJob): Promise<Targets> {
  const { held, payload, reporter, signal } = job;
  const opened: OpenStore[] = [];
  let failure: unknown = new XVaultError("INTERNAL", "The job names no storage.");
  for (const ref of payload.storages) {
    try {
      opened.push(await openStoreOfJob(context, job, ref));
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
      reporter.warning(leftOut(ref.name, toXVaultError(error)));
    }
  }
  if (opened.length === 0) throw failure;
  const members = opened.map(({ ref, store }) => ({ name: ref.id, store }));
  const mirror = createMirror(members, {
    onLost: (id, error) => reporter.warning(leftOut(opened.find(({ ref }) => ref.id === id)?.ref.name ?? id, error)),
  });
  /** Storages that did not give back what was written to them. */
  const unsound = new Set<string>();
  return {
    store: mirror,
    checkEach: async (check) => {
      for (const { ref, store } of opened) {
        if (!mirror.healthy().includes(ref.id) || unsound.has(ref.id)) continue;
        try {
          await check(store);
        } catch (error) {
          signal.throwIfAborted();
          unsound.add(ref.id);
          if (!mirror.healthy().some((id) => !unsound.has(id))) throw error;
          reporter.warning(leftOut(ref.name, toXVaultError(error)));
        }
      }
    },
    publish: async (manifest) => {
      const whole = opened.filter(({ ref }) => mirror.healthy().includes(ref.id) && !unsound.has(ref.id));
      for (const one of whole) await lockNeeded(one, payload, manifest);
      const stored = whole.map(({ ref, lockedUntil }) => ({
        storage_id: ref.id,
        location: locationOn(context, ref, keysOf(payload).dir),
        locked_until: lockedUntil?.toISOString() ?? null,
      }));
      // The hub's answer decides whether the files stay, so it is waited for even when the lease is lost meanwhile or the job cancelled.
      const takeBack = whole.every(isOwnDisk) ? null : await keepReceipt(context, { manifest, stored });
      try {
        await context.hub.insist("publish", { ...held, manifest, stored }, later(signal, ANSWER_GRACE));
      } catch (error) {
        // Before its objects go: a receipt of what is not there must never be handed in.
        if (isRefused(error)) await takeBack?.();
        throw error;
      }
      // One that cannot be taken back says at the next start what is known already.
      await takeBack?.().catch(() => {});
    },
    settle: async () => {
      for (const one of opened) {
        if (!isOwnDisk(one)) await settleAfterRun(context, one, payload);
      }
    },
    everywhere: () => mirror.lost().size + unsound.size === 0 && opened.length === payload.storages.length,
  };
}

/** Whether it is the worker's own base directory, which is looked through at each start. */
function isOwnDisk({ ref: { place } }: Pick<OpenStore, "ref">): boolean {
  return place.kind === "local_fs" && place.config.folder === "";
}

function leftOut(name: string, error: XVaultError): string {
  return `The storage '${name}' takes no part any more: ${error.message} It gets its copy from another one later.`;
}
