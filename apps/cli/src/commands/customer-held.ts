import type { Snapshot } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";

/** The platform cannot decrypt what it has no key for: says so before anything is asked of a worker. @throws KEY_CUSTOMER_HELD */
export function refuseCustomerHeld(snapshot: Snapshot, instead: string): void {
  if (snapshot.key_holder !== "customer") return;
  throw new XVaultError("KEY_CUSTOMER_HELD", undefined, { fix: `Run '${instead}' where the identity is.` });
}
