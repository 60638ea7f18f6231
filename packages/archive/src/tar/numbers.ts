import { malformed } from "../failures.ts";

/** Writes `value` as zero-padded octal digits and a NUL into a field of `width` bytes. */
export function writeOctal(block: Buffer, at: number, width: number, value: number): void {
  let left = value;
  for (let i = at + width - 2; i >= at; i -= 1) {
    block[i] = 0x30 + (left % 8);
    left = Math.floor(left / 8);
  }
}

/** The largest value that {@link writeOctal} can put into a field of `width` bytes. */
export function octalLimit(width: number): number {
  return 8 ** (width - 1) - 1;
}

/**
 * Reads a numeric header field: octal digits with spaces or NULs around them, or GNU's base-256 (first bit set, big-endian
 * two's complement). An empty field is 0.
 */
export function readNumber(block: Buffer, at: number, width: number, field: string): number {
  const first = block[at] ?? 0;
  if (first & 0x80) return readBase256(block.subarray(at, at + width), field);
  let value = 0;
  let i = at;
  const end = at + width;
  while (i < end && block[i] === 0x20) i += 1;
  for (; i < end; i += 1) {
    const digit = (block[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; i < end; i += 1) {
    const rest = block[i];
    if (rest !== 0 && rest !== 0x20) throw malformed(`the header's ${field} is not a number`);
  }
  return value;
}

function readBase256(bytes: Buffer, field: string): number {
  const first = bytes[0] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = BigInt(first & 0x7f);
  for (let i = 1; i < bytes.length; i += 1) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  if (negative) value -= 1n << BigInt(bytes.length * 8 - 1);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw malformed(`the header's ${field} is out of range`);
  return number;
}

/** Reads a count or size written in decimal digits. */
export function parseDecimal(text: string, field: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed(`${field} is not a number`);
  return value;
}
