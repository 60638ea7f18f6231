import { useAction } from "../../lib/action.ts";
import { api } from "../../lib/api.ts";

type Update = Parameters<typeof api.sources.update.mutate>[0];

/** Changes a source and says so. The form shows a failure itself. */
export function useUpdateSource(id: string, onDone: () => void) {
  return useAction({
    run: (changes: Omit<Update, "id">) => api.sources.update.mutate({ id, ...changes }),
    success: "The source was changed.",
    invalidates: [["sources"]],
    inline: true,
    onSuccess: onDone,
  });
}
