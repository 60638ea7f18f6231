import { boundedReader, fuzz, largestAllocation, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { generateIdentity } from "../identity/keys.ts";
import { encryptPayload } from "./encrypt.ts";
import { createAgeHeader, MAX_HEADER_LENGTH, parseAgeHeader, unwrapFileKey } from "./header.ts";
import { openPayload } from "./open.ts";

const people = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
const identities = people.map(({ identity }) => identity);
const one = await createAgeHeader([people[0]?.recipient ?? ""]);
const three = await createAgeHeader(people.map(({ recipient }) => recipient));

/** Stanzas that the library has code for, and some that nobody has. */
const stanza = fc
  .tuple(
    fc.constantFrom("X25519", "scrypt", "ssh-ed25519", "mlkem768x25519", "piv-p256", "tag", "x"),
    fc.array(fc.stringMatching(/^[\x21-\x7e]{1,50}$/), { maxLength: 3 }),
    fc.uint8Array({ maxLength: 100 }),
  )
  .map(([type, words, body]) => {
    const text = Buffer.from(body).toString("base64").replaceAll("=", "");
    const lines: string[] = [...(text.match(/.{1,64}/g) ?? [])];
    if (text.length % 64 === 0) lines.push("");
    return `-> ${[type, ...words].join(" ")}\n${lines.join("\n")}\n`;
  });
const built = fc
  .array(stanza, { minLength: 1, maxLength: 5 })
  .map((stanzas) => Buffer.from(`age-encryption.org/v1\n${stanzas.join("")}--- ${"A".repeat(43)}\n`));
const headers = fc.oneof(
  { weight: 3, arbitrary: mutated([one.header, three.header]) },
  { weight: 1, arbitrary: built },
);

test("a changed header is measured or refused, in whatever pieces it comes", async () => {
  const seen = { measured: 0, refused: 0, short: 0 };
  await fuzz(
    fc.tuple(headers, fc.double({ min: 0, max: 1, noNaN: true })),
    async ([header, part]) => {
      const found = await orRefused(["ARCHIVE_MALFORMED"], () => ({ parsed: parseAgeHeader(header) }));
      seen[found === null ? "refused" : found.parsed ? "measured" : "short"] += 1;
      if (found?.parsed) expect(found.parsed.length).toBeLessThanOrEqual(header.length);
      // A beginning of it may be too short to tell, but never says something else.
      const begun = await orRefused(["ARCHIVE_MALFORMED"], () => ({
        parsed: parseAgeHeader(header.subarray(0, Math.floor(part * header.length))),
      }));
      if (begun === null) expect(found).toBe(null);
      if (begun?.parsed) expect(begun).toEqual(found);
    },
    3000,
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
});

test("a header without an end is not read for ever", async () => {
  await fuzz(
    fc.tuple(fc.constantFrom("-> X25519 ", "\n", "A", "-> a\n", `${"A".repeat(64)}\n`), fc.nat(MAX_HEADER_LENGTH)),
    async ([piece, more]) => {
      const bytes = Buffer.from(
        `age-encryption.org/v1\n-> a\n${piece.repeat(MAX_HEADER_LENGTH + more)}`.slice(0, MAX_HEADER_LENGTH + more),
      );
      expect(await orRefused(["ARCHIVE_MALFORMED"], () => parseAgeHeader(bytes))).toBe(null);
    },
    30,
  );
});

test("a changed header gives the file key that it had, or none", async () => {
  const seen = { opened: 0, refused: 0 };
  await fuzz(
    headers,
    async (header) => {
      const key = await orRefused(["ARCHIVE_MALFORMED", "ARTIFACT_CORRUPT", "KEY_MISMATCH"], () =>
        unwrapFileKey(header, identities),
      );
      seen[key ? "opened" : "refused"] += 1;
      if (key) expect([one.fileKey, three.fileKey].some((known) => known.equals(key))).toBe(true);
    },
    150,
  );
  expect(seen.refused).toBeGreaterThan(100);
});

const PLAIN = [Buffer.alloc(0), Buffer.from("short"), Buffer.alloc(65_536, "x"), Buffer.alloc(150_000, "yz")];
const SEALED = await Promise.all(
  PLAIN.map(async (plain) => {
    const parts: Buffer[] = [];
    const sink = encryptPayload({ write: (chunk) => void parts.push(chunk), close: async () => {} }, one.fileKey);
    await sink.write(plain);
    await sink.close();
    return Buffer.concat(parts);
  }),
);

test("a changed payload gives out bytes that were sealed at that place, or none", async () => {
  const cases = fc.constantFrom(...PLAIN.keys()).chain((index) =>
    fc.record({
      index: fc.constant(index),
      sealed: mutated([SEALED[index] ?? Buffer.alloc(0)], 2),
      key: fc.oneof(
        { weight: 9, arbitrary: fc.constant(one.fileKey) },
        { weight: 1, arbitrary: fc.constant(three.fileKey) },
      ),
    }),
  );
  const refusals = ["ARTIFACT_CORRUPT", "ARCHIVE_TRUNCATED"] as const;
  const seen = { given: 0, refused: 0 };
  await fuzz(
    cases,
    async ({ index, sealed, key }) => {
      const plain = PLAIN[index] ?? Buffer.alloc(0);
      const largest = await largestAllocation(async () => {
        const stored = boundedReader(sealed, 100);
        const reader = await orRefused(refusals, () => openPayload(stored, 0, key));
        for (const [from, to] of reader
          ? [
              [0, 1],
              [60_000, 70_000],
              [0, reader.size],
              [reader.size - 1, reader.size],
            ]
          : []) {
          const length = (to ?? 0) - (from ?? 0);
          const read = await orRefused(refusals, () => (reader as NonNullable<typeof reader>).read(from ?? 0, length));
          seen[read ? "given" : "refused"] += 1;
          if (read) expect(read.equals(plain.subarray(from, to))).toBe(true);
        }
        expect(stored.largest).toBeLessThanOrEqual(sealed.length);
      });
      expect(largest).toBeLessThanOrEqual(sealed.length + 65_552);
    },
    600,
  );
  expect(Math.min(seen.given, seen.refused)).toBeGreaterThan(20);
});
