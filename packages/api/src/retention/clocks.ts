import { DAY } from "./ages.ts";

/** What clocks say at one moment. `steady`: milliseconds by a clock that is never set; null where the last turn was another process's. */
export interface Readings {
  now: Date;
  database: Date;
  /** When the newest job of the workspace was made, as the row says. */
  newest: Date | null;
  last: { at: Date; steadyMs: number | null } | null;
}

/** Nothing ends or moves until then. */
export interface Rest {
  since: Date;
  until: Date;
  reason: string;
}

/**
 * Whether clocks can be trusted with ages. Where one is more than a day off, or jumped by more than a day since the last turn, all rests until clocks
 * have run evenly for a day. A hub that was down for longer than a day looks like a jump: it rests, too, which does no harm.
 */
export function judgeClocks(readings: Readings, rest: Rest | null): Rest | null {
  const wrong = whatIsWrong(readings);
  const { now } = readings;
  if (wrong) return { since: now, until: new Date(now.getTime() + DAY), reason: wrong };
  if (!rest) return null;
  // A rest that began in the future was begun by a clock that was ahead.
  const over = now >= rest.until || rest.since.getTime() > now.getTime() + DAY;
  return over ? null : rest;
}

function whatIsWrong({ now, database, newest, last }: Readings): string | null {
  if (apart(now, database)) {
    return `The hub's clock (${now.toISOString()}) and the database's (${database.toISOString()}) are more than a day apart.`;
  }
  if (newest && newest.getTime() > now.getTime() + DAY) {
    return `There are jobs from ${newest.toISOString()}, and the clock says ${now.toISOString()}.`;
  }
  if (!last) return null;
  const expected = new Date(last.at.getTime() + (last.steadyMs ?? 0));
  if (!apart(now, expected)) return null;
  const before = `when the rules were last gone through the clock said ${last.at.toISOString()}`;
  return `The clock says ${now.toISOString()}; ${before}. It jumped, or the hub was not running.`;
}

function apart(a: Date, b: Date): boolean {
  return Math.abs(a.getTime() - b.getTime()) > DAY;
}
