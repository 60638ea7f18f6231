import { stripVTControlCharacters } from "node:util";
import { type CommandDef, renderUsage } from "citty";
import { type Command, group } from "./command.ts";
import { auditCommand } from "./commands/audit.ts";
import { backupCommand } from "./commands/backup.ts";
import { copyCommand } from "./commands/copy.ts";
import { drillCommand } from "./commands/drill.ts";
import { forgetCommand } from "./commands/forget.ts";
import { cancelCommand, jobsCommand } from "./commands/jobs.ts";
import { keyCommand } from "./commands/key.ts";
import { loginCommand, logoutCommand, whoamiCommand } from "./commands/login.ts";
import { lsCommand } from "./commands/ls.ts";
import { pinCommand, unpinCommand } from "./commands/pin.ts";
import { packageCommand } from "./commands/package.ts";
import { platformCommand } from "./commands/platform.ts";
import { proofCommand } from "./commands/proof.ts";
import { recoverCommand } from "./commands/recover.ts";
import { restoreCommand } from "./commands/restore.ts";
import { retentionCommand } from "./commands/retention.ts";
import { snapshotsCommand } from "./commands/snapshots.ts";
import { sourceCommand } from "./commands/source.ts";
import { storageCommand } from "./commands/storage.ts";
import { verifyCommand } from "./commands/verify.ts";
import { EXIT, EXIT_CODES_HELP, exitCodeOf, UsageError } from "./exit-codes.ts";
import { ENVIRONMENT_HELP } from "./environment.ts";
import { showFailure } from "./output.ts";
import { VERSION } from "./version.ts";
import type { World } from "./world.ts";

const ROOT: Command = {
  ...group("xvault", "Back servers up, look into snapshots, restore; with or without the hub.", {
    login: loginCommand,
    logout: logoutCommand,
    whoami: whoamiCommand,
    source: sourceCommand,
    backup: backupCommand,
    jobs: jobsCommand,
    cancel: cancelCommand,
    snapshots: snapshotsCommand,
    ls: lsCommand,
    restore: restoreCommand,
    verify: verifyCommand,
    copy: copyCommand,
    drill: drillCommand,
    proof: proofCommand,
    audit: auditCommand,
    forget: forgetCommand,
    pin: pinCommand,
    unpin: unpinCommand,
    retention: retentionCommand,
    storage: storageCommand,
    package: packageCommand,
    platform: platformCommand,
    key: keyCommand,
    recover: recoverCommand,
  }),
  examples: [
    "xvault login --url https://backup.example.com",
    "xvault source add web-01 --host web-01.example.com --user backup --path /etc --path /srv",
    "xvault backup web-01",
    "xvault ls latest@web-01:/etc",
    "xvault restore latest@web-01:/etc/hosts --target ./out",
    "xvault recover --from /mnt/storage --identity recovery-kit.txt --target ./out",
  ],
};

/** Runs one command line. Gives the exit code; whatever fails is reported, nothing is thrown. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  const json = argv.includes("--json");
  let usage = "See 'xvault --help'.";
  try {
    if (argv[0] === "--version" || argv[0] === "-V") {
      world.stdout.write(`${VERSION}\n`);
      return EXIT.ok;
    }
    const { found, parents, rest } = resolve(argv);
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
function resolve(argv: readonly string[]): { found: Command; parents: Command[]; rest: string[] } {
  const parents: Command[] = [];
  let found = ROOT;
  let rest = [...argv];
  if (rest[0] === "help") rest = [...rest.slice(1), "--help"];
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
