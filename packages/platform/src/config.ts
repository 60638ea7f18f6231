import { readFileSync } from "node:fs";
import { XVaultError } from "@xvault/kernel";
import type { z } from "zod";
import { Secret } from "./secret.ts";

/** Environment variables as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One variable: its name, how its text is parsed, and whether it may be shown. */
export interface Setting<T> {
  readonly name: string;
  readonly secret: boolean;
  /** Parses the text; `undefined` means the variable is not set. Messages never repeat the value. */
  parse(text: string | undefined): { value: T } | { problem: string };
}

type Shape = Record<string, Setting<unknown>>;
type ValuesOf<S extends Shape> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
/** Names a problem of the whole: which variable, and what is wrong with it. */
export type ReportProblem = (name: string, problem: string) => void;

/** A set of variables that is read and checked as one. */
export interface ConfigSchema<T> {
  read(env: Environment, report: ReportProblem): T | null;
}

/** An ordinary variable. Give the schema `.default()` or `.optional()` where it may be left out. An empty text counts as not set. */
export function setting<T>(name: string, schema: z.ZodType<T>): Setting<T> {
  return { name, secret: false, parse: (text) => parseWith(schema, text) };
}

/**
 * A variable that holds a secret: its value comes as a {@link Secret}, and it has a twin `NAME_FILE` that names a file to read it
 * from (one newline at the end of the file is dropped), as container platforms mount secrets.
 */
export function secretSetting<T>(
  name: string,
  schema: z.ZodType<T>,
): Setting<Secret<Exclude<T, undefined>> | Extract<T, undefined>> {
  return {
    name,
    secret: true,
    parse: (text) => {
      const parsed = parseWith(schema, text);
      if ("problem" in parsed) return parsed;
      const value = parsed.value === undefined ? undefined : new Secret(parsed.value);
      return { value: value as Secret<Exclude<T, undefined>> | Extract<T, undefined> };
    },
  };
}

/**
 * Puts variables together. `check` reports what is wrong between variables; a variable that is wrong by itself is absent there, and
 * a second problem with it is not reported.
 */
export function defineConfig<S extends Shape>(
  shape: S,
  check: (values: Partial<ValuesOf<S>>, report: ReportProblem) => void = () => {},
): ConfigSchema<ValuesOf<S>> {
  return {
    read(env, report) {
      const values: Record<string, unknown> = {};
      const wrong = new Set<string>();
      const note: ReportProblem = (name, problem) => {
        if (wrong.has(name) || wrong.has(`${name}_FILE`)) return;
        wrong.add(name);
        report(name, problem);
      };
      for (const [key, item] of Object.entries(shape)) {
        const text = textOf(item, env, note);
        if (text === BROKEN) continue;
        const parsed = item.parse(text);
        if ("problem" in parsed) note(item.name, parsed.problem);
        else values[key] = parsed.value;
      }
      check(values as Partial<ValuesOf<S>>, note);
      return wrong.size === 0 ? (values as ValuesOf<S>) : null;
    },
  };
}

/**
 * Reads and checks the environment. Throws one `CONFIG_INVALID` that names every problem at once, a line each as `NAME: what is
 * wrong`, and never a value.
 */
export function loadConfig<T>(schema: ConfigSchema<T>, env: Environment = process.env): T {
  const problems: string[] = [];
  const values = schema.read(env, (name, problem) => problems.push(`${name}: ${problem}`));
  if (values === null || problems.length > 0) {
    throw new XVaultError("CONFIG_INVALID", `The configuration is not valid.\n${problems.join("\n")}`, {
      data: { problems: problems.length },
    });
  }
  return values;
}

const BROKEN = Symbol("broken");

function textOf(item: Setting<unknown>, env: Environment, note: ReportProblem): string | undefined | typeof BROKEN {
  const direct = env[item.name] === "" ? undefined : env[item.name];
  const twin = `${item.name}_FILE`;
  const file = item.secret && env[twin] !== "" ? env[twin] : undefined;
  if (file === undefined) return direct;
  if (direct !== undefined) {
    note(item.name, `is set, and so is ${twin}; set only one of them`);
    return BROKEN;
  }
  try {
    const text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    if (text !== "") return text;
    note(twin, "names a file that is empty");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    note(twin, `names a file that cannot be read (${code})`);
  }
  return BROKEN;
}

function parseWith<T>(schema: z.ZodType<T>, text: string | undefined): { value: T } | { problem: string } {
  const parsed = schema.safeParse(text);
  if (parsed.success) return { value: parsed.data };
  if (text === undefined) return { problem: "is not set" };
  return { problem: parsed.error.issues[0]?.message ?? "is not valid" };
}
