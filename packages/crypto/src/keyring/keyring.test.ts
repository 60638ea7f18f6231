import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure } from "../../test/errors.ts";
import { kekId, parseKek } from "./kek.ts";
import { createKeyring } from "./keyring.ts";
import { newDataKey, openSecret, sealSecret } from "./secrets.ts";

const [oldKey, newKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const older = { id: kekId(oldKey), key: oldKey };
const newer = { id: kekId(newKey), key: newKey };
const context = { purpose: "tenant-data-key", tenantId: "tenant-a" };

/** The same JWE with one bit of one member changed. */
function damage(text: string, member: string): string {
  const jwe = JSON.parse(text) as Record<string, string>;
  const raw = Buffer.from(jwe[member] ?? "", "base64url");
  raw[0] = (raw[0] as number) ^ 1;
  return JSON.stringify({ ...jwe, [member]: raw.toString("base64url") });
}

describe("a key encryption key", () => {
  it("may be written in hex, base64 or base64url", () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));
    const base64 = key.toString("base64");
    for (const text of [
      key.toString("hex"),
      key.toString("hex").toUpperCase(),
      base64,
      base64.replace("=", ""),
      key.toString("base64url"),
      ` ${base64}\n`,
    ]) {
      expect(parseKek(text).equals(key)).toBe(true);
    }
  });

  it("of any other length is refused and not repeated", async () => {
    for (const length of [1, 16, 31, 33, 64]) {
      for (const encoding of ["hex", "base64"] as const) {
        const text = Buffer.alloc(length, 0xa7).toString(encoding);
        const error = await failure("KEK_INVALID", () => parseKek(text));
        expect(error.message).toContain(`${length} bytes`);
        expect(JSON.stringify(error.report())).not.toContain(text);
      }
    }
    await failure("KEK_INVALID", () => parseKek(""));
    for (const text of ["not a key!", "ключ", "a".repeat(63), "=".repeat(44)])
      await failure("KEK_INVALID", () => parseKek(text));
  });

  it("is named by its own hash", () => {
    expect(older.id).toMatch(/^[0-9a-f]{16}$/);
    expect(older.id).not.toBe(newer.id);
  });
});

describe("a keyring", () => {
  it("unwraps what it wrapped, in the same context alone", async () => {
    const ring = createKeyring({ current: newer });
    const dataKey = newDataKey();
    const wrapped = await ring.wrap(dataKey, context);
    expect(wrapped).not.toContain(dataKey.toString("base64url"));
    expect(JSON.parse(wrapped)).not.toHaveProperty("aad");
    expect((await ring.unwrap(wrapped, context)).equals(dataKey)).toBe(true);
    await failure("SECRET_UNREADABLE", () => ring.unwrap(wrapped, { ...context, tenantId: "tenant-b" }));
    await failure("SECRET_UNREADABLE", () => ring.unwrap(wrapped, { ...context, purpose: "other" }));
  });

  it("does not believe the context that a wrapped key brings along", async () => {
    const ring = createKeyring({ current: newer });
    const wrapped = JSON.parse(await ring.wrap(newDataKey(), context)) as Record<string, string>;
    const aad = Buffer.from('{"purpose":"tenant-data-key","tenant_id":"tenant-a"}').toString("base64url");
    expect((await ring.unwrap(JSON.stringify({ ...wrapped, aad }), context)).length).toBe(32);
    await failure("SECRET_UNREADABLE", () =>
      ring.unwrap(JSON.stringify({ ...wrapped, aad }), { ...context, tenantId: "tenant-b" }),
    );
  });

  it("moves to a new key step by step", async () => {
    const dataKey = newDataKey();
    const before = await createKeyring({ current: older }).wrap(dataKey, context);
    const ring = createKeyring({ current: newer, previous: [older] });
    expect(ring.currentId).toBe(newer.id);
    expect(ring.kidOf(before)).toBe(older.id);
    expect((await ring.unwrap(before, context)).equals(dataKey)).toBe(true);
    const after = await ring.rewrap(before, context);
    expect(ring.kidOf(after)).toBe(newer.id);
    expect(await ring.rewrap(after, context)).toBe(after);
    expect((await createKeyring({ current: newer }).unwrap(after, context)).equals(dataKey)).toBe(true);
    await failure("SECRET_UNREADABLE", () => ring.rewrap(before, { ...context, tenantId: "tenant-b" }));
  });

  it("names the key it lacks", async () => {
    const wrapped = await createKeyring({ current: older }).wrap(newDataKey(), context);
    const ring = createKeyring({ current: newer });
    for (const action of [
      () => ring.unwrap(wrapped, context),
      () => ring.rewrap(wrapped, context),
      () => ring.requireKeys([newer.id, older.id]),
    ]) {
      const error = await failure("KEK_UNKNOWN", action);
      expect(error.message).toContain(older.id);
      expect(error.data).toEqual({ keyId: older.id });
    }
    expect(() => ring.requireKeys([newer.id])).not.toThrow();
  });

  it("notices damage to any part of a wrapped key, and another key under the same id", async () => {
    const ring = createKeyring({ current: newer });
    const wrapped = await ring.wrap(newDataKey(), context);
    for (const member of ["ciphertext", "encrypted_key", "iv", "tag", "protected"]) {
      await failure("SECRET_UNREADABLE", () => ring.unwrap(damage(wrapped, member), context));
    }
    for (const text of ["", "null", "{}", "[]", '{"protected":"e30"}'])
      await failure("SECRET_UNREADABLE", () => ring.unwrap(text, context));
    await failure("SECRET_UNREADABLE", () =>
      createKeyring({ current: { ...older, id: newer.id } }).unwrap(wrapped, context),
    );
  });

  it("is not made of keys of the wrong length, or of two keys with one id", async () => {
    for (const length of [0, 31, 33]) {
      await failure("KEK_INVALID", () => createKeyring({ current: { id: "x", key: Buffer.alloc(length) } }));
    }
    await failure("KEK_INVALID", () => createKeyring({ current: newer, previous: [{ ...older, id: newer.id }] }));
    expect(createKeyring({ current: newer, previous: [newer] }).currentId).toBe(newer.id);
  });
});

describe("a sealed secret", () => {
  const dataKey = newDataKey();
  const where = { tenantId: "a", table: "sources", row: "1", column: "credential", keyVersion: 1 };

  it("comes back whatever it holds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (plaintext) => {
        const sealed = await sealSecret(dataKey, plaintext, where);
        expect((await openSecret(dataKey, sealed, where)).equals(plaintext)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("opens nowhere but in its place, and with no other key", async () => {
    const sealed = await sealSecret(dataKey, Buffer.from("hunter2"), where);
    expect((await openSecret(dataKey, sealed, { ...where })).toString()).toBe("hunter2");
    const elsewhere = [{ tenantId: "b" }, { table: "targets" }, { row: "2" }, { column: "notes" }, { keyVersion: 2 }];
    for (const change of elsewhere)
      await failure("SECRET_UNREADABLE", () => openSecret(dataKey, sealed, { ...where, ...change }));
    await failure("SECRET_UNREADABLE", () => openSecret(newDataKey(), sealed, where));
    await failure("SECRET_UNREADABLE", () => openSecret(Buffer.alloc(16), sealed, where));
  });

  it("differs each time and shows nothing of the plaintext", async () => {
    const [first, second] = [
      await sealSecret(dataKey, Buffer.from("hunter2"), where),
      await sealSecret(dataKey, Buffer.from("hunter2"), where),
    ];
    expect(first).not.toBe(second);
    expect(first).not.toContain(Buffer.from("hunter2").toString("base64url"));
  });

  it("is not a wrapped key, nor the other way round", async () => {
    const ring = createKeyring({ current: { id: kekId(dataKey), key: dataKey } });
    const wrapped = await ring.wrap(newDataKey(), context);
    const sealed = await sealSecret(dataKey, Buffer.from("x"), where);
    await failure("SECRET_UNREADABLE", () => openSecret(dataKey, wrapped, where));
    await failure("SECRET_UNREADABLE", () => ring.unwrap(sealed, context));
  });

  it("notices damage", async () => {
    const sealed = await sealSecret(dataKey, Buffer.from("hunter2"), where);
    for (const member of ["ciphertext", "iv", "tag", "protected"]) {
      await failure("SECRET_UNREADABLE", () => openSecret(dataKey, damage(sealed, member), where));
    }
    for (const text of ["", "null", "{}", "[1]"])
      await failure("SECRET_UNREADABLE", () => openSecret(dataKey, text, where));
  });
});
