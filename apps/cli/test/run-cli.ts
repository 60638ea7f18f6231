import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCli } from "../src/cli.ts";
import type { World } from "../src/world.ts";

export interface Ran {
  code: number;
  out: string;
  err: string;
  /** The JSON lines on stdout. */
  messages(): Record<string, unknown>[];
}

/** Runs a command line in this process, without a terminal. Its configuration lies in a directory of its own unless one is given. */
export async function runHere(
  argv: string[],
  options: { stdin?: string; environment?: Partial<World["environment"]> } = {},
): Promise<Ran> {
  const stdin = new PassThrough();
  stdin.end(options.stdin ?? "");
  const [stdout, out] = collector();
  const [stderr, err] = collector();
  const configFile = join(mkdtempSync(join(tmpdir(), "xvault-cli-")), "config.json");
  const bucketKey = { id: undefined, secret: undefined, sessionToken: undefined };
  const environment = { url: undefined, token: undefined, bucketKey, configFile, debug: false, ...options.environment };
  const code = await runCli(argv, { environment, stdin, stdout, stderr, onInterrupt: () => () => {} });
  return {
    code,
    out: out(),
    err: err(),
    messages: () =>
      out()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

function collector(): [PassThrough, () => string] {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return [stream, () => Buffer.concat(chunks).toString("utf8")];
}
