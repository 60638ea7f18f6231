const BILLION = 1_000_000_000n;
/** Times of files lie between 1970 and this year 2262: read and written for each file, so without regular expressions. */
const USUAL = 1n << 63n;

/** Nanoseconds since 1970 as decimal seconds, without trailing zeros: -1500000000n becomes '-1.5'. The form of pax and of the index. */
export function formatSeconds(ns: bigint): string {
  if (ns >= 0n && ns < USUAL) {
    let fraction = Number(ns % BILLION);
    if (fraction === 0) return `${ns / BILLION}`;
    let digits = 9;
    for (; fraction % 10 === 0; fraction /= 10) digits -= 1;
    return `${Number(ns / BILLION)}.${String(fraction).padStart(digits, "0")}`;
  }
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
  return parseUsual(text) ?? parseAny(text);
}

/** Up to ten digits and, behind a point, up to nine; null for whatever else. */
function parseUsual(text: string): bigint | null {
  const point = text.indexOf(".");
  const whole = digitsOf(text, 0, point < 0 ? text.length : point, 10);
  if (whole < 0) return null;
  if (point < 0) return BigInt(whole) * BILLION;
  const length = text.length - point - 1;
  const fraction = digitsOf(text, point + 1, text.length, 9);
  return fraction < 0 ? null : BigInt(whole) * BILLION + BigInt(fraction * 10 ** (9 - length));
}

/** The number that stands there, or -1 where there are no digits, too many, or other characters. */
function digitsOf(text: string, from: number, to: number, most: number): number {
  if (to === from || to - from > most) return -1;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function parseAny(text: string): bigint | null {
  const match = /^(-?)(\d{1,20})(?:\.(\d{0,40}))?$/.exec(text);
  if (!match) return null;
  const fraction = match[3] ?? "";
  let ns = BigInt(match[2] ?? "0") * BILLION + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return ns;
  if (/[1-9]/.test(fraction.slice(9))) ns += 1n;
  return -ns;
}
