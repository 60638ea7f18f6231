import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import rules from "../floors/dependency-cruiser.mjs";
import { ROOT, run } from "./run.ts";
import { failed, passed, type Outcome } from "./stage.ts";
import { filesBelow } from "./workspaces.ts";

interface Violation {
  from: string;
  to: string;
  rule: { name: string };
}
interface Report {
  modules: { source: string }[];
  summary: { violations: Violation[] };
}

const CONFIG = join(ROOT, "tooling/floors/dependency-cruiser.mjs");
const CANARY = "tooling/floors/canary";
const RULES = (rules.forbidden ?? []).map((rule) => ({ name: rule.name, why: rule.comment }));

async function cruise(cwd: string, folders: string[]): Promise<Report> {
  const result = await run("depcruise", ["--config", CONFIG, "--output-type", "json", ...folders], {
    cwd,
    wholeStdout: true,
  });
  try {
    return JSON.parse(result.stdout) as Report;
  } catch {
    throw new Error(`dependency-cruiser gave no report:\n${result.output.slice(0, 2000)}`);
  }
}

/** Rules which a canary file's first line says it breaks: `caught by: NAME NAME`. */
function expectedBy(file: string): string[] {
  const [, names] =
    /caught by: (.*?)(?: -->)?$/m.exec(readFileSync(join(ROOT, file), "utf8").split("\n")[0] ?? "") ?? [];
  return (names ?? "").split(" ").filter((name) => name !== "" && name !== "nothing");
}

/** Every canary that was not caught, every rule without one, and every legal import that was reported. */
async function checkCanary(): Promise<string[]> {
  const report = await cruise(join(ROOT, CANARY), ["packages", "apps", "e2e"]);
  const caught = new Set(report.summary.violations.map(({ from, rule }) => `${from} ${rule.name}`));
  const wanted = filesBelow(CANARY, /\.(ts|vue)$/).flatMap((file) =>
    expectedBy(file).map((name) => `${file.slice(CANARY.length + 1)} ${name}`),
  );
  const tried = new Set(wanted.map((entry) => entry.split(" ")[1]));
  // Of a circle only one end is reported.
  const missed = wanted.filter((entry) => !caught.has(entry) && !entry.endsWith(" no-circle"));
  if (![...caught].some((entry) => entry.endsWith(" no-circle"))) missed.push("packages/engine no-circle");
  return [
    ...missed.map((entry) => `canary not caught: ${entry}`),
    ...RULES.filter((rule) => !tried.has(rule.name)).map((rule) => `rule without a canary: ${rule.name}`),
    ...[...caught].filter((entry) => !wanted.includes(entry)).map((entry) => `reported though it is legal: ${entry}`),
  ];
}

/** Checks what may import what, after the canary has shown that every rule catches what it forbids. */
export async function floors(): Promise<Outcome> {
  const canary = await checkCanary();
  if (canary.length > 0) return failed("the floors' rules do not work", canary.join("\n"));
  const folders = ["packages", "apps", "e2e", "bench", "tooling", "infra"].filter((folder) =>
    existsSync(join(ROOT, folder)),
  );
  const report = await cruise(ROOT, folders);
  const code = new Set(filesBelow("packages", /\.ts$/));
  const seen = new Set(report.modules.map((module) => module.source));
  const unseen = [...code].filter(
    (file) => !file.endsWith(".d.ts") && !file.includes("/migrations/") && !seen.has(file),
  );
  if (unseen.length > 0) return failed(`${unseen.length} files were not looked at`, unseen.slice(0, 20).join("\n"));
  const { violations } = report.summary;
  if (violations.length > 0) {
    const text = violations.map(({ from, to, rule }) => {
      const why = RULES.find(({ name }) => name === rule.name)?.why ?? "";
      return `${from} → ${to}\n    ${rule.name}: ${why}`;
    });
    return failed(`${violations.length} illegal imports`, text.join("\n"));
  }
  return passed(`${report.modules.length} modules; ${RULES.length} rules, each caught its canary`);
}
