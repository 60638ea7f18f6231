import { unwrapFileKey } from "@xvault/crypto";
import { type CheckedSnapshot, unsealSnapshot } from "../snapshot.ts";

/**
 * Unseals a checked snapshot where the identity is: on the owner's machine. The identities are tried in their order and stay here; the
 * artifacts that the snapshot refers to are unsealed with them when they are needed.
 *
 * @throws KEY_MISMATCH when none of them opens it; ARTIFACT_CORRUPT, IDENTITY_INVALID.
 */
export async function unsealWithIdentities(
  checked: CheckedSnapshot,
  identities: readonly string[],
): ReturnType<typeof unsealSnapshot> {
  const [artifact, index] = await Promise.all([
    unwrapFileKey(checked.headers.artifact, identities),
    unwrapFileKey(checked.headers.index, identities),
  ]);
  return unsealSnapshot(checked, { artifact, index, earlier: ({ header }) => unwrapFileKey(header, identities) });
}
