import { createCipheriv, createHash } from "node:crypto";

/** Numbers and bytes that depend on the seed alone. */
export interface Random {
  /** At least 0, below 1. */
  next(): number;
  /** Fills the buffer with bytes that no program can compress. */
  fill(target: Buffer): void;
}

const POOL_BYTES = 64 * 1024;

/** The key stream of AES in counter mode under a key made of the seed: fast, and the same everywhere. */
export function createRandom(seed: string): Random {
  const key = createHash("sha256").update(seed).digest();
  const stream = createCipheriv("aes-128-ctr", key.subarray(0, 16), key.subarray(16));
  const zeros = Buffer.alloc(POOL_BYTES);
  let pool = stream.update(zeros);
  let at = 0;
  return {
    next() {
      if (at + 4 > pool.length) {
        pool = stream.update(zeros);
        at = 0;
      }
      at += 4;
      return pool.readUInt32LE(at - 4) / 2 ** 32;
    },
    fill(target) {
      for (let from = 0; from < target.length; from += POOL_BYTES) {
        const length = Math.min(POOL_BYTES, target.length - from);
        stream.update(zeros.subarray(0, length)).copy(target, from);
      }
    },
  };
}

/** The items in an order that the seed decides. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(random.next() * left.length), 1));
  return out;
}

const WORDS = 4096;

/** Fills the buffer with words, common ones more often: about as compressible as source code or logs. */
export function createText(seed: string): (target: Buffer) => void {
  const random = createRandom(`words ${seed}`);
  const words = Array.from({ length: WORDS }, () => {
    const letters = 2 + Math.floor(random.next() * 9);
    const word = Array.from({ length: letters }, () => String.fromCharCode(97 + Math.floor(random.next() * 26)));
    return Buffer.from(`${word.join("")}${random.next() < 0.1 ? "\n" : " "}`);
  });
  return (target) => {
    for (let at = 0; at < target.length;) {
      const word = words[Math.floor(WORDS * random.next() ** 3)] as Buffer;
      at += word.copy(target, at);
    }
  };
}
