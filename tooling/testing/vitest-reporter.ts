import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, SerializedError, TestModule } from "vitest/node";
import type { Result } from "./result.ts";
import { ROOT } from "./run.ts";

/** Message, causes, difference, and our own lines of the stack. */
function text(errors: readonly SerializedError[] | undefined): string {
  return (errors ?? [])
    .map(({ message, name, stack, diff, cause }): string => {
      const lines = (stack ?? `${name ?? "Error"}: ${message}`).split("\n");
      const own = lines.filter((line) => !/^\s+at .*(node_modules|node:internal)/.test(line)).join("\n");
      const why = cause ? `\ncaused by ${text([cause])}` : "";
      return `${own}${why}${typeof diff === "string" ? `\n${diff}` : ""}`;
    })
    .join("\n");
}

/** What one file's tests came to, and what went wrong around them: loading it, a hook of it, a hook of a suite. */
function resultsOf(module: TestModule): Result[] {
  const file = relative(ROOT, module.moduleId);
  const results = [...module.children.allTests()].map((test): Result => {
    const result = test.result();
    const why = result.state === "skipped" ? (result.note ?? "") : text(result.errors);
    // A test that never came to its end is no test that passed.
    const state = result.state === "pending" ? "failed" : result.state;
    return { title: `${file}: ${test.fullName.replaceAll(" > ", " › ")}`, state, why };
  });
  const around = [
    { title: file, errors: module.errors() },
    ...[...module.children.allSuites()].map((suite) => ({
      title: `${file}: ${suite.fullName}`,
      errors: suite.errors(),
    })),
  ];
  const broken = around.filter(({ errors }) => errors.length > 0);
  return [...results, ...broken.map(({ title, errors }): Result => ({ title, state: "failed", why: text(errors) }))];
}

/** Writes every result as JSON to the file that `XVAULT_TEST_REPORT` names, errors outside of any test included. */
export default class ReportForNpmTest implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const file = process.env["XVAULT_TEST_REPORT"];
    if (file === undefined) throw new Error("XVAULT_TEST_REPORT names no file");
    const stray = unhandled.map((error): Result => ({
      title: "outside of any test",
      state: "failed",
      why: text([error]),
    }));
    const files = modules.map((module) => ({
      path: relative(ROOT, module.moduleId),
      ms: module.diagnostic().duration,
    }));
    writeFileSync(file, JSON.stringify({ files, results: [...modules.flatMap(resultsOf), ...stray] }));
  }
}
