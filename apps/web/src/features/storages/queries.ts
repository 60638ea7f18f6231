import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** All storages of the workspace. */
export const storagesQuery = queryOptions({
  queryKey: ["storages"],
  queryFn: async ({ signal }) => (await api.storages.list.query({}, { signal })).items,
});

/** Where a source writes to, the first one first. */
export function placementQuery(sourceId: string) {
  return queryOptions({
    queryKey: ["storages", "placement", sourceId],
    queryFn: async ({ signal }) => (await api.storages.placement.query({ source_id: sourceId }, { signal })).storages,
  });
}
