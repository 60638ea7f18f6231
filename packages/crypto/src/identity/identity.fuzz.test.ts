import { fuzz, mutated, orRefused } from "@xvault/test-kit/fuzz";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkRecipient, generateIdentity, parseIdentityFile } from "./keys.ts";
import { formatRecoveryKit, parseRecoveryKit } from "./recovery-kit.ts";
import { decryptText, encryptText } from "./text.ts";

const keys = await generateIdentity();
const kit = formatRecoveryKit({
  ...keys,
  workspace: "Fuzz",
  hubRootPublicKey: Buffer.alloc(32, 7).toString("base64"),
  createdAt: new Date(0),
  url: "http://localhost",
});
const armored = await encryptText(keys.recipient, "a short text");
const textOf = (bytes: Buffer) => bytes.toString("latin1");

test("a changed recovery kit gives identities, or is refused without repeating them", async () => {
  await fuzz(
    mutated([Buffer.from(kit)]).map(textOf),
    async (text) => {
      for (const parse of [() => parseRecoveryKit(text).identities, () => parseIdentityFile(text)]) {
        const found = await orRefused(["IDENTITY_INVALID"], parse);
        if (found) expect(found.length).toBeGreaterThan(0);
      }
    },
    600,
  );
});

test("a changed recipient is taken or refused", async () => {
  await fuzz(
    fc.oneof(mutated([Buffer.from(keys.recipient)], 2).map(textOf), fc.string()),
    async (text) => {
      const taken = await orRefused(["RECIPIENT_INVALID", "RECIPIENT_IS_PRIVATE"], () => checkRecipient(text));
      if (taken !== null) expect(taken).toMatch(/^age1[a-z0-9]+$/i);
    },
    600,
  );
});

test("a changed armored text decrypts to what it was, or is refused", async () => {
  await fuzz(
    mutated([Buffer.from(armored)], 2).map(textOf),
    async (text) => {
      const plain = await orRefused(["ARCHIVE_MALFORMED", "ARTIFACT_CORRUPT", "KEY_MISMATCH"], () =>
        decryptText(keys.identity, text),
      );
      if (plain !== null) expect(plain).toBe("a short text");
    },
    150,
  );
});
