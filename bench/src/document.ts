import { chartsOf } from "./chart.ts";
import { goalsOf } from "./goals.ts";
import type { Results } from "./results.ts";
import { extrasTable, figureTables, markdownTable } from "./table.ts";

const BEGIN = "<!-- figures: written by `npm run bench` -->";
const END = "<!-- end of the figures -->";

/** Puts `figures` between the marks of a document. Throws when it has none. */
export function replaceFigures(document: string, figures: string): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the document has no place for figures, between '${BEGIN}' and '${END}'`);
  return `${document.slice(0, from + BEGIN.length)}\n\n${figures}\n\n${document.slice(to)}`;
}

/** Machine, tables, targets and charts as Markdown. */
export function figuresOf(results: Results): string {
  const { machine } = results;
  const programs = Object.entries(results.programs).map(([name, version]) => `${name} ${version ?? "(not installed)"}`);
  const load =
    machine.load_before > 0.5 ? ` **The machine was busy before the first run (load ${machine.load_before}).**` : "";
  const parts = [
    `Measured on ${results.at.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory_mb / 1000)} GB, Linux ${machine.kernel}, Node ${machine.node}. ` +
      `Medians of interleaved runs (${repeatsOf(results)}), seed \`${results.seed}\`.${load}`,
    `Programs: ${programs.join(", ")}.`,
    ...Object.keys(chartsOf(results)).map((name) => `![${altOf(name)}](images/${name})`),
    ...figureTables(results).flatMap(({ title, table }) => [`### ${title}`, table]),
  ];
  const extras = extrasTable(results);
  if (extras !== null) parts.push("### Reading back, and memory", extras);
  const goals = goalsOf(results);
  if (goals.length > 0) {
    const rows = goals.map(({ goal, measured, reached }) => [goal, measured, reached ? "yes" : "**no**"]);
    parts.push("### Targets", markdownTable(["target", "measured", "reached"], rows));
  }
  if (results.failures.length > 0) parts.push("### What failed", results.failures.map((one) => `- ${one}`).join("\n"));
  return parts.join("\n\n");
}

/** How often each set was run: "small 3, large 1". */
function repeatsOf({ sets, rows }: Results): string {
  return sets
    .map(({ name }) => `${name} ${Math.max(0, ...rows.filter(({ set }) => set === name).map(({ repeat }) => repeat))}`)
    .join(", ");
}

function altOf(name: string): string {
  return name.replace("bench-", "Bar chart: ").replace(".svg", "").replaceAll("-", " ");
}
