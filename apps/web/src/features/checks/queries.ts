import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** Policy, counts, and each source's last drill. */
export const statusQuery = queryOptions({
  queryKey: ["checks", "status"],
  queryFn: ({ signal }) => api.checks.status.query({}, { signal }),
  refetchInterval: 15_000,
});
