const BILLION = 1_000_000_000n;

/** Nanoseconds since 1970 as decimal seconds, without trailing zeros: -1500000000n becomes '-1.5'. The form of pax and of the index. */
export function formatSeconds(ns: bigint): string {
  const negative = ns < 0n;
  const magnitude = negative ? -ns : ns;
  const whole = magnitude / BILLION;
  const fraction = magnitude % BILLION;
  const sign = negative ? "-" : "";
  if (fraction === 0n) return `${sign}${whole}`;
  return `${sign}${whole}.${fraction.toString().padStart(9, "0").replace(/0+$/, "")}`;
}

/** The inverse of {@link formatSeconds}; digits beyond the ninth are dropped towards the past. Null when it is not such a number. */
export function parseSeconds(text: string): bigint | null {
  const match = /^(-?)(\d{1,20})(?:\.(\d{0,40}))?$/.exec(text);
  if (!match) return null;
  const fraction = match[3] ?? "";
  let ns = BigInt(match[2] ?? "0") * BILLION + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return ns;
  if (/[1-9]/.test(fraction.slice(9))) ns += 1n;
  return -ns;
}
