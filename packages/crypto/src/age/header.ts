import { XVaultError } from "@xvault/kernel";
import { Decrypter, Encrypter } from "age-encryption";
import { createHash } from "node:crypto";
import { checkRecipient } from "../identity/keys.ts";

/** The longest header that is read, in bytes: room for several hundred recipients. */
export const MAX_HEADER_LENGTH = 64 * 1024;

const VERSION_LINE = "age-encryption.org/v1";
const STANZA_LINE = /^->( [\x21-\x7e]+)+$/;
const BODY_LINE = /^[A-Za-z0-9+/]{0,64}$/;
const MAC_LINE = /^--- [A-Za-z0-9+/]{43}$/;
const LINE_FEED = 0x0a;

function malformed(message: string, cause?: unknown): XVaultError {
  return new XVaultError("ARCHIVE_MALFORMED", message, { cause });
}

/**
 * Makes a fresh file key and the age v1 header that wraps it for every recipient (duplicates count once).
 *
 * @throws RECIPIENT_INVALID, RECIPIENT_IS_PRIVATE.
 */
export async function createAgeHeader(recipients: readonly string[]): Promise<{ header: Buffer; fileKey: Buffer }> {
  const unique = [...new Set(recipients.map(checkRecipient))];
  if (unique.length === 0) throw new XVaultError("RECIPIENT_INVALID", "There is no recipient to encrypt to.");
  const encrypter = new Encrypter();
  for (const recipient of unique) encrypter.addRecipient(recipient);
  let fileKey = Buffer.alloc(0);
  // age-encryption hands the file key to recipients only; one that adds no stanza merely takes note of it.
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = Buffer.from(key);
      return [];
    },
  });
  let empty: Buffer;
  try {
    empty = Buffer.from(await encrypter.encrypt(new Uint8Array(0)));
  } catch (cause) {
    throw new XVaultError("RECIPIENT_INVALID", undefined, { cause });
  }
  const parsed = parseAgeHeader(empty);
  if (!parsed) throw malformed(`The header for ${unique.length} recipients has no end.`);
  return { header: Buffer.from(empty.subarray(0, parsed.length)), fileKey };
}

/**
 * Finds the end of the header in the first bytes of an age file. Nothing is authenticated here: {@link unwrapFileKey} does that.
 *
 * @returns the header's length in bytes, its last line feed included; null when `prefix` is too short to tell.
 * @throws ARCHIVE_MALFORMED when this is no age v1 header, or one longer than {@link MAX_HEADER_LENGTH}.
 */
export function parseAgeHeader(prefix: Buffer): { length: number } | null {
  const bounded = prefix.subarray(0, MAX_HEADER_LENGTH);
  const start = bounded.subarray(0, VERSION_LINE.length + 1).toString("latin1");
  if (!`${VERSION_LINE}\n`.startsWith(start)) throw malformed("This is not a binary age v1 file.");
  let at = VERSION_LINE.length + 1;
  let stanzas = 0;
  let inBody = false;
  for (;;) {
    const end = bounded.indexOf(LINE_FEED, at);
    if (end < 0 || at >= bounded.length) {
      if (bounded.length === MAX_HEADER_LENGTH) throw malformed("The age header is too long.");
      return null;
    }
    const line = bounded.toString("latin1", at, end);
    at = end + 1;
    if (inBody) {
      if (!BODY_LINE.test(line)) throw malformed("The age header has a malformed stanza.");
      inBody = line.length === 64;
    } else if (STANZA_LINE.test(line)) {
      stanzas += 1;
      inBody = true;
    } else if (MAC_LINE.test(line) && stanzas > 0) {
      return { length: at };
    } else {
      throw malformed("The age header has a malformed line.");
    }
  }
}

/** The hash by which a manifest names its artifact's header: SHA-256 in lower-case hex. */
export function headerSha256(header: Uint8Array): string {
  return createHash("sha256").update(header).digest("hex");
}

/**
 * Opens the header with the first identity that fits and checks the header's MAC.
 *
 * @param header exactly the header, as {@link parseAgeHeader} measures it.
 * @returns the file key, which opens this one file and no other.
 * @throws KEY_MISMATCH when none of the identities opens it; ARTIFACT_CORRUPT when the MAC is wrong; ARCHIVE_MALFORMED;
 * IDENTITY_INVALID.
 */
export async function unwrapFileKey(header: Buffer, identities: readonly string[]): Promise<Buffer> {
  if (parseAgeHeader(header)?.length !== header.length) throw malformed("This is not a whole age header.");
  const decrypter = new Decrypter();
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity);
    } catch {
      // The cause may quote the identity, so it is not passed on.
      throw new XVaultError("IDENTITY_INVALID");
    }
  }
  try {
    return Buffer.from(await decrypter.decryptHeader(header));
  } catch (cause) {
    throw headerError(cause);
  }
}

/** age-encryption throws plain errors; their texts are the only way to tell them apart (a test holds them to it). */
function headerError(cause: unknown): XVaultError {
  const text = cause instanceof Error ? cause.message : "";
  if (text.startsWith("no identity matched")) return new XVaultError("KEY_MISMATCH", undefined, { cause });
  if (text.startsWith("invalid header HMAC")) {
    return new XVaultError("ARTIFACT_CORRUPT", "The age header was changed after it was written.", { cause });
  }
  return malformed("The age header cannot be read.", cause);
}
