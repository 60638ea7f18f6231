import { describe, expect, it } from "vitest";
import { failure } from "../test/errors.ts";
import { checkPasswordStrength, hashPassword, verifyPassword } from "./passwords.ts";

describe("a password", () => {
  it("is hashed with argon2id and a salt of its own", async () => {
    const [first, second] = [await hashPassword("a fine password"), await hashPassword("a fine password")];
    expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(second).not.toBe(first);
    expect(await verifyPassword("a fine password", first)).toBe(true);
    expect(await verifyPassword("a fine passwort", first)).toBe(false);
    expect(await verifyPassword("", first)).toBe(false);
  });

  it("is the same however its accents are composed", async () => {
    expect(await verifyPassword("cafe\u0301 and more", await hashPassword("caf\u00e9 and more"))).toBe(true);
  });

  it("of an unknown user never fits, not even the one behind the hash that stands in", async () => {
    for (const password of ["a fine password", "no password has this hash", ""]) {
      expect(await verifyPassword(password, undefined)).toBe(false);
    }
  });

  it("must be neither short nor common", async () => {
    const weak = [
      "",
      "short",
      "123456789",
      "aaaaaaaaaaaaaaaa",
      "abababababab",
      "Password123",
      "PASSWORD1234",
      "qwertyuiop",
      "😀😀😀😀😀",
    ];
    for (const password of weak) await failure("PASSWORD_WEAK", () => checkPasswordStrength(password));
    for (const password of ["a fine password", "Tr0ub4dor&3x", "пароль-посложнее"])
      expect(() => checkPasswordStrength(password)).not.toThrow();
  });
});
