import { useToast } from "@nuxt/ui/composables";
import { useMutation, useQueryClient, type QueryKey } from "@tanstack/vue-query";
import { reportOf } from "./errors.ts";

interface ActionOptions<Input, Output> {
  run(input: Input): Promise<Output>;
  /** What the person is told when it worked. */
  success?: string | ((output: Output, input: Input) => string);
  /** What is read anew afterwards. */
  invalidates?: QueryKey[];
  onSuccess?(output: Output, input: Input): unknown;
  /** The page shows the failure itself, beside the control. Default: a message that appears over the page. */
  inline?: boolean;
}

/** Something a person does: it shows that it runs, then says that it worked or why it did not and what to do. */
export function useAction<Output, Input = void>(options: ActionOptions<Input, Output>) {
  const toast = useToast();
  const client = useQueryClient();
  return useMutation<Output, Error, Input>({
    mutationFn: (input) => options.run(input),
    onSuccess: async (output, input) => {
      const { success } = options;
      if (success !== undefined) {
        const title = typeof success === "string" ? success : success(output, input);
        toast.add({ title, color: "success", icon: "i-lucide-circle-check" });
      }
      for (const queryKey of options.invalidates ?? []) void client.invalidateQueries({ queryKey });
      await options.onSuccess?.(output, input);
    },
    onError: (error) => {
      if (options.inline) return;
      const { message, fix, requestId } = reportOf(error);
      const reference = requestId ? ` (request ${requestId})` : "";
      toast.add({
        title: message,
        description: fix + reference,
        color: "error",
        icon: "i-lucide-circle-x",
        duration: 12_000,
      });
    },
  });
}
