import type { Storage } from "@xvault/contracts";

/** The storages of these ids, in the ids' order; what is no longer there is left out. */
export function storagesOf(ids: readonly string[], storages: readonly Storage[]): Storage[] {
  return ids.flatMap((id) => storages.find((one) => one.id === id) ?? []);
}

/** The storage to which a source writes where nothing is chosen: the workers' disks. */
export function usualStorage(storages: readonly Storage[]): Storage | undefined {
  return storages.find(({ kind, config }) => kind === "local_fs" && config["folder"] === "");
}
