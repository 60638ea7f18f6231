import { queryOptions } from "@tanstack/vue-query";
import { api } from "../../lib/api.ts";

/** All sources of the workspace. */
export const sourcesQuery = queryOptions({
  queryKey: ["sources"],
  queryFn: async ({ signal }) => (await api.sources.list.query({}, { signal })).items,
});

/** One source by its id. */
export function sourceQuery(id: string) {
  return queryOptions({
    queryKey: ["sources", id],
    queryFn: ({ signal }) => api.sources.get.query({ id }, { signal }),
  });
}

type TestInput = Parameters<typeof api.sources.test.mutate>[0];
/** A source that exists, or the connection of one that is being added. */
export type Tried = Pick<TestInput, "source_id" | "connection">;

/** A directory of a server, asked through a worker. Kept for the page's life, since each question opens a connection. */
export function remoteFolderQuery(tried: Tried, path: string) {
  return queryOptions({
    queryKey: ["remote", tried, path],
    queryFn: ({ signal }) => api.sources.browse.mutate({ ...tried, path }, { signal }),
    staleTime: 5 * 60_000,
    retry: false,
    refetchOnWindowFocus: false,
  });
}
