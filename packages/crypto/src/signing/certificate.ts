import { workerCertificateSchema } from "@xvault/contracts";
import { XVaultError } from "@xvault/kernel";
import { signDocument, verifyDocument } from "./documents.ts";
import { publicKeyOf, signingKeyId } from "./ed25519.ts";

/** Separates certificate signatures from all others made with the root key. */
const DOMAIN = "xvault certificate v1\n";

/**
 * The hub's word that a signing key belongs to a worker: what a manifest carries, so that it can be checked without the hub. The
 * signature is over "xvault certificate v1\n" and the canonical JSON of all other members; both times are inclusive.
 */
export type WorkerCertificate = ReturnType<typeof workerCertificateSchema.parse>;

/** Certifies a worker's public key with the hub's root key (PEM). */
export function issueCertificate(
  subject: { workerId: string; publicKey: string; notBefore: Date; notAfter: Date },
  rootPrivateKey: string,
): WorkerCertificate {
  // Refuses a malformed public key before it is certified.
  signingKeyId(subject.publicKey);
  const body = {
    version: 1,
    worker_id: subject.workerId,
    public_key: subject.publicKey,
    not_before: subject.notBefore.toISOString(),
    not_after: subject.notAfter.toISOString(),
    issuer: signingKeyId(publicKeyOf(rootPrivateKey)),
  } as const;
  return { ...body, signature: signDocument(body, rootPrivateKey, DOMAIN) };
}

/**
 * Checks that one of the root keys (base64 of 32 raw bytes) issued the certificate and, where `at` is given, that it was valid then:
 * for a manifest that is the time it was made, not now.
 *
 * @throws SIGNATURE_INVALID.
 */
export function verifyCertificate(cert: WorkerCertificate, rootPublicKeys: readonly string[], at?: Date): void {
  if (!workerCertificateSchema.safeParse(cert).success) {
    throw new XVaultError("SIGNATURE_INVALID", "The worker's certificate is malformed or of an unknown version.");
  }
  const root = rootPublicKeys.find((key) => signingKeyId(key) === cert.issuer);
  if (root === undefined) {
    throw new XVaultError(
      "SIGNATURE_INVALID",
      "The worker's certificate was not issued by a root key that is known here.",
    );
  }
  verifyDocument(cert, cert.signature, root, DOMAIN);
  if (at === undefined) return;
  const within = Date.parse(cert.not_before) <= at.getTime() && at.getTime() <= Date.parse(cert.not_after);
  if (!within) throw new XVaultError("SIGNATURE_INVALID", "The worker's certificate was not valid at that time.");
}
