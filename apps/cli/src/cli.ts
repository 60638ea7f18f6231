import { stripVTControlCharacters } from "node:util";
import { type CommandDef, renderUsage } from "citty";
import { type Command, group } from "./command.ts";
import { EXIT, EXIT_CODES_HELP, exitCodeOf, UsageError } from "./exit-codes.ts";
import { ENVIRONMENT_HELP } from "./environment.ts";
import { showFailure } from "./output.ts";
import { VERSION } from "./version.ts";
import type { World } from "./world.ts";

/** What each first word loads: a program that is started for every command must not load them all. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  login: async () => (await import("./commands/login.ts")).loginCommand,
  logout: async () => (await import("./commands/login.ts")).logoutCommand,
  whoami: async () => (await import("./commands/login.ts")).whoamiCommand,
  source: async () => (await import("./commands/source.ts")).sourceCommand,
  backup: async () => (await import("./commands/backup.ts")).backupCommand,
  jobs: async () => (await import("./commands/jobs.ts")).jobsCommand,
  cancel: async () => (await import("./commands/jobs.ts")).cancelCommand,
  snapshots: async () => (await import("./commands/snapshots.ts")).snapshotsCommand,
  ls: async () => (await import("./commands/ls.ts")).lsCommand,
  restore: async () => (await import("./commands/restore.ts")).restoreCommand,
  verify: async () => (await import("./commands/verify.ts")).verifyCommand,
  copy: async () => (await import("./commands/copy.ts")).copyCommand,
  drill: async () => (await import("./commands/drill.ts")).drillCommand,
  proof: async () => (await import("./commands/proof.ts")).proofCommand,
  audit: async () => (await import("./commands/audit.ts")).auditCommand,
  forget: async () => (await import("./commands/forget.ts")).forgetCommand,
  pin: async () => (await import("./commands/pin.ts")).pinCommand,
  unpin: async () => (await import("./commands/pin.ts")).unpinCommand,
  retention: async () => (await import("./commands/retention.ts")).retentionCommand,
  storage: async () => (await import("./commands/storage.ts")).storageCommand,
  package: async () => (await import("./commands/package.ts")).packageCommand,
  platform: async () => (await import("./commands/platform.ts")).platformCommand,
  key: async () => (await import("./commands/key.ts")).keyCommand,
  recover: async () => (await import("./commands/recover.ts")).recoverCommand,
};

/** The root, with the command of the first word alone; with all of them where it names none, for the help. */
async function rootFor(word: string | undefined): Promise<Command> {
  const named = word !== undefined && Object.hasOwn(COMMANDS, word) ? [word] : Object.keys(COMMANDS);
  const loaded = await Promise.all(named.map(async (name) => [name, await COMMANDS[name]?.()] as const));
  const below = Object.fromEntries(loaded.flatMap(([name, found]) => (found ? [[name, found]] : [])));
  return {
    ...group("xvault", "Back servers up, look into snapshots, restore; with or without the hub.", below),
    examples: [
      "xvault login --url https://backup.example.com",
      "xvault source add web-01 --host web-01.example.com --user backup --path /etc --path /srv",
      "xvault backup web-01",
      "xvault ls latest@web-01:/etc",
      "xvault restore latest@web-01:/etc/hosts --target ./out",
      "xvault recover --from /mnt/storage --identity recovery-kit.txt --target ./out",
    ],
  };
}

/** Runs one command line. Gives the exit code; whatever fails is reported, nothing is thrown. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  const json = argv.includes("--json");
  let usage = "See 'xvault --help'.";
  try {
    if (argv[0] === "--version" || argv[0] === "-V") {
      world.stdout.write(`${VERSION}\n`);
      return EXIT.ok;
    }
    const { found, parents, rest } = await resolve(argv);
    const path = namesOf([...parents, found]);
    usage = `See '${path} --help'.`;
    const options = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
    const wantsHelp = options.includes("--help") || options.includes("-h");
    if (wantsHelp || (!found.act && rest.length === 0)) {
      const help = await helpFor(found, parents);
      world.stdout.write(`${world.stdout.isTTY ? help : stripVTControlCharacters(help)}\n`);
      return wantsHelp || parents.length === 0 ? EXIT.ok : EXIT.usage;
    }
    if (!found.act) throw new UsageError(`There is no command '${rest[0]}'.`);
    return await found.act(rest, world);
  } catch (error) {
    showFailure(world, error, { json, usage });
    return exitCodeOf(error);
  }
}

/** Walks from the root to the command that the first words name. */
async function resolve(argv: readonly string[]): Promise<{ found: Command; parents: Command[]; rest: string[] }> {
  const parents: Command[] = [];
  let rest = [...argv];
  if (rest[0] === "help") rest = [...rest.slice(1), "--help"];
  let found = await rootFor(rest[0]);
  for (;;) {
    const below = found.subCommands ?? {};
    const [word] = rest;
    const next = word !== undefined && Object.hasOwn(below, word) ? below[word] : undefined;
    if (!next) return { found, parents, rest };
    parents.push(found);
    found = next;
    rest = rest.slice(1);
  }
}

async function helpFor(found: Command, parents: Command[]): Promise<string> {
  const parent: CommandDef = { meta: { name: namesOf(parents) } };
  const usage = await renderUsage(found as CommandDef, parents.length > 0 ? parent : undefined);
  const parts = [usage.replace(/ +$/gm, "").trimEnd()];
  if (found.examples.length > 0) parts.push(`Examples:\n${found.examples.map((line) => `  ${line}`).join("\n")}`);
  if (parents.length === 0) parts.push(ENVIRONMENT_HELP, EXIT_CODES_HELP);
  return `${parts.join("\n\n")}\n`;
}

function namesOf(commands: readonly Command[]): string {
  return commands.map((one) => one.meta.name).join(" ");
}
