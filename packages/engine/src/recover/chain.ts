import type { Manifest, Tombstone } from "@xvault/contracts";
import { manifestSha256, standsFor } from "@xvault/crypto";
import { shortId } from "@xvault/kernel";

/**
 * Looks at the chains of a set of manifests: every snapshot names the one before it, by id and by the hash of its manifest. An
 * older one that is missing may simply not have been copied along; one that differs was exchanged. The same of the earlier snapshots
 * whose artifacts it needs: without them it does not restore whole. One that was removed on purpose left a tombstone; give those alone
 * whose signatures are good.
 *
 * @returns by snapshot id, a sentence for each snapshot that names another which is not here, or is not the one that it names.
 */
export function chainFindings(
  manifests: readonly Manifest[],
  tombstones: readonly Tombstone[] = [],
): Map<string, string> {
  const byId = new Map(manifests.map((manifest) => [manifest.snapshot_id, manifest]));
  const findings = new Map<string, string>();
  for (const manifest of manifests) {
    const { previous, references } = manifest;
    const lacking = references.find((reference) => {
      const found = byId.get(reference.snapshot_id);
      return !found || manifestSha256(found) !== reference.manifest_sha256;
    });
    if (lacking) {
      const what = byId.has(lacking.snapshot_id) ? "is not the one it was made with" : "is not here";
      findings.set(manifest.snapshot_id, `it needs the artifact of ${shortId(lacking.snapshot_id)}, which ${what}`);
      continue;
    }
    if (!previous) continue;
    if (tombstones.some((tombstone) => standsFor(tombstone, previous))) continue;
    const before = byId.get(previous.snapshot_id);
    if (!before) findings.set(manifest.snapshot_id, `its predecessor ${shortId(previous.snapshot_id)} is not here`);
    else if (manifestSha256(before) !== previous.manifest_sha256) {
      findings.set(
        manifest.snapshot_id,
        `its predecessor ${shortId(previous.snapshot_id)} is not the one it was made after`,
      );
    }
  }
  return findings;
}
