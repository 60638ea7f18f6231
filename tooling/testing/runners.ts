import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Result } from "./result.ts";
import { ROOT, run, type Run } from "./run.ts";
import { failed, nothing, type Outcome, type TestCounts } from "./stage.ts";
import { filesBelow } from "./workspaces.ts";

interface VitestReport {
  /** The files that were run. Paths from the repository's root. */
  files: { path: string; ms: number }[];
  results: Result[];
}

interface PlaywrightSuite {
  title: string;
  file: string;
  suites?: PlaywrightSuite[];
  specs: {
    title: string;
    tests: {
      status: "skipped" | "expected" | "unexpected" | "flaky";
      annotations: { type: string; description?: string }[];
      results: { duration: number; errors: { message?: string }[] }[];
    }[];
  }[];
}
interface PlaywrightReport {
  suites: PlaywrightSuite[];
  errors: { message?: string }[];
}

const MESSAGE_LIMIT = 1500;

const brief = (text: string) => {
  const plain = stripVTControlCharacters(text).trim();
  const cut = plain.length > MESSAGE_LIMIT ? `${plain.slice(0, MESSAGE_LIMIT)} …` : plain;
  return cut.replaceAll("\n", "\n    ");
};

/** Reads a runner's JSON report out of a temporary folder; null where the runner wrote none. */
async function withReport<T>(start: (file: string) => Promise<Run>): Promise<{ report: T | null; run: Run }> {
  const folder = mkdtempSync(join(tmpdir(), "xvault-test-"));
  try {
    const file = join(folder, "report.json");
    const done = await start(file);
    const report = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as T) : null;
    return { report, run: done };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes the outcome of a stage from its tests; a runner that failed without a failed test counts as one failed test. */
export function outcomeOf(runner: string, results: Result[], done: { code: number; output: string }): Outcome {
  const counts: TestCounts = { passed: 0, failed: 0, skipped: 0 };
  for (const { state } of results) counts[state]++;
  const failures = results
    .filter(({ state }) => state === "failed")
    .map(({ title, why }) => `✗ ${title}\n    ${brief(why)}`);
  if (done.code !== 0 && counts.failed === 0) {
    counts.failed = 1;
    failures.push(`✗ ${runner} ended with exit code ${done.code}\n    ${brief(done.output.slice(-MESSAGE_LIMIT))}`);
  }
  const note = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  const skipped = results
    .filter(({ state }) => state === "skipped")
    .map(({ title, why }) => (why ? `${title} (${why})` : title));
  return { state: counts.failed > 0 ? "failed" : "passed", note, details: failures.join("\n"), counts, skipped };
}

/**
 * Runs the vitest projects that `projects` selects, so many files at a time; each of `files` must have been run by one of them. Also on two cores
 * more than one: a good part of their time they wait for servers.
 */
async function vitest(projects: string, workers: number, files: string[]): Promise<Outcome> {
  const { report, run: done } = await withReport<VitestReport>((file) =>
    run(
      "vitest",
      ["run", "--project", projects, `--maxWorkers=${workers}`, "--reporter=./tooling/testing/vitest-reporter.ts"],
      {
        minutes: 20,
        env: { XVAULT_TEST_REPORT: file },
      },
    ),
  );
  if (report === null) return outcomeOf("vitest", [], { ...done, code: done.code || 1 });
  const ran = new Set(report.files.map(({ path }) => path));
  const left = files.filter((file) => !ran.has(file));
  const missing = left.map((file): Result => ({
    title: file,
    state: "failed",
    why: "no project of vitest ran this file",
  }));
  return { ...outcomeOf("vitest", [...report.results, ...missing], done), files: report.files };
}

/** Unit and integration tests of every workspace. */
export async function unit(): Promise<Outcome> {
  const files = ["packages", "apps", "tooling", "infra", "bench"].flatMap((folder) =>
    filesBelow(folder, /\.test\.ts$/),
  );
  return files.length === 0 ? nothing("no tests yet") : vitest("!e2e/*", 3, files);
}

/** End-to-end tests of whole installations, without a browser. */
export async function system(): Promise<Outcome> {
  const files = filesBelow("e2e", /\.test\.ts$/);
  return files.length === 0 ? nothing("no tests of whole installations yet") : vitest("e2e/*", 2, files);
}

function playwrightResults(suites: PlaywrightSuite[], above: string[] = []): Result[] {
  return suites.flatMap((suite) => {
    const path = [...above, suite.title].filter((title) => title !== "");
    const own = suite.specs.flatMap((spec) =>
      spec.tests.map((test): Result => {
        const state = test.status === "skipped" ? "skipped" : test.status === "unexpected" ? "failed" : "passed";
        const reasons = test.annotations.filter(({ type }) => type === "skip" || type === "fixme");
        const why =
          state === "skipped"
            ? reasons.map(({ description }) => description ?? "").join(", ")
            : test.results.flatMap(({ errors }) => errors.map(({ message }) => message ?? "")).join("\n");
        return { title: `e2e/browser/${[...path, spec.title].join(" › ")}`, state, why };
      }),
    );
    return [...own, ...playwrightResults(suite.suites ?? [], path)];
  });
}

/** How long the files of a report took, their tests added up. */
function playwrightFiles(suites: PlaywrightSuite[]): { path: string; ms: number }[] {
  const times = new Map<string, number>();
  const walk = (suite: PlaywrightSuite) => {
    for (const { tests } of suite.specs)
      for (const { results } of tests)
        for (const { duration } of results) times.set(suite.file, (times.get(suite.file) ?? 0) + duration);
    suite.suites?.forEach(walk);
  };
  suites.forEach(walk);
  return [...times].map(([path, ms]) => ({ path, ms }));
}

/** End-to-end tests in a browser. */
export async function browser(): Promise<Outcome> {
  const tests = filesBelow("e2e", /\.spec\.ts$/);
  if (!existsSync(join(ROOT, "e2e/playwright.config.ts"))) {
    return tests.length === 0
      ? nothing("no end-to-end tests yet")
      : failed("e2e has tests but no playwright.config.ts");
  }
  const { report, run: done } = await withReport<PlaywrightReport>((file) =>
    run("playwright", ["test", "--config", "e2e/playwright.config.ts", "--reporter=json"], {
      minutes: 20,
      env: { PLAYWRIGHT_JSON_OUTPUT_FILE: file },
    }),
  );
  if (report === null) return outcomeOf("playwright", [], { ...done, code: done.code || 1 });
  const general = report.errors.map(({ message }): Result => ({ title: "e2e", state: "failed", why: message ?? "" }));
  const outcome = outcomeOf("playwright", [...playwrightResults(report.suites), ...general], done);
  return { ...outcome, files: playwrightFiles(report.suites) };
}
