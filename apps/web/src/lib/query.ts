import { QueryClient } from "@tanstack/vue-query";
import { reportOf } from "./errors.ts";

/** Reads are kept five seconds, asked again where trying again may help, and refreshed when the person comes back to the tab. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 5000, retry: (failures, error) => failures < 2 && reportOf(error).retry },
  },
});
