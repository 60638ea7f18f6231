import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One instruction: `COPY`, and what follows it, with continued lines joined. */
interface Instruction {
  name: string;
  rest: string;
}

/** What matters of a Dockerfile's last stage, and of every stage's copies. */
export interface Dockerfile {
  /** Sources of `COPY` that come from the build's context, not from another stage. */
  copied: string[];
  /** Variables that the last stage sets. */
  env: Record<string, string>;
  user: string | undefined;
  healthcheck: string | undefined;
  command: string[];
  stages: number;
}

function instructions(text: string): Instruction[] {
  const lines = text.split("\n").filter((line) => !line.trimStart().startsWith("#"));
  const joined = lines.join("\n").replaceAll(/\\\n/g, " ");
  return joined.split("\n").flatMap((line) => {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    return name === undefined || rest === undefined ? [] : [{ name, rest: rest.trim() }];
  });
}

/** Reads as much of a Dockerfile as xVault's own ones use. Throws where `CMD` is not in exec form. */
export function parseDockerfile(text: string): Dockerfile {
  const all = instructions(text);
  const last = all.slice(all.findLastIndex(({ name }) => name === "FROM"));
  const find = (name: string) => last.findLast((instruction) => instruction.name === name)?.rest;
  const pairs = last.filter(({ name }) => name === "ENV").flatMap(({ rest }) => rest.split(/\s+/));
  return {
    copied: all
      .filter(({ name, rest }) => name === "COPY" && !rest.includes("--from="))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1)),
    env: Object.fromEntries(pairs.map((pair) => [pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1)])),
    user: find("USER"),
    healthcheck: find("HEALTHCHECK"),
    command: JSON.parse(find("CMD") ?? "[]") as string[],
    stages: all.filter(({ name }) => name === "FROM").length,
  };
}

/** Whether `.dockerignore`, which here lists what may enter (`!path` after `*`), lets `path` into the build. */
function entersBuild(root: string, path: string): boolean {
  const allowed = readFileSync(join(root, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("!"))
    .map((line) => line.slice(1).trim());
  return allowed.some((entry) => entry === path || path.startsWith(`${entry}/`) || entry.startsWith(`${path}/`));
}

/** Everything that is wrong with a Dockerfile of the repository at `root`; empty where nothing is. */
export function dockerfileProblems(root: string, dockerfile: Dockerfile, knownEnv: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  if (dockerfile.stages < 2) problems.push("has one stage only: what builds it would be shipped");
  if (!dockerfile.user || /^(root|0)(:|$)/.test(dockerfile.user)) problems.push("runs as root");
  if (!dockerfile.healthcheck) problems.push("has no HEALTHCHECK");
  if (dockerfile.command.length === 0) problems.push("has no CMD");
  for (const source of dockerfile.copied) {
    if (!existsSync(join(root, source))) problems.push(`copies ${source}, which does not exist`);
    else if (!entersBuild(root, source)) problems.push(`copies ${source}, which .dockerignore keeps out`);
  }
  const [program, ...args] = dockerfile.command;
  const entry = args.find((arg) => !arg.startsWith("--"));
  if (program === "node" && (entry === undefined || !existsSync(join(root, entry)))) {
    problems.push(`starts ${entry ?? "nothing"}, which does not exist`);
  }
  for (const name of Object.keys(dockerfile.env)) {
    if (!knownEnv.has(name)) problems.push(`sets ${name}, which nothing reads`);
  }
  return problems;
}
