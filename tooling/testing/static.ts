import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { markWebBuild } from "../start/web-build.ts";
import { ROOT, run } from "./run.ts";
import { failed, nothing, passed, type Outcome } from "./stage.ts";
import { filesBelow, hasScript, workspaces } from "./workspaces.ts";

const LINT_CANARY = "packages/kernel/src/lint.ts";
const CANARY_HOME = "tooling/floors/canary";
/** The lock file names packages by version and hash alone: an address would bind every clone to one registry. */
export async function lockFile(): Promise<Outcome> {
  const lines = readFileSync(join(ROOT, "package-lock.json"), "utf8").split("\n");
  const stray = lines.flatMap((line, index) =>
    /"resolved":\s*"(?!packages\/|apps\/|e2e"|bench")/.test(line) ? [index + 1] : [],
  );
  if (stray.length > 0) {
    const fix = "Delete these lines; `omit-lockfile-registry-resolved` in .npmrc keeps npm from writing them.";
    return failed("download addresses in package-lock.json", `lines ${stray.join(", ")}\n${fix}`);
  }
  const lock = JSON.parse(lines.join("\n")) as { packages: Record<string, unknown> };
  const missing = workspaces().filter(({ path }) => lock.packages[path] === undefined);
  if (missing.length > 0) {
    return failed("workspaces missing in package-lock.json", missing.map(({ path }) => path).join("\n"));
  }
  return passed(`${Object.keys(lock.packages).length} packages`);
}

export async function format(): Promise<Outcome> {
  const { code, output } = await run("oxfmt", ["--list-different"]);
  if (code === 0) return passed("as oxfmt writes it");
  const files = output.trim();
  return failed("files are not formatted: run `npm run format`", files);
}

interface LintReport {
  diagnostics: { code: string; message: string; filename: string; labels: { span: { line: number } }[] }[];
  number_of_files: number;
}

async function oxlint(cwd: string, args: string[]): Promise<LintReport> {
  const { stdout, output } = await run("oxlint", [...args, "--format", "json"], { cwd, wholeStdout: true });
  try {
    return JSON.parse(stdout) as LintReport;
  } catch {
    throw new Error(`oxlint gave no report:\n${output.slice(0, 2000)}`);
  }
}

/** oxlint with type-aware rules; a canary shows first that the rules which matter most do catch. */
export async function lint(): Promise<Outcome> {
  const home = join(ROOT, CANARY_HOME);
  const [, wanted] = /\/\/ lint: (.*)/.exec(readFileSync(join(home, LINT_CANARY), "utf8")) ?? [];
  const caught = (await oxlint(home, ["--config", "oxlint.json", LINT_CANARY])).diagnostics.map(({ code }) => code);
  const missed = (wanted ?? "no rule named").split(" ").filter((code) => !caught.includes(code));
  if (missed.length > 0) return failed("rules did not catch the canary", missed.join("\n"));
  const report = await oxlint(ROOT, ["--deny-warnings"]);
  if (report.diagnostics.length > 0) {
    const lines = report.diagnostics.map(({ code, message, filename, labels }) => {
      return `${filename}:${labels[0]?.span.line ?? 1}  ${code}  ${message}`;
    });
    return failed(`${lines.length} problems`, lines.join("\n"));
  }
  return passed(`${report.number_of_files} files; the canary was caught`);
}

/** knip: files, exports and dependencies that nothing uses. */
export async function deadCode(): Promise<Outcome> {
  const { code, output } = await run("knip", ["--no-progress", "--no-config-hints"]);
  if (code === 0) return passed("every file, export and dependency is used");
  return failed("unused files, exports or dependencies", output.trim());
}

/** The schema in TypeScript and the migrations must describe the same database. */
export async function drift(): Promise<Outcome> {
  if (!hasScript("packages/db", "check:drift")) {
    if (filesBelow("packages/db", /\.sql$/).length === 0) return nothing("no migrations yet");
    return failed("packages/db has migrations but no `check:drift` script");
  }
  const { code, output } = await run("npm", ["run", "--silent", "check:drift", "-w", "@xvault/db"]);
  if (code === 0) return passed("migrations match the schema");
  return failed("the schema has changed without a migration", output.trim());
}

export async function webBuild(): Promise<Outcome> {
  if (!hasScript("apps/web", "build")) {
    if (filesBelow("apps/web", /\.vue$/).length === 0) return nothing("no web UI yet");
    return failed("apps/web has components but no `build` script");
  }
  const { code, output } = await run("npm", ["run", "--silent", "build", "-w", "@xvault/web"]);
  if (code !== 0) return failed("vite could not build it", output.trim().slice(-6000));
  if (!existsSync(join(ROOT, "apps/web/dist/index.html"))) return failed("the build wrote no apps/web/dist/index.html");
  // What starts the whole of xVault later finds it ready.
  await markWebBuild(ROOT);
  return passed("apps/web/dist");
}
