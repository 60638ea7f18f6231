import type { Credential, HostKeyMessage } from "@xvault/contracts";
import { isXVaultError, shortId, XVaultError } from "@xvault/kernel";
import { askConfirm, askSecret, readStdin } from "../ask.ts";
import { type Call, command, JSON_ARG, numberArg } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { type HubApi, hubApi } from "../hub/api.ts";
import { openHub } from "../hub/client.ts";
import { readSecretFile } from "../local/identity.ts";
import { findStorage } from "../names/find.ts";
import { isInteractive } from "../world.ts";
import { showChecks } from "./source-checks.ts";

const ARGS = {
  name: { type: "positional", description: "What to call it" },
  host: { type: "string", required: true, description: "Host name or address" },
  port: { type: "string", description: "SSH port (default 22)" },
  user: { type: "string", required: true, description: "User to sign in as" },
  path: { type: "string", required: true, description: "Absolute path to back up; may be repeated" },
  exclude: { type: "string", description: "What to leave out, in gitignore's syntax; may be repeated" },
  key: {
    type: "string",
    valueHint: "file",
    description: "Private key to sign in with (default: a new key pair is made)",
  },
  password: { type: "boolean", description: "Sign in with a password, which is asked for" },
  "password-stdin": { type: "boolean", description: "Read the password (or the key's passphrase) from standard input" },
  fingerprint: { type: "string", description: "The host key that is expected: SHA256:…" },
  "accept-host-key": { type: "boolean", description: "Trust whatever host key the server shows now" },
  cron: { type: "string", description: "Schedule in five cron fields, such as '15 3 * * *'" },
  timezone: { type: "string", description: "Time zone of the schedule (default UTC)" },
  transport: { type: "enum", options: ["auto", "tar", "sftp"], description: "How files are pulled (default auto)" },
  storage: {
    type: "string",
    description: "Storage to write to, the first one first; may be repeated (default: the workers' disks)",
  },
  "one-file-system": { type: "boolean", description: "Do not cross into other mounted file systems" },
  yes: {
    type: "boolean",
    alias: "y",
    description: "Do not wait or ask; add it even if the test fails. Says nothing about the host key",
  },
  ...JSON_ARG,
} as const;

type AddCall = Call<typeof ARGS>;
type Connection = { host: string; port: number; username: string; host_key: HostKeyMessage; credential_id: string };

export const addSourceCommand = command({
  name: "add",
  description: "Add a server. Its host key is shown and confirmed before any credential is sent to it.",
  args: ARGS,
  examples: [
    "xvault source add web-01 --host web-01.example.com --user backup --path /etc --path /srv --exclude '*.cache'",
    "xvault source add db --host 10.0.0.5 --user backup --path /var/backups --key ~/.ssh/backup --fingerprint SHA256:…",
    "xvault source add nas --host nas --user me --path /data --password-stdin --accept-host-key --cron '15 3 * * *' < pw",
    "xvault source add mail --host mail --user backup --path /var/mail --storage 'Worker disks' --storage 'Offsite bucket'",
  ],
  async act(call) {
    const { args, all, output, world, signal } = call;
    const port = numberArg("port", args.port, 1, 65_535) ?? 22;
    if (args.timezone !== undefined && args.cron === undefined) throw new UsageError("--timezone needs --cron.");
    const makesKey = args.key === undefined && !args.password && !args["password-stdin"];
    if (makesKey && !args.yes && !isInteractive(world)) {
      throw new UsageError(
        "Nobody can be asked to put the new key on the server: say --yes, or bring --key or a password.",
      );
    }
    if (args.key !== undefined && args.password) throw new UsageError("Choose --key or --password.");
    const api = hubApi(await openHub(world, signal));
    // Every other command finds a source by its name.
    if ((await api.sources()).some(({ name }) => name === args.name)) {
      throw new XVaultError("CONFLICT", `There is a source '${args.name}' already.`, {
        fix: `Choose another name, or look at that one: xvault source show ${args.name}.`,
      });
    }
    const storage_ids: string[] = [];
    for (const name of all("storage")) storage_ids.push((await findStorage(api, name)).id);

    const hostKey = await api.probe({ host: args.host, port });
    output.message("host_key", { host: args.host, port, ...hostKey });
    output.note(`Host key of ${args.host}:${port}: ${hostKey.algorithm} ${hostKey.fingerprint}`);
    await confirmHostKey(call, hostKey);

    const credential = await makeCredential(call, api);
    const connection = { host: args.host, port, username: args.user, host_key: hostKey, credential_id: credential.id };
    if (credential.kind === "generated_key") await waitForKey(call, api, connection, credential);
    const paths = all("path");
    const tested = await test(call, api, connection, paths);
    if (tested === EXIT.failed && !(await addAnyway(call))) {
      output.note("The source was not added. --yes adds one whose test fails.");
      return EXIT.failed;
    }

    const source = await api.createSource({
      name: args.name,
      connection,
      paths,
      excludes: all("exclude"),
      options: {
        transport: args.transport ?? "auto",
        one_file_system: args["one-file-system"] === true,
      },
      ...(storage_ids.length === 0 ? {} : { storage_ids }),
      ...(args.cron === undefined ? {} : { schedule: { cron: args.cron, timezone: args.timezone ?? "UTC" } }),
    });
    output.message("source", source);
    output.line(`Source ${source.name} (${shortId(source.id)}) is added.`);
    if (tested === EXIT.failed) {
      output.note(`Its test failed. When that is mended: xvault source test ${source.name}`);
      return EXIT.warning;
    }
    output.note(`Back it up now: xvault backup ${source.name}`);
    return tested;
  },
});

/** @throws HOST_KEY_CHANGED when it is not the expected one; HOST_KEY_UNCONFIRMED when nobody vouches for it */
async function confirmHostKey({ args, world }: AddCall, hostKey: HostKeyMessage): Promise<void> {
  if (args.fingerprint !== undefined) {
    if (args.fingerprint.replace(/=+$/, "") === hostKey.fingerprint) return;
    throw new XVaultError(
      "HOST_KEY_CHANGED",
      `The server shows ${hostKey.fingerprint}, not ${args.fingerprint}. No credential was sent.`,
      {
        fix: "Compare with the fingerprint that the server's own console tells (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).",
      },
    );
  }
  if (args["accept-host-key"]) return;
  const unasked = new XVaultError(
    "HOST_KEY_UNCONFIRMED",
    `Nobody confirmed the host key ${hostKey.fingerprint}. No credential was sent.`,
    {
      fix: `Compare it with the server's own, then run again with --fingerprint ${hostKey.fingerprint}.`,
    },
  );
  if (!(await askConfirm({ world, unasked }, "Is this the server's key?"))) throw unasked;
}

async function makeCredential({ args, world }: AddCall, api: HubApi): Promise<Credential> {
  const fromStdin = (what: string) => readStdin(world, what);
  if (args.key !== undefined) {
    const private_key = await readSecretFile(args.key, "private key");
    const key = { kind: "private_key", private_key } as const;
    if (args["password-stdin"]) return api.createCredential({ ...key, passphrase: await fromStdin("passphrase") });
    try {
      return await api.createCredential(key);
    } catch (error) {
      if (!isXVaultError(error, "KEY_PASSPHRASE_REQUIRED") || !isInteractive(world)) throw error;
      return api.createCredential({
        ...key,
        passphrase: await askSecret({ world, unasked: error }, "Passphrase of the key"),
      });
    }
  }
  if (args["password-stdin"]) return api.createCredential({ kind: "password", password: await fromStdin("password") });
  if (args.password) {
    const unasked = new UsageError("Pipe the password in with --password-stdin.");
    return api.createCredential({
      kind: "password",
      password: await askSecret({ world, unasked }, `Password of ${args.user}@${args.host}`),
    });
  }
  return api.createCredential({ kind: "generated_key" });
}

/** A new key must first be put on the server: shows the line, and waits for the person. */
async function waitForKey(
  { args, world, output }: AddCall,
  api: HubApi,
  connection: Connection,
  credential: Credential,
): Promise<void> {
  output.message("credential", { public_key: credential.public_key, fingerprint: credential.fingerprint });
  output.note(`Add this line to ~${args.user}/.ssh/authorized_keys on ${args.host}:`);
  output.line(credential.public_key ?? "");
  if (args.yes) return;
  while (await askConfirm({ world, unasked: new UsageError("--yes is missing.") }, "Is the line there?")) {
    try {
      const { checks } = await api.test({ connection, paths: [] });
      if (checks.every((check) => check.status !== "failed")) return;
      showChecks(output, { ok: false, checks });
    } catch (error) {
      if (!isXVaultError(error, "LOGIN_REFUSED")) throw error;
      output.note("The server does not accept the key yet.");
    }
  }
  throw new XVaultError("CANCELLED", "The source was not added.");
}

/** Tests the connection and prints what it found. A connection that cannot even be made counts as a failed test. */
async function test({ output, args }: AddCall, api: HubApi, connection: Connection, paths: string[]): Promise<number> {
  try {
    return showChecks(output, await api.test({ connection, paths }));
  } catch (error) {
    // What is wrong at the server is one of the checks: an error means that nobody could look.
    if (!args.yes || !isXVaultError(error, "NO_WORKER", "UNAVAILABLE")) throw error;
    output.warn(`The connection could not be tested: ${error.message}`);
    return EXIT.failed;
  }
}

async function addAnyway({ args, world }: AddCall): Promise<boolean> {
  if (args.yes) return true;
  return (
    isInteractive(world) &&
    askConfirm({ world, unasked: new UsageError("--yes is missing.") }, "The test failed. Add the source all the same?")
  );
}
