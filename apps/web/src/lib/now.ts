import { readonly, shallowRef } from "vue";

const current = shallowRef(new Date());
setInterval(() => (current.value = new Date()), 1000);

/** The time, moving on every second: one clock for all relative times of the page, and for how long a running job has taken. */
export const now = readonly(current);
