import { isXVaultError } from "@xvault/kernel";
import type { ServiceDeps } from "../deps.ts";

/** What failed is left alone for so long, and twice as long each time that it fails again, up to the longest. In milliseconds. */
const FIRST = 30_000;
const LONGEST = 10 * 60_000;

/** Things that a step of the clockwork does one by one: where one fails, the others are done all the same. */
export interface Items {
  /** Ids of those that are left alone for now: they must not take the places of others that are due. */
  putOff(): string[];
  /** Does one, unless it is left alone. What it throws is logged. @throws UNAVAILABLE where the database is away: the others would fail, too */
  attempt(id: string, work: () => Promise<void>): Promise<void>;
}

/**
 * Remembers what failed here and not in the database, whose rows go on saying since when something is due: so a source whose schedule cannot be
 * run becomes overdue, and somebody is told. By a clock that is never set.
 */
export function createItems(
  log: ServiceDeps["log"],
  { kind, failed, now = () => performance.now() }: { kind: string; failed: string; now?: () => number },
): Items {
  const failures = new Map<string, { until: number; wait: number }>();
  const isPutOff = (id: string) => (failures.get(id)?.until ?? 0) > now();
  return {
    putOff() {
      // What did not come again when its time had come is done, or gone.
      for (const [id, { until }] of failures) if (until + LONGEST < now()) failures.delete(id);
      return [...failures.keys()].filter(isPutOff);
    },
    async attempt(id, work) {
      if (isPutOff(id)) return;
      try {
        await work();
        failures.delete(id);
      } catch (error) {
        if (isXVaultError(error, "UNAVAILABLE")) throw error;
        const wait = Math.min(LONGEST, (failures.get(id)?.wait ?? FIRST / 2) * 2);
        failures.set(id, { until: now() + wait, wait });
        log.error({ err: error, [kind]: id, seconds: wait / 1000 }, failed);
      }
    },
  };
}
