import type { QueryKey } from "@tanstack/vue-query";
import { ref, shallowRef } from "vue";
import { useAction } from "./action.ts";

interface ConfirmedOptions<Thing> {
  run(thing: Thing): Promise<unknown>;
  success: string;
  invalidates: QueryKey[];
}

/** Something done to one row of a list after a question. The row stays known while the dialog closes, so that its text does not fall empty. */
export function useConfirmed<Thing>(options: ConfirmedOptions<Thing>) {
  const thing = shallowRef<Thing | null>(null);
  const open = ref(false);
  const action = useAction<unknown, Thing>({ ...options, inline: true, onSuccess: () => (open.value = false) });

  function ask(about: Thing): void {
    action.reset();
    thing.value = about;
    open.value = true;
  }
  function confirm(): void {
    if (thing.value !== null) action.mutate(thing.value);
  }
  return { thing, open, ask, confirm, error: action.error, pending: action.isPending };
}
