import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** Preset, figures, rule sets and objectives of the workspace. */
export const configQuery = queryOptions({
  queryKey: ["retention", "config"],
  queryFn: ({ signal }) => api.retention.config.query({}, { signal }),
});

/** What moves or ends within so many days. */
export function projectionsQuery(days: number, limit: number) {
  return queryOptions({
    queryKey: ["retention", "projections", days, limit],
    queryFn: ({ signal }) => api.retention.projections.query({ days, limit }, { signal }),
    refetchInterval: 30_000,
  });
}

/** What lies in each tier. */
export const bucketsQuery = queryOptions({
  queryKey: ["retention", "buckets"],
  queryFn: ({ signal }) => api.retention.buckets.query({ days: 7 }, { signal }),
  refetchInterval: 15_000,
});
