import type { WorkerOutput } from "@xvault/contracts";
import { generateSigningKey, signBytes, type SigningKey } from "@xvault/crypto";
import { XVaultError } from "@xvault/kernel";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

/** Who a worker is: the key that it made itself, and what the hub gave it for that key. */
export interface WorkerIdentity {
  workerId: string;
  key: SigningKey;
}

export type Enrol = (request: { token: string; publicKey: string; proof: string }) => Promise<WorkerOutput<"enrol">>;

/**
 * Reads this worker's identity from `home`, or makes one and spends the enrolment token on it. The private key never leaves the
 * machine; the file has mode 0600.
 *
 * @throws ENROLLMENT_INVALID when there is neither an identity nor a token.
 */
export async function loadIdentity(home: string, token: string | undefined, enrol: Enrol): Promise<WorkerIdentity> {
  const directory = join(home, "worker");
  const file = join(directory, "identity.json");
  const saved = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw new XVaultError("STORAGE_FAILED", `The worker's identity in ${file} cannot be read.`, { cause: error });
  });
  if (saved !== null) return JSON.parse(saved) as WorkerIdentity;
  if (token === undefined) {
    throw new XVaultError("ENROLLMENT_INVALID", "This worker is not enrolled yet and was given no enrolment token.", {
      fix: "Make a token on the Admin page and start the worker with XVAULT_ENROLLMENT_TOKEN.",
    });
  }
  const key = generateSigningKey();
  const { worker_id: workerId } = await enrol({
    token,
    publicKey: key.publicKey,
    proof: signBytes(Buffer.from(token), key.privateKey),
  });
  const identity: WorkerIdentity = { workerId, key };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const handle = await open(`${file}.new`, "w", 0o600);
  try {
    await handle.writeFile(JSON.stringify(identity));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  return identity;
}
