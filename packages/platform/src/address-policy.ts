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
  if (!ip.includes("%") && ipaddr.IPv6.isValid(ip)) return ipaddr.IPv6.parse(ip);
  return null;
}

/** The IPv4 address that traffic to `address` ends up at: mapped, translated (NAT64, RFC 6052; RFC 6145) or 6to4 (RFC 3056). */
function embeddedV4(address: ipaddr.IPv6): ipaddr.IPv4 | null {
  const octets = address.toByteArray();
  switch (address.range()) {
    case "ipv4Mapped":
    case "rfc6145":
    case "rfc6052":
      return new ipaddr.IPv4(octets.slice(12));
    case "6to4":
      return new ipaddr.IPv4(octets.slice(2, 6));
    default:
      return null;
  }
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
