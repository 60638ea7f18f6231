import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { inParallel, ROOT, run } from "./run.ts";
import { failed, type Outcome, passed } from "./stage.ts";
import { filesBelow, workspaces } from "./workspaces.ts";

/** Written by the web build; without them templates cannot be type-checked. */
const WEB_GENERATED = "apps/web/components.d.ts";
const CACHE = join(ROOT, "node_modules/.cache/xvault-types");
const BASE = join(ROOT, "tsconfig.base.json");

interface Project {
  path: string;
  /** What it compiles, where it is the base configuration and nothing else; such projects are checked as one program. */
  plain: string[] | null;
}

interface TsConfig {
  extends?: string;
  include?: string[];
  [other: string]: unknown;
}

function project(path: string): Project {
  const {
    extends: base,
    include,
    ...others
  } = JSON.parse(readFileSync(join(ROOT, path, "tsconfig.json"), "utf8")) as TsConfig;
  const plain = join(ROOT, path, base ?? "") === BASE && Object.keys(others).length === 0 && include !== undefined;
  return { path, plain: plain ? [...include, "*.config.ts"].map((glob) => join(ROOT, path, glob)) : null };
}

/** Checks one configuration; what was found out is kept for the next time. Gives the compiler's report, empty when all is well. */
async function check(compiler: string, config: string, name: string): Promise<string> {
  const kept = join(CACHE, `${name.replaceAll("/", "-")}.tsbuildinfo`);
  const args = ["-p", config, "--noEmit", "--pretty", "false", "--incremental", "--tsBuildInfoFile", kept];
  let { code, output } = await run(compiler, args);
  // The compiler may exhaust its stack where it compares with what was kept, and not where it begins anew.
  if (code !== 0 && output.includes("Maximum call stack size exceeded") && existsSync(kept)) {
    rmSync(kept);
    ({ code, output } = await run(compiler, args));
  }
  return code === 0 ? "" : `${name}:\n${output.trim()}`;
}

function checkPlain(projects: Project[]): Promise<string> {
  mkdirSync(CACHE, { recursive: true });
  const config = join(CACHE, "tsconfig.json");
  const include = projects.flatMap(({ plain }) => plain ?? []).map((glob) => relative(CACHE, glob));
  writeFileSync(config, JSON.stringify({ extends: relative(CACHE, BASE), include }));
  return check("tsc", config, "packages and apps");
}

function checkAlone(path: string): Promise<string> {
  const web = filesBelow(path, /\.vue$/).length > 0;
  if (web && !existsSync(join(ROOT, WEB_GENERATED))) {
    return Promise.resolve(`${path} was not built: ${WEB_GENERATED} is missing`);
  }
  return check(web ? "vue-tsc" : "tsc", path, path);
}

/** `vue-tsc` for the web UI, `tsc` for all the rest. Every folder that has code must have a tsconfig.json. */
export async function types(): Promise<Outcome> {
  const folders = [...workspaces().map(({ path }) => path), "tooling", "infra"];
  const withCode = folders.filter((path) => filesBelow(path, /\.(ts|vue)$/).length > 0);
  const unconfigured = withCode.filter((path) => !existsSync(join(ROOT, path, "tsconfig.json")));
  const projects = withCode.filter((path) => !unconfigured.includes(path)).map(project);
  const plain = projects.filter((one) => one.plain !== null);
  const alone = projects
    .filter((one) => one.plain === null)
    .map(
      ({ path }) =>
        () =>
          checkAlone(path),
    );
  const reports = await inParallel(2, [() => checkPlain(plain), ...alone], (start) => start());
  const problems = [...unconfigured.map((path) => `${path} has code but no tsconfig.json`), ...reports].filter(Boolean);
  if (problems.length > 0) return failed("the code does not fit together", problems.join("\n"));
  const empty = folders.filter((path) => !withCode.includes(path));
  return passed(`${withCode.length} projects${empty.length > 0 ? `; no code yet in ${empty.join(", ")}` : ""}`);
}
