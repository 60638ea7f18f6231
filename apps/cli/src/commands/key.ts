import { writeFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { generateIdentity, proofKeyOf, recipientFingerprint } from "@xvault/crypto";
import { isXVaultError, XVaultError } from "@xvault/kernel";
import { command, group, JSON_ARG } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { openHub, openHubUnsigned } from "../hub/client.ts";
import { readIdentityFile, recipientsOf } from "../local/identity.ts";
import type { Output } from "../output.ts";
import type { World } from "../world.ts";

const exportCommand = command({
  name: "export",
  description:
    "Save the recovery kit of a workspace whose key the platform holds. Whoever has it can read every backup.",
  args: {
    out: {
      type: "string",
      valueHint: "file",
      description: "File to write, never replaced (default: the kit's own name; '-' prints it)",
    },
    ...JSON_ARG,
  },
  examples: ["xvault key export --out recovery-kit.txt"],
  async act({ args, world, output, signal }) {
    const kit = await hubApi(await openHub(world, signal)).recoveryKit();
    if (args.out === "-") {
      world.stdout.write(kit.content);
      return EXIT.ok;
    }
    const file = resolve(args.out ?? safeName(kit.filename));
    await writeSecret(file, kit.content);
    output.message("key", { file });
    output.line(`The recovery kit is in ${file}.`);
    output.note(
      "Keep it offline, and a second copy elsewhere: without it and without the hub, the backups cannot be read.",
    );
    return EXIT.ok;
  },
});

const generateCommand = command({
  name: "generate",
  description:
    "Make a restore key on this machine, for a workspace that holds its own. The hub gets the recipient only.",
  args: {
    out: {
      type: "string",
      valueHint: "file",
      description: "File to write, never replaced (default: xvault-identity.txt)",
    },
    ...JSON_ARG,
  },
  examples: ["xvault key generate --out restore-key.txt"],
  async act({ args, world, output, signal }) {
    const file = resolve(args.out ?? "xvault-identity.txt");
    const { identity, recipient } = await generateIdentity();
    const rootKeys = await knownRootKeys(world, output, signal);
    const lines = [
      "# xVault restore key. Whoever has this file can read every backup that is made for it; without it nobody can.",
      `# created: ${new Date().toISOString()}`,
      ...rootKeys.map((key) => `# xvault-root-key: ${key}`),
      `# public key: ${recipient}`,
      identity,
    ];
    await writeSecret(file, `${lines.join("\n")}\n`);
    output.message("key", { file, recipient, fingerprint: await recipientFingerprint(recipient), root_keys: rootKeys });
    output.line(recipient);
    output.note(
      `The identity is in ${file}: keep it offline, and a second copy. The line above is the recipient, to be given to xVault.`,
    );
    return EXIT.ok;
  },
});

const showCommand = command({
  name: "show",
  description: "Tell which recipients an identity file or recovery kit belongs to. Prints no secret.",
  args: { file: { type: "positional", description: "Identity file or recovery kit" }, ...JSON_ARG },
  examples: ["xvault key show recovery-kit.txt"],
  async act({ args, output }) {
    const file = await readIdentityFile(args.file);
    const recipients = await recipientsOf(file);
    const proofKeys = file.identities.map((identity) => proofKeyOf(identity).publicKey);
    output.message("key", { recipients, root_keys: file.rootKeys, proof_keys: proofKeys });
    for (const { recipient, fingerprint } of recipients)
      output.line(`recipient    ${recipient}\nfingerprint  ${fingerprint}`);
    for (const key of file.rootKeys) output.line(`root key     ${key}`);
    for (const key of proofKeys) output.line(`proof key    ${key}`);
    if (file.rootKeys.length === 0)
      output.note("The file names no root key: 'recover' will need --root-key to check signatures.");
    return EXIT.ok;
  },
});

export const keyCommand = group("key", "Export, make and look at restore keys.", {
  export: exportCommand,
  generate: generateCommand,
  show: showCommand,
});

/** The root keys of the hub that one deals with, so that the file is enough to check signatures offline. */
async function knownRootKeys(world: World, output: Output, signal: AbortSignal): Promise<string[]> {
  const hub = await openHubUnsigned(world, signal);
  try {
    if (hub) return (await hubApi(hub).info()).root_keys;
  } catch (error) {
    if (!isXVaultError(error, "UNAVAILABLE")) throw error;
    output.warn(error.message);
  }
  output.note("No hub's root key is in the file: 'recover' will need --root-key to check signatures.");
  return [];
}

/** Writes a file that only its owner can read and that was not there before. @throws ENTRY_CONFLICT, PATH_DENIED */
async function writeSecret(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
      throw new XVaultError("ENTRY_CONFLICT", `${file} exists already; a key is never replaced.`, {
        fix: "Choose another name with --out.",
      });
    }
    throw new XVaultError("PATH_DENIED", `${file} cannot be written.`, {
      fix: "Choose another place with --out.",
      cause,
    });
  }
}

/** The hub names the file; a name is all it may decide. */
function safeName(name: string): string {
  return (
    basename(name)
      .replace(/[^A-Za-z0-9._-]/g, "_")
      .replace(/^\.+/, "") || "recovery-kit.txt"
  );
}
