import { describe, expect, test } from "vitest";
import type { z } from "zod";
import * as parsers from "./parsers.ts";

const key = Buffer.alloc(32, 200).toString("base64");

const good: [string, z.ZodType, string, unknown][] = [
  ["port", parsers.port, "8420", 8420],
  ["count", parsers.count, "12", 12],
  ["bool", parsers.bool, "1", true],
  ["bool", parsers.bool, "TRUE", true],
  ["bool", parsers.bool, "0", false],
  ["bool", parsers.bool, "false", false],
  ["url", parsers.url("http", "https"), "https://x.example/base/", "https://x.example/base"],
  ["bytes", parsers.bytes, "1048576", 1_048_576],
  ["bytes", parsers.bytes, "512MiB", 536_870_912],
  ["bytes", parsers.bytes, "512M", 536_870_912],
  ["bytes", parsers.bytes, "1.5 GB", 1_500_000_000],
  ["duration", parsers.duration, "90s", 90_000],
  ["duration", parsers.duration, "1.5h", 5_400_000],
  ["duration", parsers.duration, "250ms", 250],
  ["list", parsers.list, " a, b ,,c ", ["a", "b", "c"]],
  ["cidrList", parsers.cidrList, "10.0.0.0/8, fd00::/8,192.0.2.1", ["10.0.0.0/8", "fd00::/8", "192.0.2.1"]],
  ["originList", parsers.originList, "https://a.example,http://b:81", ["https://a.example", "http://b:81"]],
  ["trustedProxies", parsers.trustedProxies, "0", false],
  ["trustedProxies", parsers.trustedProxies, "2", 2],
  ["trustedProxies", parsers.trustedProxies, "10.0.0.0/8,127.0.0.1", ["10.0.0.0/8", "127.0.0.1"]],
  ["key32", parsers.key32, key, key],
  ["key32List", parsers.key32List, `${key},${key}`, [key, key]],
];

const bad: [string, z.ZodType, string][] = [
  ["port", parsers.port, "0"],
  ["port", parsers.port, "65536"],
  ["port", parsers.port, "80a"],
  ["count", parsers.count, "0"],
  ["count", parsers.count, "-1"],
  ["bool", parsers.bool, "maybe"],
  ["url", parsers.url("http", "https"), "javascript:alert(1)"],
  ["url", parsers.url("postgres"), "localhost:5432"],
  ["bytes", parsers.bytes, "many"],
  ["bytes", parsers.bytes, "-5M"],
  ["duration", parsers.duration, "10"],
  ["duration", parsers.duration, "1 week"],
  ["cidrList", parsers.cidrList, "10.0.0.0/33"],
  ["cidrList", parsers.cidrList, "intranet"],
  ["cidrList", parsers.cidrList, "127.1"],
  ["originList", parsers.originList, "https://a.example/path"],
  ["trustedProxies", parsers.trustedProxies, "true"],
  ["key32", parsers.key32, "c2hvcnQ="],
  ["key32", parsers.key32, `${key}${key}`],
];

describe("parsers", () => {
  test.each(good)("%s takes %j", (_, parser, text, value) => {
    expect(parser.parse(text)).toEqual(value);
  });

  test.each(bad.map(([name, parser, text]) => [name, text, parser] as const))(
    "%s refuses %j without repeating it",
    (_, text, parser) => {
      const parsed = parser.safeParse(text);
      expect(parsed.success).toBe(false);
      expect(parsed.error?.issues[0]?.message).toMatch(/^must be /);
      expect(parsed.error?.issues[0]?.message).not.toContain(text);
    },
  );
});
