import { api } from "../../lib/api.ts";

type ListSnapshots = Parameters<typeof api.snapshots.list.query>[0];

/** A page of snapshots, newest first. */
export function listSnapshots(input: ListSnapshots, signal?: AbortSignal) {
  return api.snapshots.list.query(input, signal ? { signal } : {});
}
