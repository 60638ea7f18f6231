import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { generateKeyPair, hostKeyFromBlob, inspectPrivateKey, openSshKeyPair } from "./keys.ts";

const code = (work: () => unknown) => {
  try {
    work();
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe("keys", () => {
  it("are made in OpenSSH's format and read back", () => {
    const made = generateKeyPair("xVault\nsource");
    expect(made.publicKeyLine).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]+={0,2} xVaultsource$/);
    expect(made.privateKey).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----/);
    expect(inspectPrivateKey(made.privateKey)).toEqual({
      algorithm: "ssh-ed25519",
      publicKeyLine: made.publicKeyLine,
      fingerprint: made.fingerprint,
      encrypted: false,
    });
    expect(generateKeyPair("a").privateKey).not.toBe(generateKeyPair("a").privateKey);
  });

  // About one key in 128 begins with a zero in one of its halves; ssh2's generator wrote those too short to be opened.
  it("keep the zeros that they begin with, and sign", () => {
    let seedSeen = false;
    let publicSeen = false;
    for (let tries = 0; tries < 20_000 && !(seedSeen && publicSeen); tries += 1) {
      const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
      const [seed, publicKey] = [jwk.d, jwk.x].map((part) => Buffer.from(part ?? "", "base64url"));
      if (!seed || !publicKey) throw new Error("no key");
      if (seed[0] !== 0 && publicKey[0] !== 0) continue;
      seedSeen ||= seed[0] === 0;
      publicSeen ||= publicKey[0] === 0;
      const made = openSshKeyPair(seed, publicKey, "zero");
      expect(inspectPrivateKey(made.privateKey)).toMatchObject({ publicKeyLine: made.publicKeyLine });
      const signer = ssh2.utils.parseKey(made.privateKey);
      if (signer instanceof Error) throw signer;
      const signature = signer.sign("text");
      expect(verify(null, Buffer.from("text"), createPublicKey({ key: jwk, format: "jwk" }), signature)).toBe(true);
    }
    expect([seedSeen, publicSeen]).toEqual([true, true]);
  });

  it("are read in PEM, with any line ends and without the last one", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "sec1", format: "pem" }).toString();
    const expected = inspectPrivateKey(pem);
    expect(expected.algorithm).toBe("ecdsa-sha2-nistp256");
    expect(inspectPrivateKey(`\n\n${pem.trim().replaceAll("\n", "\r\n")}`)).toEqual(expected);
  });

  it("need their passphrase", () => {
    const passphrase = "correct horse";
    const openssh = ssh2.utils.generateKeyPairSync("rsa", {
      bits: 2048,
      passphrase,
      cipher: "aes256-cbc",
      rounds: 4,
    }).private;
    const pem = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs1", format: "pem", cipher: "aes-128-cbc", passphrase })
      .toString();
    for (const text of [openssh, pem]) {
      expect(code(() => inspectPrivateKey(text))).toBe("KEY_PASSPHRASE_REQUIRED");
      expect(code(() => inspectPrivateKey(text, "wrong"))).toBe("KEY_PASSPHRASE_REQUIRED");
      expect(inspectPrivateKey(text, passphrase).encrypted).toBe(true);
    }
  });

  it("are refused when they are none", () => {
    const made = generateKeyPair("x");
    for (const text of ["", "nonsense", made.privateKey.slice(0, 200), made.publicKeyLine]) {
      expect(
        code(() => inspectPrivateKey(text)),
        text,
      ).toBe("KEY_INVALID");
    }
  });

  it("of hosts are named by the type in their blob", () => {
    const blob = Buffer.from(generateKeyPair("x").publicKeyLine.split(" ")[1] ?? "", "base64");
    expect(hostKeyFromBlob(blob)).toMatchObject({ algorithm: "ssh-ed25519", key: blob.toString("base64") });
    expect(hostKeyFromBlob(Buffer.from([1])).algorithm).toBe("");
  });
});
