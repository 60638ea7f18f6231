import { XVaultError } from "@xvault/kernel";
import { parseIdentityFile, type AgeKeyPair } from "./keys.ts";

/** What a recovery kit is made of. */
export interface RecoveryKit extends AgeKeyPair {
  /** Name of the workspace, for people. */
  workspace: string;
  /** Key pairs of earlier days, which older snapshots still need. */
  previous?: readonly AgeKeyPair[];
  /** The hub's root public key, base64 of 32 raw bytes: by it a restore without the hub checks signatures. */
  hubRootPublicKey: string;
  createdAt: Date;
  /** Where the hub is. */
  url: string;
}

const ROOT_KEY_LINE = /^#\s*xvault-root-key:\s*(.*?)\s*$/;
const RAW_KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** What people typed, made to stay on its comment line: a line break in a name must not become a line of the file. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
}

/** The text of a recovery kit: an age identity file, which `age -d -i FILE` takes as it is, with the hub's root key in a comment. */
export function formatRecoveryKit(kit: RecoveryKit): string {
  const keys = [{ identity: kit.identity, recipient: kit.recipient }, ...(kit.previous ?? [])];
  const lines = [
    "# xVault recovery kit",
    "# Whoever has this file can read every backup of the workspace. Keep it offline, and keep a second copy.",
    `# workspace: ${oneLine(kit.workspace)}`,
    `# hub: ${oneLine(kit.url)}`,
    `# created: ${kit.createdAt.toISOString()}`,
    `# xvault-root-key: ${kit.hubRootPublicKey}`,
    "#",
    "# With xVault, no hub needed:",
    "#   xvault recover --from DIR --identity THIS_FILE --target DIR",
    "# With stock programs (signatures are not checked):",
    "#   age -d -i THIS_FILE backup.tar.zst.enc | zstd -d | tar -xf -",
  ];
  for (const key of keys) lines.push("#", `# public key: ${oneLine(key.recipient)}`, key.identity.trim());
  return `${lines.join("\n")}\n`;
}

/**
 * Reads a recovery kit, or any age identity file: then there are no root keys.
 *
 * @returns the identities in the order of the file, and the hub's root public keys (base64 of 32 raw bytes).
 * @throws IDENTITY_INVALID.
 */
export function parseRecoveryKit(text: string): { identities: string[]; rootKeys: string[] } {
  const identities = parseIdentityFile(text);
  const rootKeys: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const key = ROOT_KEY_LINE.exec(line)?.[1];
    if (key === undefined) continue;
    if (!RAW_KEY.test(key)) {
      throw new XVaultError("IDENTITY_INVALID", `The root key in line ${index + 1} is damaged.`, {
        fix: "Take the line from another copy of the recovery kit, or remove it.",
        data: { line: index + 1 },
      });
    }
    rootKeys.push(key);
  }
  return { identities, rootKeys };
}
