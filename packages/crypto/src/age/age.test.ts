import { generateHybridIdentity } from "age-encryption";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure } from "../../test/errors.ts";
import { BORDER_SIZES, memoryReader, memorySink, patternBytes } from "../../test/memory.ts";
import { generateIdentity, recipientOf } from "../identity.ts";
import { ageEncrypt, encryptPayload } from "./encrypt.ts";
import { MAX_HEADER_LENGTH, createAgeHeader, headerSha256, parseAgeHeader, unwrapFileKey } from "./header.ts";
import { openPayload } from "./open.ts";
import { SEALED_CHUNK_SIZE, ciphertextSize, plaintextSize } from "./payload-format.ts";

const keys = await generateIdentity();

async function encrypted(plain: Buffer, pieces: Buffer[] = [plain]) {
  const next = memorySink();
  const { sink, header, fileKey } = await ageEncrypt(next, [keys.recipient]);
  for (const piece of pieces) await sink.write(piece);
  await sink.close();
  return { file: next.bytes(), header, fileKey, next };
}

describe("the payload", () => {
  it.each(BORDER_SIZES)("of %i bytes comes back whole", async (size) => {
    const plain = patternBytes(size);
    const { file, header, fileKey, next } = await encrypted(plain);
    expect(next.closed).toBe(true);
    expect(file.length).toBe(ciphertextSize(size, header.length));
    expect(plaintextSize(file.length, header.length)).toBe(size);
    const reader = await openPayload(memoryReader(file), header.length, fileKey);
    expect(reader.size).toBe(size);
    expect((await reader.read(0, size)).equals(plain)).toBe(true);
    expect((await reader.read(size, 0)).length).toBe(0);
  });

  it("does not depend on how the plaintext is cut into writes, and leaves them as they are", async () => {
    const plain = patternBytes(300_000);
    const fixed = await encrypted(plain);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 140_000 }), { maxLength: 8 }), async (lengths) => {
        const pieces: Buffer[] = [];
        let at = 0;
        for (const length of lengths) {
          pieces.push(Buffer.from(plain.subarray(at, at + length)));
          at = Math.min(at + length, plain.length);
        }
        pieces.push(Buffer.from(plain.subarray(at)));
        const before = Buffer.concat(pieces);
        const { file, header, fileKey } = await encrypted(plain, pieces);
        expect(Buffer.concat(pieces).equals(before)).toBe(true);
        expect(file.length - header.length).toBe(fixed.file.length - fixed.header.length);
        const reader = await openPayload(memoryReader(file), header.length, fileKey);
        expect((await reader.read(0, plain.length)).equals(plain)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it("is written chunk by chunk, none of which is touched again", async () => {
    const next = memorySink();
    const { fileKey } = await createAgeHeader([keys.recipient]);
    const sink = encryptPayload(next, fileKey);
    const plain = patternBytes(5 * 1024 * 1024);
    const copies: Buffer[] = [];
    for (let at = 0; at < plain.length; at += 10_000) {
      await sink.write(plain.subarray(at, at + 10_000));
      while (copies.length < next.writes.length) copies.push(Buffer.from(next.writes[copies.length] as Buffer));
    }
    await sink.close();
    const lengths = next.writes.map((one) => one.length);
    expect(lengths).toEqual([16, ...Array.from({ length: 80 }, () => [65_536, 16]).flat()]);
    for (const [index, copy] of copies.entries()) expect(next.writes[index]?.equals(copy)).toBe(true);
  });

  it("waits for the next sink", async () => {
    const waiting: (() => void)[] = [];
    const slow = {
      write: () => new Promise<void>((resolve) => waiting.push(resolve)),
      close: async () => {},
    };
    const sink = encryptPayload(slow, Buffer.alloc(16));
    let taken = false;
    const writing = Promise.resolve(sink.write(patternBytes(150_000))).then(() => (taken = true));
    // The nonce, two chunks and their tags, one at a time.
    for (let write = 0; write < 5; write += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      expect([taken, waiting.length]).toEqual([false, 1]);
      waiting.pop()?.();
    }
    await writing;
    expect(taken).toBe(true);
  });

  it("never encrypts two files alike under one file key", async () => {
    const [first, second] = [memorySink(), memorySink()];
    for (const next of [first, second]) await encryptPayload(next, Buffer.alloc(16, 7)).close();
    expect(first.bytes().equals(second.bytes())).toBe(false);
  });
});

describe("random access", () => {
  it("gives any range", async () => {
    const plain = patternBytes(65_536 * 5 + 1234);
    const { file, header, fileKey } = await encrypted(plain);
    const reader = await openPayload(memoryReader(file), header.length, fileKey);
    await fc.assert(
      fc.asyncProperty(fc.nat(plain.length), fc.nat(plain.length), async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        expect((await reader.read(start, end - start)).equals(plain.subarray(start, end))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it("costs one ranged read of just the chunks touched, and none for the end of the file", async () => {
    const plain = patternBytes(65_536 * 10 + 100);
    const { file, header, fileKey } = await encrypted(plain);
    const cipher = memoryReader(file);
    const reader = await openPayload(cipher, header.length, fileKey);
    cipher.reads.length = 0;
    await reader.read(65_536 * 3 + 5, 65_536 * 2);
    expect(cipher.reads).toEqual([
      { offset: header.length + 16 + 3 * SEALED_CHUNK_SIZE, length: 3 * SEALED_CHUNK_SIZE },
    ]);
    cipher.reads.length = 0;
    await reader.read(plain.length - 50, 50);
    expect(cipher.reads).toEqual([]);
  });

  it("refuses what lies outside", async () => {
    const { file, header, fileKey } = await encrypted(patternBytes(100));
    const reader = await openPayload(memoryReader(file), header.length, fileKey);
    await failure("ARCHIVE_TRUNCATED", () => reader.read(90, 11));
    await failure("ARCHIVE_TRUNCATED", () => reader.read(-1, 2));
    expect((await reader.read(90, 10)).length).toBe(10);
  });
});

describe("damage", () => {
  const plain = patternBytes(65_536 * 3 + 500);

  it("is seen when the file was cut at the border of a chunk", async () => {
    const { file, header, fileKey } = await encrypted(plain);
    for (const chunks of [1, 2, 3]) {
      const cut = file.subarray(0, header.length + 16 + chunks * SEALED_CHUNK_SIZE);
      await failure("ARCHIVE_TRUNCATED", () => openPayload(memoryReader(cut), header.length, fileKey));
    }
  });

  it("is seen when the file was cut to a size that no file has", async () => {
    const { file, header, fileKey } = await encrypted(plain);
    for (const length of [
      header.length,
      header.length + 15,
      header.length + 31,
      header.length + 16 + SEALED_CHUNK_SIZE + 9,
    ]) {
      await failure("ARCHIVE_TRUNCATED", () =>
        openPayload(memoryReader(file.subarray(0, length)), header.length, fileKey),
      );
    }
  });

  it("is seen when the file was cut inside a chunk, lengthened, or its chunks swapped", async () => {
    const { file, header, fileKey } = await encrypted(plain);
    const start = header.length + 16;
    const inside = file.subarray(0, file.length - 100);
    await failure("ARTIFACT_CORRUPT", () => openPayload(memoryReader(inside), header.length, fileKey));
    const longer = Buffer.concat([file, Buffer.alloc(40)]);
    await failure("ARTIFACT_CORRUPT", () => openPayload(memoryReader(longer), header.length, fileKey));
    const swapped = Buffer.concat([
      file.subarray(0, start),
      file.subarray(start + SEALED_CHUNK_SIZE, start + 2 * SEALED_CHUNK_SIZE),
      file.subarray(start, start + SEALED_CHUNK_SIZE),
      file.subarray(start + 2 * SEALED_CHUNK_SIZE),
    ]);
    const reader = await openPayload(memoryReader(swapped), header.length, fileKey);
    await failure("ARTIFACT_CORRUPT", () => reader.read(0, 1));
    await failure("ARTIFACT_CORRUPT", () => reader.read(65_536, 1));
    expect((await reader.read(2 * 65_536, 10)).equals(plain.subarray(2 * 65_536, 2 * 65_536 + 10))).toBe(true);
  });

  it("of any one bit of the payload is seen by whoever reads that chunk", async () => {
    const { file, header, fileKey } = await encrypted(plain);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: header.length, max: file.length - 1 }), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(file);
        flipped[at] = (flipped[at] as number) ^ (1 << bit);
        await failure("ARTIFACT_CORRUPT", async () => {
          const reader = await openPayload(memoryReader(flipped), header.length, fileKey);
          await reader.read(0, reader.size);
        });
      }),
      { numRuns: 60 },
    );
  });

  it("includes another file's key", async () => {
    const { file, header } = await encrypted(plain);
    await failure("ARTIFACT_CORRUPT", () => openPayload(memoryReader(file), header.length, Buffer.alloc(16, 1)));
    await failure("KEY_MISMATCH", () => openPayload(memoryReader(file), header.length, Buffer.alloc(15)));
  });
});

describe("the header", () => {
  it("opens with the identity of each recipient and with no other", async () => {
    const second = await generateIdentity();
    const stranger = await generateIdentity();
    const { header, fileKey } = await createAgeHeader([keys.recipient, ` ${second.recipient}\n`, keys.recipient]);
    expect(header.toString().match(/^-> X25519 /gm)).toHaveLength(2);
    for (const identity of [keys.identity, second.identity]) {
      expect((await unwrapFileKey(header, [stranger.identity, identity])).equals(fileKey)).toBe(true);
    }
    await failure("KEY_MISMATCH", () => unwrapFileKey(header, [stranger.identity]));
    await failure("KEY_MISMATCH", () => unwrapFileKey(header, []));
  });

  it("may be for a post-quantum recipient beside others", async () => {
    const identity = await generateHybridIdentity();
    const { header, fileKey } = await createAgeHeader([keys.recipient, await recipientOf(identity)]);
    expect(header.toString()).toContain("-> mlkem768x25519 ");
    for (const one of [identity, keys.identity]) {
      expect((await unwrapFileKey(header, [one])).equals(fileKey)).toBe(true);
    }
  });

  it("is measured exactly, from any prefix", async () => {
    const { file, header } = await encrypted(patternBytes(1000));
    for (let length = 0; length < header.length; length += 1) {
      expect(parseAgeHeader(file.subarray(0, length))).toBeNull();
    }
    for (const length of [header.length, header.length + 1, file.length]) {
      expect(parseAgeHeader(file.subarray(0, length))).toEqual({ length: header.length });
    }
  });

  it("is refused when it is something else or has no end", async () => {
    const { header } = await createAgeHeader([keys.recipient]);
    const text = header.toString("latin1");
    const bad = [
      "-----BEGIN AGE ENCRYPTED FILE-----\n",
      "PK",
      text.replace("v1", "v2"),
      text.replace("-> X25519", "=> X25519"),
      text.replace("-> X25519 ", "-> X25519  "),
      text.replace(/\n--- .*\n/, "\n--- short\n"),
      "age-encryption.org/v1\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
      text.replace(/\n/g, "\r\n"),
    ];
    for (const item of bad) await failure("ARCHIVE_MALFORMED", () => parseAgeHeader(Buffer.from(item, "latin1")));
    const endless = Buffer.from(`age-encryption.org/v1\n-> X ${"a".repeat(MAX_HEADER_LENGTH)}`);
    expect(parseAgeHeader(endless.subarray(0, MAX_HEADER_LENGTH - 1))).toBeNull();
    await failure("ARCHIVE_MALFORMED", () => parseAgeHeader(endless));
    const lines = Buffer.from(`age-encryption.org/v1\n${"-> X y\n\n".repeat(9000)}`);
    await failure("ARCHIVE_MALFORMED", () => parseAgeHeader(lines));
  });

  it("is refused when it was changed: each byte counts", async () => {
    const { header, fileKey } = await createAgeHeader([keys.recipient, (await generateIdentity()).recipient]);
    expect((await unwrapFileKey(header, [keys.identity])).equals(fileKey)).toBe(true);
    const outcomes = new Set<string>();
    for (let at = 0; at < header.length; at += 3) {
      const changed = Buffer.from(header);
      changed[at] = (changed[at] as number) ^ 1;
      outcomes.add(
        await unwrapFileKey(changed, [keys.identity]).then(
          () => `opened with byte ${at} changed`,
          (error: { code: string }) => error.code,
        ),
      );
    }
    expect([...outcomes].sort()).toEqual(["ARCHIVE_MALFORMED", "ARTIFACT_CORRUPT", "KEY_MISMATCH"]);
  });

  it("cannot gain a recipient afterwards", async () => {
    const { header } = await createAgeHeader([keys.recipient]);
    const other = await createAgeHeader([(await generateIdentity()).recipient]);
    const stanza = /-> X25519[^\n]*\n[^\n]*\n/.exec(other.header.toString())?.[0] ?? "";
    const grown = Buffer.from(header.toString().replace("\n--- ", `\n${stanza}--- `));
    expect(parseAgeHeader(grown)).toEqual({ length: header.length + stanza.length });
    await failure("ARTIFACT_CORRUPT", () => unwrapFileKey(grown, [keys.identity]));
  });

  it("must be whole, and nothing but the header", async () => {
    const { file, header } = await encrypted(patternBytes(10));
    await failure("ARCHIVE_MALFORMED", () => unwrapFileKey(file, [keys.identity]));
    await failure("ARCHIVE_MALFORMED", () => unwrapFileKey(header.subarray(0, 60), [keys.identity]));
  });

  it("is not made for nobody, and an identity in a recipient's place is refused", async () => {
    await failure("RECIPIENT_INVALID", () => createAgeHeader([]));
    await failure("RECIPIENT_INVALID", () => createAgeHeader(["age1nonsense"]));
    // Well spelt, but the point of order one: whatever is wrapped for it anyone could open.
    const zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    await failure("RECIPIENT_INVALID", () => createAgeHeader([keys.recipient, zero]));
    await failure("RECIPIENT_IS_PRIVATE", () => createAgeHeader([keys.identity]));
    const error = await failure("IDENTITY_INVALID", () =>
      createAgeHeader([keys.recipient]).then(({ header }) => unwrapFileKey(header, ["AGE-SECRET-KEY-1WRONG"])),
    );
    expect(JSON.stringify([error.report(), String(error.cause)])).not.toContain("WRONG");
  });

  it("is named by its SHA-256", () => {
    expect(headerSha256(Buffer.from("abc"))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});
