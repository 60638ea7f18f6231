import { randomBytes, randomUUID, toXVaultError, XVaultError } from "@xvault/kernel";
import { PROBE_PREFIX } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import type { LockMode, S3Store } from "./s3/options.ts";

const SIZE = 64 * 1024;

/** What one step of trying a store came to. */
export interface StoreCheck {
  id: "write" | "read" | "list" | "delete" | "lock";
  /** What was tried, in a few words. */
  label: string;
  status: "ok" | "failed" | "skipped";
  /** One sentence. */
  message: string;
  fix?: string;
  code?: string;
}

export interface ProbeStoreOptions {
  /** Whether a lock of this mode holds is tried too, where the store can lock. Open it without a lock of its own: what is written must go again. */
  lock?: LockMode | null;
}

type Step = Pick<StoreCheck, "id" | "label"> & { run(): Promise<string | { skipped: string }> };

/**
 * Does to a store what backups will do: writes a test object, reads it back whole and in part, lists it, deletes it, and tells of each step as it ends.
 * After the first failure the others are skipped. Nothing of it stays. Never throws.
 */
export async function* probeStore(
  store: ObjectStore | S3Store,
  options: ProbeStoreOptions = {},
): AsyncGenerator<StoreCheck, void, undefined> {
  const key = `${PROBE_PREFIX}/${randomUUID()}`;
  const bytes = Buffer.from(randomBytes(SIZE));
  const steps: Step[] = [
    { id: "write", label: "Write a test object", run: () => write(store, key, bytes) },
    { id: "read", label: "Read it back", run: () => read(store, key, bytes) },
    { id: "list", label: "Find it in a listing", run: () => list(store, key) },
    { id: "delete", label: "Delete it", run: () => remove(store, key) },
    { id: "lock", label: "Refuse to delete what is locked", run: () => lock(store, options.lock ?? null) },
  ];
  let failed = false;
  try {
    for (const { id, label, run } of steps) {
      const check: StoreCheck = failed
        ? { id, label, status: "skipped", message: "An earlier check failed." }
        : { id, label, ...(await outcome(run)) };
      failed ||= check.status === "failed";
      yield check;
    }
  } finally {
    // Also when nobody wants the rest. A store that cannot delete keeps it; the step has said so.
    await store.remove(key).catch(() => {});
  }
}

async function outcome(run: Step["run"]): Promise<Omit<StoreCheck, "id" | "label">> {
  try {
    const done = await run();
    return typeof done === "string" ? { status: "ok", message: done } : { status: "skipped", message: done.skipped };
  } catch (error) {
    const { message, fix, code } = toXVaultError(error);
    return { status: "failed", message, fix, code };
  }
}

async function write(store: ObjectStore, key: string, bytes: Buffer): Promise<string> {
  const writer = await store.create(key);
  try {
    await writer.write(bytes);
    await writer.commit();
  } finally {
    await writer.abort();
  }
  return `${SIZE / 1024} KiB were written.`;
}

async function read(store: ObjectStore, key: string, bytes: Buffer): Promise<string> {
  const whole = await store.readAll(key, SIZE);
  const reader = await store.reader(key);
  const [from, length] = [SIZE / 4, SIZE / 2];
  const part = await reader.read(from, length);
  if (!whole.equals(bytes) || !part.equals(bytes.subarray(from, from + length))) {
    throw new XVaultError("ARTIFACT_CORRUPT", "The storage gave back other bytes than were written.", {
      fix: "Do not use it; check what lies between the worker and the storage, and the storage itself.",
    });
  }
  return "The bytes are those that were written, whole and in part.";
}

async function list(store: ObjectStore, key: string): Promise<string> {
  for await (const found of store.list(PROBE_PREFIX)) {
    if (found.key === key && found.sizeBytes === SIZE) return "The listing shows it in its size.";
  }
  throw new XVaultError("STORAGE_FAILED", "The listing does not show an object that was written just now.", {
    fix: "Use a storage whose listings are up to date.",
    retry: false,
  });
}

async function remove(store: ObjectStore, key: string): Promise<string> {
  await store.remove(key);
  if ((await store.stat(key)) === null) return "It is gone.";
  throw new XVaultError("STORAGE_FAILED", "The storage still has an object that was deleted.", {
    fix: "Check the storage's rules on deletion.",
    retry: false,
  });
}

async function lock(store: ObjectStore | S3Store, mode: LockMode | null): Promise<string | { skipped: string }> {
  if (mode === null) return { skipped: "No lock is wanted." };
  if (!("proveLock" in store)) return { skipped: "This kind of storage has no locks." };
  if (await store.proveLock(mode)) return "A locked object could not be deleted before its time.";
  throw new XVaultError("STORAGE_FAILED", "A locked object could be deleted, or could not be locked.", {
    fix: "Use a bucket that was made with object lock, on a server that has it; or set no lock.",
    retry: false,
  });
}
