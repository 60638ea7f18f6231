import { readonly, shallowRef } from "vue";

const current = shallowRef(new Date());
setInterval(() => (current.value = new Date()), 10_000);

/** The time, moving on every ten seconds: one clock for all relative times of the page. */
export const now = readonly(current);
