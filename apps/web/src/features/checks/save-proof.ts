import type { RestoreProof } from "@xvault/contracts";
import { canonicalJson, shortId } from "@xvault/kernel";
import { saveTextFile } from "../../lib/save-file.ts";

/** Hands a proof to the browser as a file, in the one form in which it was signed. */
export function saveProof(proof: RestoreProof): void {
  const day = proof.finished_at.slice(0, 10);
  saveTextFile(`restore-proof-${shortId(proof.snapshot_id)}-${day}.json`, `${canonicalJson(proof)}\n`);
}
