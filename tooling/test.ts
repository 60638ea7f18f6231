// `npm test`: every check there is, in order, all of them even when one fails. `npm test -- --only types,unit` runs some.
// The last line counts the tests of all runners and stands alone; a failed check that is no test makes the exit code 1.
import { parseArgs } from "node:util";
import { floors } from "./testing/floors.ts";
import { prepare } from "./testing/prerequisites.ts";
import { browser, system, unit } from "./testing/runners.ts";
import { failed, type Outcome, type Stage } from "./testing/stage.ts";
import { deadCode, drift, format, lint, lockFile, webBuild } from "./testing/static.ts";
import { types } from "./testing/types.ts";

const STAGES: Stage[] = [
  { name: "lock", title: "Lock file", run: lockFile },
  { name: "format", title: "Formatting", run: format },
  { name: "lint", title: "Lint", run: lint },
  { name: "floors", title: "Floors", run: floors },
  { name: "dead", title: "Dead code", run: deadCode },
  { name: "build", title: "Web build", run: webBuild },
  { name: "types", title: "Types", run: types },
  { name: "drift", title: "Migration drift", run: drift },
  { name: "unit", title: "Unit and integration tests", run: unit },
  { name: "system", title: "End-to-end tests of whole installations", run: system },
  { name: "browser", title: "End-to-end tests in a browser", run: browser },
];
const NEEDS_PROGRAMS = ["unit", "system", "browser"];
const DETAIL_LINES = 200;
/** Files of tests that are named with the time they took: where to look when a run takes too long. */
const SLOWEST = 12;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const ci = process.env["CI"] === "true";

function chosen(): Stage[] {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  if (values.only === undefined) return STAGES;
  const names = values.only.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    throw new Error(`There is no stage ${unknown.join(", ")}; there are ${STAGES.map(({ name }) => name).join(", ")}.`);
  }
  return STAGES.filter(({ name }) => names.includes(name));
}

async function runStage(stage: Stage): Promise<Outcome> {
  const started = Date.now();
  const outcome = await stage.run().catch((error: unknown) => failed("could not be run", String(error)));
  const mark = { passed: "✓", failed: "✗", nothing: "–" }[outcome.state];
  say(`${mark} ${stage.title}: ${outcome.note} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  const slow = (outcome.files ?? []).toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  if (slow.length > 0)
    say(`  slowest: ${slow.map(({ path, ms }) => `${path} ${(ms / 1000).toFixed(0)} s`).join(", ")}`);
  if (outcome.state === "failed" && outcome.details) {
    const lines = outcome.details.split("\n");
    for (const line of lines.slice(0, DETAIL_LINES)) say(`    ${line}`);
    if (lines.length > DETAIL_LINES)
      say(`    … and ${lines.length - DETAIL_LINES} lines more: npm test -- --only ${stage.name}`);
  }
  return outcome;
}

function summarize(stages: Stage[], outcomes: Outcome[]): void {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { counts } of outcomes) {
    sum.passed += counts?.passed ?? 0;
    sum.failed += counts?.failed ?? 0;
    sum.skipped += counts?.skipped ?? 0;
  }
  const skipped = outcomes.flatMap((outcome) => outcome.skipped ?? []);
  if (skipped.length > 0) say(`\nSkipped:\n${skipped.map((title) => `  ${title}`).join("\n")}`);
  const broken = stages.filter((_, index) => outcomes[index]?.state === "failed").map(({ title }) => title);
  say(broken.length > 0 ? `\nFailed: ${broken.join(", ")}.` : "\nEvery check passed.");
  const refused = ci && sum.skipped > 0;
  if (refused) say("In CI a skipped test is a failure: install what it needs.");
  if (broken.length > 0 || refused) process.exitCode = 1;
  say(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
}

const stages = chosen();
if (stages.some(({ name }) => NEEDS_PROGRAMS.includes(name))) await prepare(say);
const outcomes: Outcome[] = [];
for (const stage of stages) outcomes.push(await runStage(stage));
summarize(stages, outcomes);
