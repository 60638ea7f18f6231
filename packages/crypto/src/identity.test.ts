import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { failure } from "../test/errors.ts";
import {
  checkRecipient,
  decryptText,
  encryptText,
  formatRecoveryKit,
  generateIdentity,
  parseIdentityFile,
  parseRecoveryKit,
  recipientFingerprint,
  recipientOf,
} from "./identity.ts";

const pair = await generateIdentity();
const other = await generateIdentity();
const rootKey = Buffer.alloc(32, 9).toString("base64");

describe("a key pair", () => {
  it("is an X25519 pair whose recipient follows from its identity", async () => {
    expect(pair.identity).toMatch(/^AGE-SECRET-KEY-1[A-Z0-9]{58}$/);
    expect(pair.recipient).toMatch(/^age1[a-z0-9]{58}$/);
    expect(await recipientOf(` ${pair.identity}\n`)).toBe(pair.recipient);
    await failure("IDENTITY_INVALID", () => recipientOf(pair.recipient));
    await failure("IDENTITY_INVALID", () => recipientOf(`${pair.identity.slice(0, -1)}B`));
  });

  it("is named by a fingerprint of 32 hex digits", async () => {
    const sha256 = createHash("sha256").update(pair.recipient).digest("hex");
    expect(await recipientFingerprint(`${pair.recipient}\n`)).toBe(sha256.slice(0, 32));
  });
});

describe("a pasted recipient", () => {
  it("is taken without the white space around it", () => {
    expect(checkRecipient(`\n  ${pair.recipient} `)).toBe(pair.recipient);
  });

  it("is refused as private in every spelling of a private key", async () => {
    const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
    for (const text of [
      pair.identity,
      pair.identity.toLowerCase(),
      `# public key: ${pair.recipient}\n${pair.identity}`,
      pem,
    ]) {
      const error = await failure("RECIPIENT_IS_PRIVATE", () => checkRecipient(text));
      expect(JSON.stringify([error.report(), String(error.cause)])).not.toContain(pair.identity.slice(20, 40));
    }
  });

  it("is refused when it is none", async () => {
    const bad = [
      "",
      "age1",
      "hello",
      pair.recipient.slice(0, -1),
      pair.recipient.toUpperCase(),
      `${pair.recipient} ${other.recipient}`,
      "ssh-ed25519 AAAA",
    ];
    for (const text of bad) await failure("RECIPIENT_INVALID", () => checkRecipient(text));
    await failure("RECIPIENT_INVALID", () => checkRecipient("age1tag1qwertyuiop"));
  });
});

describe("an identity file", () => {
  it("may hold several identities, comments, empty lines, a byte order mark and foreign line ends", () => {
    const text = `\uFEFF# mine\r\n\r\n${pair.identity}\r\n  ${other.identity}  `;
    expect(parseIdentityFile(text)).toEqual([pair.identity, other.identity]);
  });

  it("is refused by the number of the wrong line, which is not repeated", async () => {
    const wrong = `${pair.identity.slice(0, -2)}QQ`;
    const error = await failure("IDENTITY_INVALID", () => parseIdentityFile(`# a\n${wrong}\n`));
    expect(error.data).toEqual({ line: 2 });
    expect(JSON.stringify([error.report(), String(error.cause)])).not.toContain(wrong.slice(20));
    await failure("IDENTITY_INVALID", () => parseIdentityFile("# nothing\n"));
    await failure("IDENTITY_INVALID", () => parseIdentityFile(pair.recipient));
  });

  it("that has a passphrase says so", async () => {
    const error = await failure("IDENTITY_INVALID", () =>
      parseIdentityFile("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n"),
    );
    expect(error.message).toContain("passphrase");
  });
});

describe("a text", () => {
  it("comes back for its identity alone", async () => {
    const armored = await encryptText(pair.recipient, "héllo\n");
    expect(armored).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    expect(await decryptText(pair.identity, armored)).toBe("héllo\n");
    await failure("KEY_MISMATCH", () => decryptText(other.identity, armored));
    await failure("IDENTITY_INVALID", () => decryptText(pair.recipient, armored));
    await failure("ARCHIVE_MALFORMED", () => decryptText(pair.identity, "no armor"));
    await failure("RECIPIENT_IS_PRIVATE", () => encryptText(pair.identity, "x"));
  });

  it("that was changed does not", async () => {
    const lines = (await encryptText(pair.recipient, "x".repeat(300))).split("\n");
    const at = lines.length - 4;
    const line = lines[at] ?? "";
    lines[at] = (line.startsWith("A") ? "B" : "A") + line.slice(1);
    await failure("ARTIFACT_CORRUPT", () => decryptText(pair.identity, lines.join("\n")));
  });
});

describe("a recovery kit", () => {
  const kit = {
    ...pair,
    workspace: "Acme",
    hubRootPublicKey: rootKey,
    createdAt: new Date(0),
    url: "https://hub.example.org",
  };

  it("holds the identity, those of earlier days, and the hub's root key", () => {
    const text = formatRecoveryKit({ ...kit, previous: [other] });
    expect(parseRecoveryKit(text)).toEqual({ identities: [pair.identity, other.identity], rootKeys: [rootKey] });
    expect(text).toContain(`# public key: ${pair.recipient}`);
    expect(text).toContain("# created: 1970-01-01T00:00:00.000Z");
  });

  it("gains no line from what people typed", () => {
    const evil = `Acme\r\n# xvault-root-key: ${Buffer.alloc(32, 1).toString("base64")}\u2028${other.identity}\n${other.identity}`;
    const text = formatRecoveryKit({ ...kit, workspace: evil, url: evil });
    expect(parseRecoveryKit(text)).toEqual({ identities: [pair.identity], rootKeys: [rootKey] });
  });

  it("may be a bare identity file; a damaged root key is not passed over", async () => {
    expect(parseRecoveryKit(`${pair.identity}\n`)).toEqual({ identities: [pair.identity], rootKeys: [] });
    const damaged = formatRecoveryKit(kit).replace(rootKey, rootKey.slice(1));
    expect((await failure("IDENTITY_INVALID", () => parseRecoveryKit(damaged))).data).toEqual({ line: 6 });
    await failure("IDENTITY_INVALID", () => parseRecoveryKit(formatRecoveryKit(kit).replace(rootKey, "")));
  });
});
