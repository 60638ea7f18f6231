import type { Results } from "./results.ts";

/**
 * What was measured now, and of what was not measured now the figures that were there before: sets are measured one after the other
 * where all of them together take too long. Throws when both do not belong together: another machine, seed or scale.
 */
export function mergeResults(before: Results, now: Results): Results {
  for (const part of ["cpu", "cores", "node"] as const) {
    if (before.machine[part] !== now.machine[part])
      throw new Error(`the earlier figures are those of another machine (${before.machine[part]}): leave out --keep`);
  }
  if (before.seed !== now.seed || before.scale !== now.scale)
    throw new Error("the earlier figures are those of other sets: leave out --keep");
  const measured = new Set(now.sets.map(({ name }) => name));
  const memory = now.extras.some(({ what }) => what === "memory");
  const kept = before.sets.filter(({ name }) => !measured.has(name));
  return {
    ...now,
    programs: { ...before.programs, ...now.programs },
    sets: [...kept, ...now.sets],
    rows: [...before.rows.filter(({ set }) => !measured.has(set)), ...now.rows],
    extras: [
      ...before.extras.filter(({ what, set }) => (what === "memory" ? !memory : !measured.has(set))),
      ...now.extras,
    ],
    failures: [
      ...before.failures.filter((line) => kept.some(({ name }) => line.startsWith(`${name},`))),
      ...now.failures,
    ],
  };
}
