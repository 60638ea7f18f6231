import type { Job, Snapshot, Source, Storage } from "@xvault/contracts";
import { isId, isXVaultError, XVaultError } from "@xvault/kernel";
import { type HubApi, pagesOf } from "../hub/api.ts";
import { findByName, type SnapshotRef } from "./snapshot-ref.ts";

/** How far back `latest` and endings of job ids are looked for. */
const LOOK_BACK = 500;

/** A source by its name, its id or the last digits of it. @throws NOT_FOUND, INPUT_INVALID when several are meant */
export async function findSource(api: HubApi, name: string): Promise<Source> {
  return findByName(await api.sources(), name, {
    kind: "source",
    list: "xvault source ls",
    ids: (source) => [source.id, source.source_id],
    name: (source) => source.name,
  });
}

/** A storage by its name, its id or the last digits of it. @throws NOT_FOUND, INPUT_INVALID when several are meant */
export async function findStorage(api: HubApi, name: string): Promise<Storage> {
  return findByName(await api.storages(), name, {
    kind: "storage",
    list: "xvault storage ls",
    ids: (storage) => [storage.id],
    name: (storage) => storage.name,
  });
}

/** The snapshot that a reference names. @throws NOT_FOUND, INPUT_INVALID when several end so */
export async function findSnapshot(api: HubApi, ref: SnapshotRef): Promise<Snapshot> {
  if (ref.name.kind === "id") return api.snapshot(ref.name.ending);
  const wanted = ref.name.source;
  const source = wanted === null ? null : await findSourceOrNull(api, wanted);
  let seen = 0;
  for await (const snapshot of pagesOf((cursor) =>
    api.snapshots({ limit: 50, ...(source ? { source_id: source.id } : {}), ...(cursor ? { cursor } : {}) }),
  )) {
    // A source that was removed still has its name on its snapshots.
    const isMeant = source !== null || wanted === null || [snapshot.source_name, snapshot.source_id].includes(wanted);
    if (isMeant && snapshot.state === "complete") return snapshot;
    if ((seen += 1) >= LOOK_BACK) break;
  }
  if (wanted !== null && !source)
    throw new XVaultError("NOT_FOUND", `There is no source '${wanted}', nor a snapshot of one.`);
  throw new XVaultError("NOT_FOUND", source ? `${source.name} has no snapshot yet.` : "There is no snapshot yet.", {
    fix: "Run a backup first: xvault backup SOURCE.",
  });
}

async function findSourceOrNull(api: HubApi, name: string): Promise<Source | null> {
  try {
    return await findSource(api, name);
  } catch (error) {
    if (isXVaultError(error, "NOT_FOUND")) return null;
    throw error;
  }
}

/** A job by its id or the last digits of it. @throws NOT_FOUND */
export async function findJob(api: HubApi, id: string): Promise<Job> {
  if (isId(id)) return api.job(id);
  const jobs: Job[] = [];
  for await (const job of pagesOf((cursor) => api.jobs({ limit: 200, ...(cursor ? { cursor } : {}) }))) {
    jobs.push(job);
    if (jobs.length >= LOOK_BACK) break;
  }
  return findByName(jobs, id, { kind: "job", list: "xvault jobs", ids: (job) => [job.id], name: (job) => job.id });
}
