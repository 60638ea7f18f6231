import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** The newest open alerts, and how many are open: for the count in the navigation and the strip on the overview. */
export const openAlertsQuery = queryOptions({
  queryKey: ["alerts", "newest"],
  queryFn: ({ signal }) => api.alerts.list.query({ state: "open", limit: 3 }, { signal }),
  refetchInterval: 15_000,
});

/** All webhooks of the workspace. */
export const webhooksQuery = queryOptions({
  queryKey: ["webhooks"],
  queryFn: async ({ signal }) => (await api.webhooks.list.query({}, { signal })).items,
});
