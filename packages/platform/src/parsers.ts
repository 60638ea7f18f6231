import ipaddr from "ipaddr.js";
import { z } from "zod";

const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTE_UNITS = ["", "k", "m", "g", "t", "p"];

/** Text as it is. */
export const text = z.string();

/** A TCP port, 1 to 65535. */
export const port = z
  .string()
  .refine((value) => /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535, {
    message: "must be a port number between 1 and 65535",
  })
  .transform(Number);

/** A whole number of at least 1. */
export const count = z
  .string()
  .refine((value) => /^\d{1,6}$/.test(value) && Number(value) >= 1, { message: "must be a whole number of at least 1" })
  .transform(Number);

/** `1`, `true`, `yes`, `on` or `0`, `false`, `no`, `off`. */
export const bool = z
  .string()
  .refine((value) => /^(1|true|yes|on|0|false|no|off)$/i.test(value), { message: "must be 0, 1, true or false" })
  .transform((value) => /^(1|true|yes|on)$/i.test(value));

/** An absolute URL with one of `schemes`; a slash at its end is dropped. */
export function url(...schemes: string[]) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)), {
      message: `must be a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    })
    .transform((value) => value.replace(/\/+$/, ""));
}

/** A size in bytes: `1048576`, `1MiB` or `1M` (binary), `1MB` (decimal). */
export const bytes = z.string().transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)(b?)$/i.exec(value.trim());
  if (!match) {
    context.addIssue({ code: "custom", message: "must be a size such as 512MiB" });
    return z.NEVER;
  }
  const [, number, prefix = "", binary, byte] = match;
  const base = byte && !binary ? 1000 : 1024;
  return Math.round(Number(number) * base ** BYTE_UNITS.indexOf(prefix.toLowerCase()));
});

/** A span of time in milliseconds: `500ms`, `30s`, `15m`, `2h`, `1d`. */
export const duration = z.string().transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value.trim());
  if (!match) {
    context.addIssue({ code: "custom", message: "must be a span of time such as 30s, 15m or 2h" });
    return z.NEVER;
  }
  return Number(match[1]) * DURATION_MS[match[2] as keyof typeof DURATION_MS];
});

/** Items separated by commas; blanks around them and empty items are dropped. */
export const list = z.string().transform((value) =>
  value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

/** A list of address ranges such as `10.0.0.0/8` or `fd00::/8`; a lone address stands for itself. */
export const cidrList = list.refine((items) => items.every(isRange), {
  message: "must be a list of address ranges such as 10.0.0.0/8, separated by commas",
});

/** A list of web origins such as `https://data.example.org`, each without a path. */
export const originList = list.refine(
  (items) => items.every((item) => URL.canParse(item) && new URL(item).origin === item),
  { message: "must be a list of origins such as https://data.example.org, separated by commas" },
);

/**
 * Which proxies in front are believed about a client's address: none (`0`, `false`), a number of hops, or their address ranges.
 * Believing everyone is not offered: anyone could then forge their address.
 */
export const trustedProxies = z.string().transform((value, context): false | number | string[] => {
  if (/^(0|false|no|off)$/i.test(value)) return false;
  if (/^\d{1,2}$/.test(value)) return Number(value);
  const ranges = cidrList.safeParse(value);
  if (ranges.success && ranges.data.length > 0) return ranges.data;
  context.addIssue({ code: "custom", message: "must be 0, a number of hops, or a list of address ranges" });
  return z.NEVER;
});

/** 32 bytes in base64 or base64url, as key encryption keys come. */
export const key32 = z.string().refine(isKey32, { message: "must be 32 random bytes in base64" });

/** Several {@link key32}, separated by commas. */
export const key32List = list.refine((items) => items.every(isKey32), {
  message: "must be keys of 32 bytes in base64, separated by commas",
});

function isKey32(value: string): boolean {
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(value) && Buffer.from(value, "base64").length === 32;
}

function isRange(value: string): boolean {
  return ipaddr.isValidCIDR(value) || ipaddr.IPv4.isValidFourPartDecimal(value) || ipaddr.IPv6.isValid(value);
}
