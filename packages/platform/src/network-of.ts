import ipaddr from "ipaddr.js";

/**
 * What counts as one caller where calls are counted by address: an IPv4 address, or the first 64 bits of an IPv6 one, since whoever has one of
 * these has all 2^64 addresses below it. What is no address is given back as it is.
 */
export function networkOf(address: string): string {
  const bare = address.split("%")[0] ?? "";
  if (!ipaddr.isValid(bare)) return address;
  const parsed = ipaddr.process(bare);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(":")}::/64`;
}
