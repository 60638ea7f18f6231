import { XVaultError } from "@xvault/kernel";
import { decodeProtectedHeader } from "jose";
import { openJwe, sealJwe } from "./jwe.ts";
import { KEY_SIZE } from "./kek.ts";

/** A key-encryption key and the id under which wrapped keys name it, by custom `kekId(key)`. */
export interface KeyEncryptionKey {
  id: string;
  /** 32 bytes. */
  key: Buffer;
}

/** What a wrapped key is for. It opens only when the same purpose and tenant are named again. */
export interface WrapContext {
  /** Such as "tenant-data-key". */
  purpose: string;
  tenantId: string;
}

/**
 * The key-encryption keys of a hub. Data keys are wrapped by the current one; previous ones only unwrap, until everything is
 * re-wrapped. Rotation changes wrapped keys alone, never the secrets that the data keys encrypt.
 */
export interface Keyring {
  /** The id of the key that wraps. */
  readonly currentId: string;
  /** Wraps a data key as flattened JWE (A256GCMKW, A256GCM), as JSON text. */
  wrap(dataKey: Uint8Array, context: WrapContext): Promise<string>;
  /** @throws KEK_UNKNOWN, naming the key id (also `data.keyId`); SECRET_UNREADABLE when damaged or wrapped in another context. */
  unwrap(wrapped: string, context: WrapContext): Promise<Buffer>;
  /** The same data key under the current key; the text as it is when it is there already. Throws as `unwrap`. */
  rewrap(wrapped: string, context: WrapContext): Promise<string>;
  /** The id of the key that a wrapped key needs. @throws SECRET_UNREADABLE. */
  kidOf(wrapped: string): string;
  /** Holds against the ring the key ids that a database needs, at start. @throws KEK_UNKNOWN for the first that is missing. */
  requireKeys(ids: Iterable<string>): void;
}

/** @throws KEK_INVALID for a key that is not 32 bytes long, or an id that stands for two keys. */
export function createKeyring(keys: { current: KeyEncryptionKey; previous?: readonly KeyEncryptionKey[] }): Keyring {
  const byId = new Map<string, Buffer>();
  for (const { id, key } of [keys.current, ...(keys.previous ?? [])]) {
    if (key.length !== KEY_SIZE) {
      throw new XVaultError("KEK_INVALID", `The key encryption key ${id} holds ${key.length} bytes, not ${KEY_SIZE}.`);
    }
    const known = byId.get(id);
    if (known && !known.equals(key)) throw new XVaultError("KEK_INVALID", `Two key encryption keys have the id ${id}.`);
    byId.set(id, Buffer.from(key));
  }

  function keyOf(id: string): Buffer {
    const key = byId.get(id);
    if (key) return key;
    throw new XVaultError("KEK_UNKNOWN", `The key encryption key with the id ${id} is needed but not configured.`, {
      data: { keyId: id },
    });
  }
  function place(context: WrapContext) {
    return { purpose: context.purpose, tenant_id: context.tenantId };
  }

  const ring: Keyring = {
    currentId: keys.current.id,
    async wrap(dataKey, context) {
      const header = { alg: "A256GCMKW", kid: ring.currentId } as const;
      return sealJwe(dataKey, keyOf(ring.currentId), header, place(context));
    },
    async unwrap(wrapped, context) {
      return openJwe(wrapped, keyOf(ring.kidOf(wrapped)), "A256GCMKW", place(context));
    },
    async rewrap(wrapped, context) {
      if (ring.kidOf(wrapped) === ring.currentId) return wrapped;
      return ring.wrap(await ring.unwrap(wrapped, context), context);
    },
    kidOf(wrapped) {
      let kid: unknown;
      try {
        kid = decodeProtectedHeader(JSON.parse(wrapped) as { protected?: string }).kid;
      } catch (cause) {
        throw new XVaultError("SECRET_UNREADABLE", undefined, { cause });
      }
      if (typeof kid !== "string") throw new XVaultError("SECRET_UNREADABLE", "A wrapped key names no key id.");
      return kid;
    },
    requireKeys(ids) {
      for (const id of ids) keyOf(id);
    },
  };
  return ring;
}
