import { computed } from "vue";
import { useRoute, useRouter } from "vue-router";

/** The filters and the page of a list that the hub filters and pages. They stand in the address: a reload and a link keep them. */
export function useListQuery<Name extends string>(...names: Name[]) {
  const route = useRoute();
  const router = useRouter();
  const read = (name: string) => (typeof route.query[name] === "string" ? route.query[name] : "");

  /** What is set, filters and cursor alike. */
  const chosen = computed(() => {
    const set = [...names, "cursor"].map((name) => [name, read(name)]).filter(([, value]) => value !== "");
    return Object.fromEntries(set) as Partial<Record<Name | "cursor", string>>;
  });
  const filtered = computed(() => names.some((name) => read(name) !== ""));

  /** Sets a filter; the empty text takes it away. What is shown begins at the first page again. */
  function choose(name: Name, value: string): void {
    void router.replace({ query: { ...route.query, [name]: value === "" ? undefined : value, cursor: undefined } });
  }
  return { chosen, filtered, choose };
}
