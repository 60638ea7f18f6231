import { parseArgs } from "node:util";
import { XVaultError } from "@xvault/kernel";
import { UsageError } from "./exit-codes.ts";
import { createOutput, type Output } from "./output.ts";
import type { World } from "./world.ts";

/** An argument or option, in the form that citty's help takes too. */
export interface ArgSpec {
  type: "positional" | "string" | "boolean" | "enum";
  description: string;
  required?: boolean;
  /** Of the last positional: one or more of them; `all` gives every one. */
  several?: boolean;
  /** One letter. */
  alias?: string;
  valueHint?: string;
  /** Of an 'enum'. */
  options?: readonly string[];
}
export type ArgSpecs = Readonly<Record<string, ArgSpec>>;

/** What an argument's value is; of an option that is repeated, the last. Positionals are always required here. */
type ValueOf<S extends ArgSpec> = S["type"] extends "boolean"
  ? boolean | undefined
  : S["type"] extends "positional"
    ? string
    : S extends { options: readonly (infer O)[] }
      ? O | undefined
      : S["required"] extends true
        ? string
        : string | undefined;

/** What a command's action is given. */
export interface Call<A extends ArgSpecs> {
  args: { readonly [K in keyof A]: ValueOf<A[K]> };
  /** Every value of an argument that may be given more than once, in their order. */
  all(name: keyof A & string): string[];
  world: World;
  output: Output;
  /** Aborted by Ctrl-C, unless the command watches for it itself. */
  signal: AbortSignal;
}

/** A command, in the form that citty's help takes. */
export interface Command {
  meta: { name: string; description: string };
  args?: ArgSpecs;
  subCommands?: Record<string, Command>;
  examples: readonly string[];
  /** Does it and gives the exit code. Missing where there are only commands below it. */
  act?: (rawArgs: readonly string[], world: World) => Promise<number>;
}

export const JSON_ARG = {
  json: { type: "boolean", description: "Print JSON lines, each with a message_type" },
} as const satisfies ArgSpecs;

/**
 * A command that does something. Options are read strictly (citty's own parser takes any option, and the last of several): what is not
 * known is refused, and repeated ones are all kept.
 */
export function command<const A extends ArgSpecs>(definition: {
  name: string;
  description: string;
  args: A;
  examples?: readonly string[];
  act(call: Call<A>): Promise<number>;
}): Command {
  const { name, description, args, examples = [] } = definition;
  return {
    meta: { name, description },
    args,
    examples,
    async act(rawArgs, world) {
      const { values, all } = readArgs(rawArgs, args);
      const interrupt = new AbortController();
      const stop = world.onInterrupt(() => interrupt.abort(new XVaultError("CANCELLED")));
      try {
        return await definition.act({
          args: values as Call<A>["args"],
          all: (option) => all[option] ?? [],
          world,
          output: createOutput(world, values["json"] === true),
          signal: interrupt.signal,
        });
      } finally {
        stop();
      }
    },
  };
}

/** A command that only has others below it. */
export function group(name: string, description: string, subCommands: Record<string, Command>): Command {
  return { meta: { name, description }, subCommands, examples: [] };
}

type Values = Record<string, string | boolean | undefined>;

/** @throws UsageError naming what is unknown, missing, not allowed or too many */
function readArgs(rawArgs: readonly string[], specs: ArgSpecs): { values: Values; all: Record<string, string[]> } {
  const named = Object.entries(specs).filter(([, spec]) => spec.type !== "positional");
  const positional = Object.entries(specs).filter(([, spec]) => spec.type === "positional");
  const parsed = parseStrictly(rawArgs, named);
  const values: Values = {};
  const all: Record<string, string[]> = {};
  for (const [name, spec] of named) {
    const given = parsed.values[name] ?? [];
    const value = given.at(-1);
    all[name] = given.filter((one) => typeof one === "string");
    values[name] = value;
    if (value === undefined && spec.required) throw new UsageError(`--${name} is missing.`);
    if (typeof value === "string" && spec.options && !spec.options.includes(value)) {
      throw new UsageError(`--${name} is one of ${spec.options.join(", ")}.`);
    }
  }
  for (const [index, [name, { several }]] of positional.entries()) {
    const value = parsed.positionals[index];
    if (value === undefined) throw new UsageError(`${name.toUpperCase()} is missing.`);
    values[name] = value;
    all[name] = several ? parsed.positionals.splice(index) : [value];
  }
  const extra = parsed.positionals[positional.length];
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many.`);
  return { values, all };
}

function parseStrictly(rawArgs: readonly string[], named: [string, ArgSpec][]) {
  const options = Object.fromEntries(
    named.map(([name, { type, alias }]) => [
      name,
      {
        type: type === "boolean" ? ("boolean" as const) : ("string" as const),
        multiple: true as const,
        ...(alias === undefined ? {} : { short: alias }),
      },
    ]),
  );
  try {
    return parseArgs({ args: [...rawArgs], options, allowPositionals: true, strict: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : "The command line cannot be read";
    throw new UsageError(`${message.split(/\. |\n/)[0]?.replace(/\.$/, "") ?? message}.`);
  }
}

/** A number out of an option. @throws UsageError */
export function numberArg(name: string, value: string | undefined, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) {
    throw new UsageError(`--${name} is a whole number from ${least} to ${most}.`);
  }
  return number;
}
