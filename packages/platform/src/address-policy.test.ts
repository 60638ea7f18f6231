import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAddressPolicy } from "./address-policy.ts";

const strict = createAddressPolicy({ allowPrivate: false, allowedRanges: [] });
const lenient = createAddressPolicy({ allowPrivate: true, allowedRanges: [] });

const PUBLIC = [
  "1.1.1.1",
  "93.184.216.34",
  "172.15.0.1",
  "172.32.0.1",
  "100.63.255.255",
  "2606:4700::1111",
  "2a00:1450:4001::1",
];
const PRIVATE = [
  "127.0.0.1",
  "127.255.0.9",
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "::1",
  "fd12::1",
  "fc00::1",
];
const NEVER = [
  "0.0.0.0",
  "0.1.2.3",
  "169.254.169.254",
  "169.254.0.1",
  "100.64.0.1",
  "100.100.100.200",
  "224.0.0.1",
  "239.1.2.3",
  "240.0.0.1",
  "255.255.255.255",
  "192.0.0.1",
  "192.0.2.5",
  "198.18.0.1",
  "198.51.100.1",
  "203.0.113.9",
  "::",
  "fe80::1",
  "fec0::1",
  "ff02::1",
  "2001:db8::1",
  "2001::1",
  "100::1",
  "fd00:ec2::254",
  "4000::1",
  "5f00::1",
];
/** One address, written so that a careless check does not see it. Each leads to 127.0.0.1 or says nothing else. */
const ODD = [
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f000001",
  "0x7f.0.0.1",
  "0177.0.0.1",
  "017700000001",
  "127.0.0.01",
  "127.0.0.1.",
  " 127.0.0.1",
  "127.0.0.1 ",
  "127.0.0.1%0",
  "[::1]",
  "::1%lo",
  "fe80::1%eth0",
  "localhost",
  "",
  "1.1.1.1/32",
  "1.1.1",
  "16843009",
];

/** The forms of IPv6 that end at an IPv4 address. */
function embedded(v4: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = v4.split(".").map(Number);
  const high = ((a << 8) | b).toString(16);
  const low = ((c << 8) | d).toString(16);
  return [
    `::ffff:${v4}`,
    `::ffff:${high}:${low}`,
    `0:0:0:0:0:ffff:${high}:${low}`,
    `64:ff9b::${high}:${low}`,
    `::ffff:0:${v4}`,
    `2002:${high}:${low}::1`,
  ];
}

describe("which addresses may be connected to (promise 37)", () => {
  test.each(PUBLIC)("%s may, always", (ip) => {
    expect([strict.allow(ip), lenient.allow(ip)]).toEqual([true, true]);
  });

  test.each(PRIVATE)("%s may where private addresses are allowed", (ip) => {
    expect([strict.allow(ip), lenient.allow(ip)]).toEqual([false, true]);
  });

  test.each(NEVER)("%s may not, ever", (ip) => {
    expect([strict.allow(ip), lenient.allow(ip)]).toEqual([false, false]);
  });

  test.each(ODD)("%j is refused for its form", (ip) => {
    expect([strict.allow(ip), lenient.allow(ip)]).toEqual([false, false]);
  });

  test.each(["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "8.8.8.8"])(
    "%s is judged the same in every IPv6 form of it",
    (v4) => {
      for (const ip of embedded(v4)) {
        expect([ip, strict.allow(ip), lenient.allow(ip)]).toEqual([ip, strict.allow(v4), lenient.allow(v4)]);
      }
    },
  );

  test.each(["::127.0.0.1", "::7f00:1", "64:ff9b:1::7f00:1", "2001:0:7f00:1::", "::8.8.8.8"])(
    "%s, an embedding of old or local meaning, may not",
    (ip) => {
      expect([strict.allow(ip), lenient.allow(ip)]).toEqual([false, false]);
    },
  );

  test("no IPv6 form of an address opens what the address itself may not", () => {
    const octet = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(octet, octet, octet, octet, (a, b, c, d) => {
        const v4 = `${a}.${b}.${c}.${d}`;
        for (const ip of embedded(v4)) expect(strict.allow(ip)).toBe(strict.allow(v4));
      }),
    );
  });

  test("ranges of the operator open exactly what they hold, in every form", () => {
    const policy = createAddressPolicy({
      allowPrivate: false,
      allowedRanges: ["10.20.0.0/16", "fd12:3456::/32", "192.168.7.7"],
    });
    for (const ip of [
      "10.20.0.1",
      "10.20.255.255",
      "fd12:3456::1",
      "192.168.7.7",
      "::ffff:10.20.0.1",
      "::ffff:a14:1",
    ]) {
      expect([ip, policy.allow(ip)]).toEqual([ip, true]);
    }
    for (const ip of ["10.21.0.1", "fd12:3457::1", "192.168.7.8", "127.0.0.1", "::1", "::ffff:10.21.0.1"]) {
      expect([ip, policy.allow(ip)]).toEqual([ip, false]);
    }
  });

  test("a range that is none is not taken for nothing", () => {
    expect(() => createAddressPolicy({ allowPrivate: false, allowedRanges: ["intranet"] })).toThrow();
  });
});
