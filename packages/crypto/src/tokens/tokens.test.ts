import { manualClock } from "@xvault/kernel";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { failure } from "../../test/errors.ts";
import { generateSigningKey } from "../signing/ed25519.ts";
import { signToken, verifyToken } from "./jwt.ts";
import { hashOpaqueToken, newOpaqueToken } from "./opaque.ts";

const key = generateSigningKey();
const attacker = generateSigningKey();
const start = new Date("2026-11-20T12:00:00Z");
const seconds = start.getTime() / 1000;

function request(clock = manualClock(start)) {
  return {
    claims: { tenant: "t1" },
    audience: "user",
    issuer: "hub",
    subject: "u1",
    expiresInSeconds: 60,
    keyId: "k1",
    privateKey: key.privateKey,
    clock,
  };
}
function expectation(clock = manualClock(start)) {
  return { audience: "user", issuer: "hub", keys: (kid: string) => (kid === "k1" ? key.publicKey : undefined), clock };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const CLAIMS = { iss: "hub", aud: "user", sub: "u1", iat: seconds, exp: seconds + 60 };

/** A token put together by hand, well signed with the right key unless `by` says otherwise. */
function handMade(
  header: object,
  claims: object,
  by: (input: Buffer) => Buffer = (input) => sign(null, input, key.privateKey),
): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${by(Buffer.from(input)).toString("base64url")}`;
}
const HEADER = { alg: "EdDSA", kid: "k1" };

describe("a signed token", () => {
  it("says what was put in", async () => {
    const claims = await verifyToken(await signToken(request()), expectation());
    expect(claims).toEqual({ tenant: "t1", iss: "hub", aud: "user", sub: "u1", iat: seconds, exp: seconds + 60 });
    // The positive control of the hand-made tokens below.
    expect(await verifyToken(handMade(HEADER, CLAIMS), expectation())).toEqual(CLAIMS);
  });

  it("does not let its own claims replace the registered ones", async () => {
    const sneaky = { ...request(), claims: { exp: seconds * 2, aud: "admin", iss: "x", sub: "root" } };
    expect(await verifyToken(await signToken(sneaky), expectation())).toEqual(CLAIMS);
  });

  it("may have its key looked up elsewhere", async () => {
    const keys = async () => key.publicKey;
    expect((await verifyToken(await signToken(request()), { ...expectation(), keys })).sub).toBe("u1");
  });

  it("ends at its expiry, tolerance aside", async () => {
    const clock = manualClock(start);
    const token = await signToken(request(clock));
    clock.advance(59_000);
    expect((await verifyToken(token, expectation(clock))).sub).toBe("u1");
    clock.advance(1_000);
    await failure("TOKEN_EXPIRED", () => verifyToken(token, expectation(clock)));
    expect((await verifyToken(token, { ...expectation(clock), toleranceSeconds: 5 })).sub).toBe("u1");
  });

  it("counts for its audience and issuer alone", async () => {
    const token = await signToken(request());
    await failure("TOKEN_AUDIENCE", () => verifyToken(token, { ...expectation(), audience: "worker" }));
    await failure("TOKEN_INVALID", () => verifyToken(token, { ...expectation(), issuer: "other" }));
  });

  it("lacking a required claim is refused though it is well signed", async () => {
    const without = (name: keyof typeof CLAIMS) => handMade(HEADER, { ...CLAIMS, [name]: undefined });
    await failure("TOKEN_EXPIRY_REQUIRED", () => verifyToken(without("exp"), expectation()));
    for (const odd of [{ sub: { id: 1 } }, { iat: "today" }]) {
      await failure("TOKEN_INVALID", () => verifyToken(handMade(HEADER, { ...CLAIMS, ...odd }), expectation()));
    }
    await failure("TOKEN_AUDIENCE", () => verifyToken(without("aud"), expectation()));
    for (const name of ["iss", "sub", "iat"] as const)
      await failure("TOKEN_INVALID", () => verifyToken(without(name), expectation()));
    await failure("TOKEN_EXPIRY_REQUIRED", () =>
      verifyToken(handMade(HEADER, { ...CLAIMS, exp: "never" }), expectation()),
    );
  });

  it("by an unknown key is refused, whatever key it brings along", async () => {
    const byAttacker = (input: Buffer) => sign(null, input, attacker.privateKey);
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(attacker.publicKey, "base64").toString("base64url") };
    const hints = { jwk, jku: "https://attacker.example/keys", x5u: "https://attacker.example/cert" };
    await failure("TOKEN_KEY_UNKNOWN", () => verifyToken(handMade({ alg: "EdDSA" }, CLAIMS), expectation()));
    const anyKey = { ...expectation(), keys: () => key.publicKey };
    await failure("TOKEN_KEY_UNKNOWN", () => verifyToken(handMade({ ...HEADER, kid: 1 }, CLAIMS), anyKey));
    await failure("TOKEN_KEY_UNKNOWN", () =>
      verifyToken(handMade({ ...HEADER, kid: "k2", ...hints }, CLAIMS, byAttacker), expectation()),
    );
    await failure("TOKEN_KEY_UNKNOWN", () =>
      verifyToken(handMade({ alg: "EdDSA", ...hints }, CLAIMS, byAttacker), expectation()),
    );
    await failure("TOKEN_INVALID", () =>
      verifyToken(handMade({ ...HEADER, ...hints }, CLAIMS, byAttacker), expectation()),
    );
  });

  it("with another algorithm is refused: none, and the public key as an HMAC secret", async () => {
    const unsigned = `${encode({ alg: "none", kid: "k1" })}.${encode(CLAIMS)}.`;
    await failure("TOKEN_ALG", () => verifyToken(unsigned, expectation()));
    await failure("TOKEN_ALG", () => verifyToken(`${unsigned}AAAA`, expectation()));
    for (const secret of [key.publicKey, Buffer.from(key.publicKey, "base64")]) {
      const confused = handMade({ alg: "HS256", kid: "k1" }, CLAIMS, (input) =>
        createHmac("sha256", secret).update(input).digest(),
      );
      await failure("TOKEN_ALG", () => verifyToken(confused, expectation()));
    }
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const rsa = handMade({ alg: "RS256", kid: "k1" }, CLAIMS, (input) => sign("sha256", input, privateKey));
    await failure("TOKEN_ALG", () => verifyToken(rsa, expectation()));
    await failure("TOKEN_ALG", () => verifyToken(handMade({ alg: "Ed25519", kid: "k1" }, CLAIMS), expectation()));
  });

  it("that was changed or is no token is refused", async () => {
    const token = await signToken(request());
    const [header, , signature] = token.split(".");
    const changed = `${header}.${encode({ ...CLAIMS, sub: "root" })}.${signature}`;
    for (const bad of [
      changed,
      token.slice(0, -4),
      "",
      "a.b",
      "a.b.c",
      `${token}.x`,
      handMade({ ...HEADER, crit: ["b64"], b64: false }, CLAIMS),
    ]) {
      await failure("TOKEN_INVALID", () => verifyToken(bad, expectation()));
    }
  });

  it("lets an error of the key look-up through as it is", async () => {
    const keys = () => Promise.reject(new RangeError("database away"));
    const token = await signToken(request());
    await expect(verifyToken(token, { ...expectation(), keys })).rejects.toThrow(RangeError);
  });
});

describe("an opaque token", () => {
  it("is its prefix and 32 random bytes, and is kept as a hash", () => {
    const made = newOpaqueToken("xvt_");
    expect(made.token).toMatch(/^xvt_[A-Za-z0-9_-]{43}$/);
    expect(made.hash).toBe(hashOpaqueToken(made.token));
    expect(made.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(newOpaqueToken("xvt_").token).not.toBe(made.token);
  });
});
