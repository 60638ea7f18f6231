import { createHash, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { failure } from "../../test/errors.ts";
import { issueCertificate, verifyCertificate, type WorkerCertificate } from "./certificate.ts";
import { signDocument, verifyDocument } from "./documents.ts";
import { generateSigningKey, publicKeyOf, signBytes, signingKeyId, verifyBytes } from "./ed25519.ts";

const key = generateSigningKey();
const other = generateSigningKey();
const DOMAIN = "xvault test v1\n";

describe("a signing key", () => {
  it("signs bytes so that its public key alone verifies them", () => {
    const bytes = Buffer.from("message");
    const signature = signBytes(bytes, key.privateKey);
    expect(verifyBytes(bytes, signature, key.publicKey)).toBe(true);
    expect(verifyBytes(Buffer.from("messagf"), signature, key.publicKey)).toBe(false);
    expect(verifyBytes(bytes, signature, other.publicKey)).toBe(false);
  });

  it("follows RFC 8032 (its first test vector)", () => {
    const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]).toString("base64");
    const pem = `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
    expect(Buffer.from(publicKeyOf(pem), "base64").toString("hex")).toBe(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    expect(Buffer.from(signBytes(Buffer.alloc(0), pem), "base64").toString("hex")).toBe(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
  });

  it("is refused as a signature or public key in any spelling but the canonical one, without throwing", () => {
    const bytes = Buffer.from("message");
    const signature = signBytes(bytes, key.privateKey);
    for (const bad of [
      "",
      "x",
      signature.slice(0, -2),
      `${signature}\n`,
      signature.replace(/=+$/, ""),
      Buffer.alloc(64).toString("base64"),
    ]) {
      expect(verifyBytes(bytes, bad, key.publicKey)).toBe(false);
    }
    for (const bad of ["", "x", `${key.publicKey} `, Buffer.alloc(31).toString("base64")]) {
      expect(verifyBytes(bytes, signature, bad)).toBe(false);
    }
  });

  it("has an id that follows from its public key, which follows from its private key", async () => {
    expect(publicKeyOf(key.privateKey)).toBe(key.publicKey);
    const sha256 = createHash("sha256").update(Buffer.from(key.publicKey, "base64")).digest("hex");
    expect(signingKeyId(key.publicKey)).toBe(sha256.slice(0, 16));
    await failure("SIGNATURE_INVALID", () => signingKeyId("AAAA"));
  });

  it("is Ed25519 and nothing else", () => {
    const pem = generateKeyPairSync("ec", { namedCurve: "P-256" })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString();
    expect(() => signBytes(Buffer.from("x"), pem)).toThrow(TypeError);
  });
});

describe("a signed document", () => {
  const doc = { b: 2, a: { y: [1, "ü", null], x: true } };
  const signature = signDocument(doc, key.privateKey, DOMAIN);

  it("verifies however its members are ordered, and with its signature in it", () => {
    expect(() =>
      verifyDocument({ a: { x: true, y: [1, "ü", null] }, b: 2 }, signature, key.publicKey, DOMAIN),
    ).not.toThrow();
    expect(() => verifyDocument({ ...doc, signature }, signature, key.publicKey, DOMAIN)).not.toThrow();
  });

  it("is over the domain line and the canonical JSON", () => {
    const bytes = Buffer.from('xvault test v1\n{"a":{"x":true,"y":[1,"ü",null]},"b":2}');
    expect(verifyBytes(bytes, signature, key.publicKey)).toBe(true);
  });

  it("is refused with any change, another key, another domain or no signature", async () => {
    const verify =
      (changed: typeof doc | Record<string, never>, by = key.publicKey, domain = DOMAIN, sig = signature) =>
      () =>
        verifyDocument(changed, sig, by, domain);
    expect(verify(doc)).not.toThrow();
    await failure("SIGNATURE_INVALID", verify({ ...doc, b: 3 }));
    await failure("SIGNATURE_INVALID", verify({}));
    await failure("SIGNATURE_INVALID", verify({ ...doc, c: 1 } as typeof doc));
    await failure("SIGNATURE_INVALID", verify(doc, other.publicKey));
    await failure("SIGNATURE_INVALID", verify(doc, key.publicKey, "xvault other v1\n"));
    await failure("SIGNATURE_INVALID", verify(doc, key.publicKey, DOMAIN, ""));
    await failure("SIGNATURE_INVALID", verify({ ...doc, b: Number.NaN }));
  });

  it("needs a domain that is one whole line", () => {
    for (const domain of ["", "\n", "no line feed", "two\nlines\n"]) {
      expect(() => signDocument(doc, key.privateKey, domain)).toThrow(TypeError);
      expect(() => verifyDocument(doc, signature, key.publicKey, domain)).toThrow(TypeError);
    }
  });
});

describe("a worker's certificate", () => {
  const root = generateSigningKey();
  const subject = {
    workerId: "0190f3b0-0000-7000-8000-000000000001",
    publicKey: key.publicKey,
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-02-01T00:00:00Z"),
  };
  const cert = issueCertificate(subject, root.privateKey);

  it("verifies against the root that issued it, also as JSON from a file", () => {
    expect(cert.issuer).toBe(signingKeyId(root.publicKey));
    const read = JSON.parse(JSON.stringify(cert)) as WorkerCertificate;
    expect(() => verifyCertificate(read, [other.publicKey, root.publicKey])).not.toThrow();
  });

  it("is refused by other roots, and when any member was changed", async () => {
    await failure("SIGNATURE_INVALID", () => verifyCertificate(cert, [other.publicKey]));
    await failure("SIGNATURE_INVALID", () => verifyCertificate(cert, []));
    const changes: Partial<Record<keyof WorkerCertificate, unknown>>[] = [
      { version: 2 },
      { worker_id: "0190f3b0-0000-7000-8000-000000000002" },
      { public_key: other.publicKey },
      { not_before: "2020-01-01T00:00:00.000Z" },
      { not_after: "2036-01-01T00:00:00.000Z" },
      { issuer: signingKeyId(other.publicKey) },
      { signature: signBytes(Buffer.from("x"), root.privateKey) },
      { signature: undefined },
    ];
    for (const change of changes) {
      const changed = { ...cert, ...change } as WorkerCertificate;
      await failure("SIGNATURE_INVALID", () => verifyCertificate(changed, [root.publicKey, other.publicKey]));
    }
    await failure("SIGNATURE_INVALID", () => verifyCertificate(null as unknown as WorkerCertificate, [root.publicKey]));
  });

  it("made by someone who names the root as issuer is refused", async () => {
    const forged = { ...issueCertificate(subject, other.privateKey), issuer: signingKeyId(root.publicKey) };
    await failure("SIGNATURE_INVALID", () => verifyCertificate(forged, [root.publicKey]));
  });

  it("holds from its first to its last moment", async () => {
    for (const at of [subject.notBefore, subject.notAfter]) {
      expect(() => verifyCertificate(cert, [root.publicKey], at)).not.toThrow();
    }
    for (const at of [subject.notBefore.getTime() - 1, subject.notAfter.getTime() + 1, Number.NaN]) {
      await failure("SIGNATURE_INVALID", () => verifyCertificate(cert, [root.publicKey], new Date(at)));
    }
  });

  it("is not issued for what is no public key", async () => {
    await failure("SIGNATURE_INVALID", () => issueCertificate({ ...subject, publicKey: "AAAA" }, root.privateKey));
  });
});
