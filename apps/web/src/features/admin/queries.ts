import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** All tenants of the platform, for its admins. */
export const tenantsQuery = queryOptions({
  queryKey: ["admin", "tenants"],
  queryFn: ({ signal }) => api.admin.tenants.query(undefined, { signal }),
});
