import type { Manifest, WorkerInput } from "@xvault/contracts";
import { manifestSchema } from "@xvault/contracts";
import { toXVaultError } from "@xvault/kernel";
import type { WorkerContext } from "./context.ts";

/** What a worker is about to tell the hub: that a snapshot is whole, and where it lies. */
interface Receipt {
  manifest: Manifest;
  stored: WorkerInput<"publish">["stored"];
}

const FOLDER = "receipts";
const MAX_RECEIPT = 64 * 1024 * 1024;

/**
 * Writes a receipt to the worker's own disk, durable when it resolves: a worker that dies before the hub has answered hands it in when it is
 * back (promise 23). What lies on its own disk alone it finds there anyway; on a bucket it could not look, having no key without a job.
 *
 * Gives what takes the receipt back: to be called once the hub has answered, and before anything of a refused snapshot is removed.
 */
export async function keepReceipt(context: WorkerContext, receipt: Receipt): Promise<() => Promise<void>> {
  const key = `${FOLDER}/${receipt.manifest.snapshot_id}.json`;
  const writer = await context.store.create(key);
  try {
    await writer.write(Buffer.from(JSON.stringify(receipt)));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return () => context.store.remove(key);
}

/** Hands in what was stored whole when this worker died. Runs at start, before any job does; what fails is tried at the next start. */
export async function deliverReceipts(context: WorkerContext): Promise<void> {
  const { store, hub, log } = context;
  for await (const { key } of store.list(FOLDER)) {
    try {
      const { manifest, stored } = JSON.parse((await store.readAll(key, MAX_RECEIPT)).toString("utf8")) as Receipt;
      const { outcome } = await hub.insist("adopt", { manifest: manifestSchema.parse(manifest), stored });
      log.info({ snapshotId: manifest.snapshot_id, outcome }, "a receipt of a stored snapshot was handed in");
      // Undecided: another job of the source is at work, or the hub may have lost its database.
      if (outcome !== "waiting" && outcome !== "unknown") await store.remove(key);
    } catch (error) {
      log.warn({ err: toXVaultError(error), key }, "a receipt of a stored snapshot cannot be handed in");
    }
  }
}
