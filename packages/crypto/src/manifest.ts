import { MANIFEST_DOMAIN, manifestSchema, type Manifest, type ManifestBody } from "@xvault/contracts";
import { canonicalJson, type Json, XVaultError } from "@xvault/kernel";
import { createHash } from "node:crypto";
import { verifyCertificate } from "./signing/certificate.ts";
import { signDocument, verifyDocument } from "./signing/documents.ts";

/** Longest manifest that is read, in bytes: room for thousands of references, no room for a bomb. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Items of a list in it. The schema notes what is wrong with each one, which of millions would fill the memory. */
const MAX_LIST = 100_000;

/** Signs a manifest with the worker's private key (PEM). The result, as {@link manifestBytes}, is what `manifest.json` holds. */
export function signManifest(body: ManifestBody, privateKey: string): Manifest {
  return { ...body, signature: signDocument(body, privateKey, MANIFEST_DOMAIN) };
}

/** The one byte form of a manifest: canonical JSON (RFC 8785). */
export function manifestBytes(manifest: Manifest): Buffer {
  return Buffer.from(canonicalJson(manifest as unknown as Json), "utf8");
}

/** Hash over `manifest.json`, hex: by it later manifests, and the hub, refer to this one. */
export function manifestSha256(manifest: Manifest): string {
  return createHash("sha256").update(manifestBytes(manifest)).digest("hex");
}

/**
 * Reads `manifest.json`. Says nothing about who wrote it: see {@link verifyManifest}.
 *
 * @throws ARCHIVE_MALFORMED when it is not a manifest of a format that is known.
 */
export function parseManifest(bytes: Buffer): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw new XVaultError("ARCHIVE_MALFORMED", "The manifest is too long.");
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new XVaultError("ARCHIVE_MALFORMED", "The manifest is not JSON.", { cause });
  }
  if (hasEndlessList(value)) throw new XVaultError("ARCHIVE_MALFORMED", "A list in the manifest is too long.");
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const format = (value as { format?: unknown } | null)?.format;
    const newer = typeof format === "number" && format > 1;
    throw new XVaultError(
      "ARCHIVE_MALFORMED",
      newer
        ? `The manifest has format ${format}, which this version cannot read.`
        : "The manifest does not follow its format.",
      newer ? { fix: "Use a newer xVault.", cause: parsed.error } : { cause: parsed.error },
    );
  }
  return parsed.data;
}

function hasEndlessList(value: unknown): boolean {
  const { references, encryption } = (value ?? {}) as {
    references?: unknown;
    encryption?: { recipients?: unknown } | null;
  };
  return [references, encryption?.recipients].some((list) => Array.isArray(list) && list.length > MAX_LIST);
}

/**
 * Checks that a worker of this platform made the manifest: its certificate is signed by one of `rootKeys` (base64), was valid when the
 * manifest was made, names the same worker, and its key signed the body. age itself does not say who wrote a file; this does.
 *
 * @throws SIGNATURE_INVALID
 */
export function verifyManifest(manifest: Manifest, rootKeys: string[]): void {
  const { signature, ...body } = manifest;
  verifyCertificate(manifest.certificate, rootKeys, new Date(manifest.created_at));
  if (manifest.certificate.worker_id !== manifest.worker_id) {
    throw new XVaultError("SIGNATURE_INVALID", "The manifest's certificate belongs to another worker.");
  }
  verifyDocument(body, signature, manifest.certificate.public_key, MANIFEST_DOMAIN);
}
