import * as clack from "@clack/prompts";
import { XVaultError } from "@xvault/kernel";
import { isInteractive, type World } from "./world.ts";

/** Questions to a person. They stand on stderr; where nobody can be asked, `unasked` is thrown. */
type Asking = { world: World; unasked: Error };

function streams(world: World) {
  return { input: world.stdin as never, output: world.stderr as never };
}

function answerOf<T>(answer: T): Exclude<T, symbol> {
  if (typeof answer === "symbol") throw new XVaultError("CANCELLED");
  return answer as Exclude<T, symbol>;
}

/** Yes or no. */
export async function askConfirm({ world, unasked }: Asking, message: string): Promise<boolean> {
  if (!isInteractive(world)) throw unasked;
  return answerOf(await clack.confirm({ message, initialValue: false, ...streams(world) }));
}

export async function askText({ world, unasked }: Asking, message: string): Promise<string> {
  if (!isInteractive(world)) throw unasked;
  return answerOf(await clack.text({ message, validate: notEmpty, ...streams(world) }));
}

/** Something that is not shown while it is typed. */
export async function askSecret({ world, unasked }: Asking, message: string): Promise<string> {
  if (!isInteractive(world)) throw unasked;
  return answerOf(await clack.password({ message, validate: notEmpty, ...streams(world) }));
}

function notEmpty(value: string | undefined): string | undefined {
  return value ? undefined : "Something is needed here.";
}

const MAX_STDIN = 1024 * 1024;

/** What is piped in, without the line feed at its end. For secrets: nothing of it is ever printed. */
export async function readStdin(world: World, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of world.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_STDIN) throw new XVaultError("INPUT_INVALID", `What came in as ${what} is too long.`);
    chunks.push(bytes);
  }
  const text = Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (text === "") {
    throw new XVaultError("INPUT_INVALID", `Nothing came in as ${what}.`, {
      fix: `Pipe the ${what} into the command.`,
    });
  }
  return text;
}
