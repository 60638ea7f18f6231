import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { rolldown } from "rolldown";
import { describe, expect, it } from "vitest";
import { decryptText, recipientOf } from "./identity.ts";

/** What browsers have and this needs. Neither Buffer nor process nor require is among it. */
const WEB = {
  crypto,
  TextEncoder,
  TextDecoder,
  ReadableStream,
  TransformStream,
  Uint8Array,
  ArrayBuffer,
  DOMException,
  CryptoKey,
  Response,
};

describe("@xvault/crypto/identity in a browser", () => {
  it("bundles without a module of Node's and makes working keys with the web's globals alone", async () => {
    const input = fileURLToPath(new URL("./identity.ts", import.meta.url));
    const bundle = await rolldown({ input, platform: "browser", external: /^node:/ });
    const { output } = await bundle.generate({ format: "iife", name: "identity" });
    await bundle.close();
    expect(output).toHaveLength(1);
    expect(output[0].imports).toEqual([]);

    const context = createContext({ ...WEB });
    runInContext(output[0].code, context);
    const made = (await runInContext(
      `(async () => {
        const { generateIdentity, encryptText, decryptText, recipientFingerprint, formatRecoveryKit, parseRecoveryKit } = identity;
        const pair = await generateIdentity();
        const armored = await encryptText(pair.recipient, "test");
        const kit = formatRecoveryKit({ ...pair, workspace: "w", hubRootPublicKey: "${Buffer.alloc(32).toString("base64")}", createdAt: new Date(), url: "u" });
        const [again] = parseRecoveryKit(kit).identities;
        return [again, pair.recipient, armored, await decryptText(again, armored), await recipientFingerprint(pair.recipient)];
      })()`,
      context,
    )) as string[];
    const [secret = "", recipient = "", armored = "", text, fingerprint] = made;
    expect(await recipientOf(secret)).toBe(recipient);
    expect(text).toBe("test");
    expect(await decryptText(secret, armored)).toBe("test");
    expect(fingerprint).toMatch(/^[0-9a-f]{32}$/);
  });
});
