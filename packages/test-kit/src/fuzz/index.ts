import { isXVaultError, type ByteReader, type ErrorCode } from "@xvault/kernel";
import fc from "fast-check";

/**
 * Runs a property over random inputs. A failure names its seed; `XVAULT_FUZZ_SEED` runs that one again, `XVAULT_FUZZ_FACTOR` multiplies the
 * number of runs (100 makes seconds of `npm test` minutes).
 */
export async function fuzz<Input>(
  inputs: fc.Arbitrary<Input>,
  holds: (input: Input) => Promise<void> | void,
  runs = 300,
): Promise<void> {
  const seed = process.env["XVAULT_FUZZ_SEED"];
  const factor = Number(process.env["XVAULT_FUZZ_FACTOR"] ?? "1");
  const property = fc.asyncProperty(inputs, async (input) => holds(input));
  await fc.assert(property, {
    numRuns: Math.ceil(runs * factor),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
}

/** One change of bytes: what to do, where (as a part of the length), and with what. */
interface Change {
  kind: "flip" | "set" | "number" | "cut" | "drop" | "double" | "insert" | "swap";
  at: number;
  other: number;
  bit: number;
  bytes: Uint8Array;
}

/** Numbers that formats stumble over, as the bytes of fields. */
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("flip", "set", "number", "cut", "drop", "double", "insert", "swap"),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  other: fc.double({ min: 0, max: 1, noNaN: true }),
  bit: fc.nat(NUMBERS.length - 1),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
});

/** Valid inputs with a few changes, most of them near each other's places and small; sometimes bytes that never were valid. */
export function mutated(valid: readonly Buffer[], mostChanges = 4): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(fc.constantFrom(...valid), fc.array(change, { minLength: 1, maxLength: mostChanges }))
    .map(([bytes, changes]) => changes.reduce(apply, bytes));
  const random = fc.uint8Array({ maxLength: 2048 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 12, arbitrary: changed }, { weight: 1, arbitrary: random });
}

function apply(bytes: Buffer, { kind, at: part, other, bit, bytes: given }: Change): Buffer {
  const at = Math.floor(part * bytes.length);
  const copy = Buffer.from(bytes);
  const [first, second] = [Math.min(part, other), Math.max(part, other)].map((x) => Math.floor(x * bytes.length));
  switch (kind) {
    case "flip":
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
      return copy;
    case "set":
      Buffer.from(given).copy(copy, at);
      return copy;
    case "number":
      if (at + 4 <= copy.length) copy.writeUInt32LE(NUMBERS[bit] ?? 0, at);
      return copy;
    case "cut":
      return copy.subarray(0, at);
    case "drop":
      return Buffer.concat([copy.subarray(0, first), copy.subarray(Math.min(second ?? 0, (first ?? 0) + 600))]);
    case "double":
      return Buffer.concat([copy.subarray(0, second), copy.subarray(first)]);
    case "insert":
      return Buffer.concat([copy.subarray(0, at), given, copy.subarray(at)]);
    case "swap": {
      const length = given.length;
      bytes.copy(copy, first, second, (second ?? 0) + length);
      bytes.copy(copy, second, first, (first ?? 0) + length);
      return copy;
    }
  }
}

/** A reader over bytes that counts, and ends what would read for ever: an error of no family of ours. */
export function boundedReader(bytes: Buffer, mostReads = 10_000): ByteReader & { largest: number; reads: number } {
  return {
    size: bytes.length,
    largest: 0,
    reads: 0,
    async read(offset, length) {
      this.reads += 1;
      this.largest = Math.max(this.largest, length);
      if (this.reads > mostReads) throw new Error(`more than ${mostReads} reads of ${bytes.length} bytes`);
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
        throw new Error(`a read of ${length} bytes at ${offset} of ${bytes.length}`);
      }
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  };
}

/** The chunks of a stream, cut at places that the pattern decides. */
export async function* chunked(bytes: Buffer, pattern: readonly number[]): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const length = Math.max(1, pattern[i % pattern.length] ?? bytes.length);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** What work gives, or null when it ended with one of the codes. Every other failure is thrown on: the family is part of the contract. */
export async function orRefused<Result>(
  codes: readonly ErrorCode[],
  work: () => Promise<Result> | Result,
): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    if (isXVaultError(error, ...codes)) return null;
    throw error;
  }
}

/** The largest buffer that was asked for by name while work ran. Bytes. */
export async function largestAllocation(work: () => Promise<unknown>): Promise<number> {
  const names = ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const;
  let largest = 0;
  const originals = names.map((name) => Buffer[name]);
  for (const [i, name] of names.entries()) {
    Buffer[name] = (size: number, ...rest: []) => {
      largest = Math.max(largest, size);
      return originals[i]?.(size, ...rest) ?? Buffer.from([]);
    };
  }
  try {
    await work();
  } finally {
    for (const [i, name] of names.entries()) Object.assign(Buffer, { [name]: originals[i] });
  }
  return largest;
}
