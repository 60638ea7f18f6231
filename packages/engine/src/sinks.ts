import type { ByteSink } from "@xvault/kernel";
import { createHash } from "node:crypto";

/** Passes bytes on and counts and hashes them on the way. */
export function meter(next: ByteSink): ByteSink & { result(): { sizeBytes: number; sha256: string } } {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let digest: string | undefined;
  return {
    write: (chunk) => {
      hash.update(chunk);
      sizeBytes += chunk.length;
      return next.write(chunk);
    },
    close: () => next.close(),
    result: () => {
      digest ??= hash.digest("hex");
      return { sizeBytes, sha256: digest };
    },
  };
}
