import { computed, type WritableComputedRef } from "vue";
import { useRoute, useRouter } from "vue-router";

/**
 * A value that lives in the address's query, so that a list's state survives reload and can be linked to. The empty text is not written.
 *
 * @param options.push adds a step to the browser's history at every change; otherwise the present one is replaced.
 */
export function useRouteQuery(
  name: string,
  fallback = "",
  options: { push?: boolean } = {},
): WritableComputedRef<string> {
  const route = useRoute();
  const router = useRouter();
  return computed({
    get() {
      const value = route.query[name];
      return typeof value === "string" ? value : fallback;
    },
    set(value) {
      const query = { ...route.query };
      if (value === "" || value === fallback) delete query[name];
      else query[name] = value;
      void router[options.push ? "push" : "replace"]({ query, hash: route.hash });
    },
  });
}
