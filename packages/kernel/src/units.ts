const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** A size for people, in binary units: 1536 becomes '1.5 KiB'. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A span of time for people: 75 (seconds) becomes '1 min 15 s', 14,400 becomes '4 h'. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return inTwo(whole, 60, "min", "s");
  if (whole < 86_400) return inTwo(Math.floor(whole / 60), 60, "h", "min");
  return inTwo(Math.floor(whole / 3600), 24, "d", "h");
}

/** `amount` of the smaller unit, of which `per` make the larger one. */
function inTwo(amount: number, per: number, larger: string, smaller: string): string {
  const rest = amount % per;
  return `${Math.floor(amount / per)} ${larger}${rest === 0 ? "" : ` ${rest} ${smaller}`}`;
}
