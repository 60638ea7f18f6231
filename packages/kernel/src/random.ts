/** Cryptographic randomness from the platform (Node and browsers alike). */
export function randomUUID(): string {
  return globalThis.crypto.randomUUID();
}

/** `length` random bytes. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}
