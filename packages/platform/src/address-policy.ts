import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

export interface AddressPolicyOptions {
  /** Loopback and private addresses (RFC 1918, RFC 4193) may be connected to. Never link-local ones: cloud metadata lives there. */
  allowPrivate: boolean;
  /** Ranges that the operator allows, whatever they hold: `10.0.0.0/8`, `fd00::/8`, or a lone address. */
  allowedRanges: readonly string[];
}

/** Which addresses may be connected to on a customer's behalf. */
export interface AddressPolicy {
  /**
   * Judges one resolved address; ask for the very address that is then connected to, or a second DNS answer slips past. Only
   * plainly written addresses are judged: `127.1`, `0x7f000001` or a host name are refused.
   */
  allow(ip: string): boolean;
}

const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR("2000::/3");
/** Prefixes of IPv6 that lead to an IPv4 address, and the octet at which it begins. */
const EMBEDDINGS = [
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], offset: 12 }, // ::ffff:0:0/96
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], offset: 12 }, // ::ffff:0:0:0/96
  { prefix: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], offset: 12 }, // 64:ff9b::/96
  { prefix: [0x20, 0x02], offset: 2 }, // 2002::/16
];
/** Metadata services that sit inside ranges which are otherwise private. */
const METADATA = [ipaddr.parse("fd00:ec2::254")];

/** Makes the policy. Throws when a range is not written as one (the configuration checks them first). */
export function createAddressPolicy({ allowPrivate, allowedRanges }: AddressPolicyOptions): AddressPolicy {
  const ranges = allowedRanges.map(parseRange);
  const listed = (address: Address) => ranges.some((range) => within(address, range));

  const judge = (address: Address): boolean => {
    if (listed(address)) return true;
    const embedded = address instanceof ipaddr.IPv6 ? embeddedV4(address) : null;
    if (embedded) return judge(embedded);
    const kind = address.range();
    if (kind === "loopback" || kind === "private" || kind === "uniqueLocal") {
      return allowPrivate && !METADATA.some((other) => other.toNormalizedString() === address.toNormalizedString());
    }
    if (kind !== "unicast") return false;
    return address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST_V6);
  };

  return {
    allow(ip) {
      const address = parsePlain(ip);
      return address !== null && judge(address);
    },
  };
}

function parsePlain(ip: string): Address | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(ip)) return ipaddr.IPv4.parse(ip);
  // A zone (fe80::1%eth0) only makes sense for link-local addresses, which are never allowed.
  if (ip.includes("%") || !ipaddr.IPv6.isValid(ip)) return null;
  // ipaddr.js takes ::8.8.8.8 for ::ffff:8.8.8.8, which it is not; in plain hexadecimal the two cannot be confused.
  const written = `http://[${ip}]`;
  return URL.canParse(written) ? ipaddr.IPv6.parse(new URL(written).hostname.slice(1, -1)) : null;
}

/** The IPv4 address that traffic to `address` ends up at: mapped, translated (RFC 6145, NAT64 of RFC 6052) or 6to4 (RFC 3056). */
function embeddedV4(address: ipaddr.IPv6): ipaddr.IPv4 | null {
  const octets = address.toByteArray();
  const at = EMBEDDINGS.find(({ prefix }) => prefix.every((octet, index) => octets[index] === octet));
  return at ? new ipaddr.IPv4(octets.slice(at.offset, at.offset + 4)) : null;
}

function parseRange(range: string): [Address, number] {
  if (range.includes("/")) return ipaddr.parseCIDR(range);
  const address = ipaddr.parse(range);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

function within(address: Address, [base, bits]: [Address, number]): boolean {
  if (address instanceof ipaddr.IPv4 && base instanceof ipaddr.IPv4) return address.match(base, bits);
  if (address instanceof ipaddr.IPv6 && base instanceof ipaddr.IPv6) return address.match(base, bits);
  return false;
}
