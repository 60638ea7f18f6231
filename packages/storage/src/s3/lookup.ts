import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { XVaultError } from "@xvault/kernel";

/**
 * Resolves names as the system does and fails with `TARGET_FORBIDDEN` when one of the addresses may not be connected to. Sockets connect to what it
 * gives, never to the name again, so that a second answer of the name server (rebinding) has no effect.
 */
export function checkedLookup(policy: { allow(address: string): boolean }): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error) return done(error, []);
      const refused = found.find(({ address }) => !policy.allow(address));
      if (refused) return done(forbidden(host, refused.address), []);
      const [first] = found;
      if (options.all === true || first === undefined) return done(null, found);
      done(null, first.address, first.family);
    });
  };
}

function forbidden(host: string, address: string): XVaultError {
  const what = host === address ? address : `'${host}' leads to ${address}, which`;
  return new XVaultError("TARGET_FORBIDDEN", `${what} lies in a range that xVault must not connect to.`, {
    data: { host, address },
  });
}

/** Asks `lookup` about an address that is written as one: sockets connect to those without asking. */
export function checkLiteral(lookup: LookupFunction, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    lookup(address, { all: true }, (error) => (error ? reject(error) : resolve()));
  });
}
