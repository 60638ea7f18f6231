const lent = new WeakSet<ArrayBufferLike>();

/**
 * Memory that whoever is done with the bytes last may give back at once, where the garbage collector would come for it some time later: a
 * backup makes several times its own size of buffers, and the collector, which sees small objects only, lets them heap up. The rules:
 *
 * - who makes bytes and never looks at them again says `lend`; the memory must be theirs alone;
 * - who is the last to look at them says `giveBack`; nothing may refer to them then, neither a part of them nor a write that is under way;
 * - who keeps them, or hands them to several, says `keepForGood` before.
 *
 * Bytes that nobody gives back are left to the collector, as ever. Small ones are never lent: Node cuts them out of memory that they share.
 */
export function lend(bytes: Buffer): Buffer {
  if (bytes.length >= Buffer.poolSize >>> 1) lent.add(bytes.buffer);
  return bytes;
}

/** Takes the loan back: the bytes stay as long as anybody refers to them. */
export function keepForGood(bytes: Buffer): void {
  lent.delete(bytes.buffer);
}

/** Frees the memory of bytes that were lent; they are empty then. Does nothing to others. */
export function giveBack(bytes: Buffer): void {
  const memory = bytes.buffer;
  if (lent.delete(memory) && memory instanceof ArrayBuffer) memory.transfer(0);
}
