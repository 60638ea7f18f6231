import { inspect } from "node:util";
import { isXVaultError, type XVaultError } from "@xvault/kernel";
import { UsageError } from "./exit-codes.ts";
import type { World } from "./world.ts";

/**
 * What a command says. Results go to stdout, everything else to stderr. With `json`, stdout carries JSON lines only, each with a
 * `message_type`, and what is meant for people is left out.
 */
export interface Output {
  readonly json: boolean;
  /** A line of the result. */
  line(text: string): void;
  /** A result for programs. */
  message(type: string, fields: object): void;
  /** A remark for people. */
  note(text: string): void;
  /** Something that the reader should know even though it worked. For programs: a message of type 'warning'. */
  warn(text: string): void;
}

export function createOutput(world: World, json: boolean): Output {
  return {
    json,
    line: (text) => {
      if (!json) world.stdout.write(`${printable(text)}\n`);
    },
    message: (type, fields) => {
      if (json) world.stdout.write(`${JSON.stringify({ message_type: type, ...fields })}\n`);
    },
    note: (text) => {
      if (!json) world.stderr.write(`${printable(text)}\n`);
    },
    warn: (text) => {
      if (json) world.stdout.write(`${JSON.stringify({ message_type: "warning", message: text })}\n`);
      else world.stderr.write(`warning: ${printable(text)}\n`);
    },
  };
}

/** Names and messages come from strangers: control characters are shown, not sent to the terminal. Line feeds stay. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]|[\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, (char) => {
    const code = char.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** A number with its noun: '1 file', '2 files'. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Text in columns, as wide as they need to be; those named in `right` are aligned to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const safe = [head, ...rows].map((row) => row.map((cell) => printable(cell).replaceAll("\n", "\\n")));
  const widths = head.map((_, column) => Math.max(...safe.map((row) => row[column]?.length ?? 0)));
  return safe
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Reports how a command failed: code, cause, fix and request id; never a stack unless it was asked for. */
export function showFailure(world: World, error: unknown, options: { json: boolean; usage?: string }): void {
  if (world.environment.debug) world.stderr.write(`${inspect(error)}\n`);
  if (error instanceof UsageError) {
    const fix = options.usage ?? "See 'xvault --help'.";
    if (options.json) writeError(world, { code: "USAGE", message: error.message, fix, retry: false });
    else world.stderr.write(`error USAGE: ${printable(error.message)}\nfix: ${fix}\n`);
    return;
  }
  const report = isXVaultError(error) ? reportOf(error) : unexpected(error);
  if (options.json) {
    writeError(world, report);
    return;
  }
  world.stderr.write(`error ${report.code}: ${printable(report.message)}\nfix: ${printable(report.fix)}\n`);
  if (report.request_id !== undefined) world.stderr.write(`request id: ${printable(report.request_id)}\n`);
}

interface FailureReport {
  code: string;
  message: string;
  fix: string;
  retry: boolean;
  data?: XVaultError["data"];
  request_id?: string | undefined;
}

function writeError(world: World, report: FailureReport): void {
  world.stdout.write(`${JSON.stringify({ message_type: "error", ...report })}\n`);
}

function reportOf(error: XVaultError): FailureReport {
  const { request_id, ...data } = error.data ?? {};
  return {
    code: error.code,
    message: error.message,
    fix: error.fix,
    retry: error.retry,
    ...(Object.keys(data).length > 0 ? { data } : {}),
    ...(typeof request_id === "string" ? { request_id } : {}),
  };
}

/** A defect of ours: what it says may quote anything, so only its kind is shown. */
function unexpected(error: unknown): FailureReport {
  const kind = error instanceof Error ? error.name : typeof error;
  return {
    code: "INTERNAL",
    message: `Something went wrong inside the command line (${kind}).`,
    fix: "Run it again with XVAULT_DEBUG=1 and report what it prints.",
    retry: false,
  };
}
