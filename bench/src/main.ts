// `npm run bench`: measures xVault beside the programs that people use today, on this machine, and writes down what came out.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { chartsOf } from "./chart.ts";
import { figuresOf, replaceFigures } from "./document.ts";
import { runBench } from "./bench.ts";
import { goalsOf } from "./goals.ts";
import { mergeResults } from "./merge.ts";
import { HELP, readOptions } from "./options.ts";
import type { Results } from "./results.ts";
import { extrasTable, figureTables, markdownTable } from "./table.ts";

const ROOT = join(import.meta.dirname, "../..");
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) return say(HELP);
  const out = options.out ?? join(ROOT, "bench/results", options.publish ? "latest.json" : "quick.json");
  const before = options.keep && existsSync(out) ? (JSON.parse(readFileSync(out, "utf8")) as Results) : null;
  const measured = await runBench(options, say);
  const results = before ? mergeResults(before, measured) : measured;
  for (const { title, table } of figureTables(results)) say(`\n${title}\n${table}`);
  const extras = extrasTable(results);
  if (extras !== null) say(`\n${extras}`);
  const goals = goalsOf(results).map(({ goal, measured, reached }) => [goal, measured, reached ? "yes" : "no"]);
  if (options.publish && goals.length > 0) say(`\n${markdownTable(["target", "measured", "reached"], goals)}`);

  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, `${JSON.stringify(results, null, 2)}\n`);
  say(`\nwritten: ${out}`);
  if (options.publish) {
    const document = join(ROOT, "docs/performance.md");
    writeFileSync(document, replaceFigures(readFileSync(document, "utf8"), figuresOf(results)));
    for (const [name, chart] of Object.entries(chartsOf(results)))
      writeFileSync(join(ROOT, "docs/images", name), chart);
    say("docs/performance.md and its charts show these figures now");
  }
  if (results.failures.length > 0) {
    say(`\n${results.failures.length} runs failed:\n${results.failures.join("\n")}`);
    process.exitCode = 1;
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
