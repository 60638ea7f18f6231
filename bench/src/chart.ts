import { mediansOf, type Results } from "./results.ts";

/** One bar; `strong` for what the reader looks for. */
interface Bar {
  label: string;
  value: number;
  strong: boolean;
}

/** Bars that share a scale. */
interface Panel {
  title: string;
  bars: Bar[];
}

const WIDTH = 760;
const LABELS = 210;
const VALUES = 70;
const BAR = 16;
const STEP = 22;

// Middle tones are read on white as on black; where the reader's system tells which it is, they are sharper.
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #6e7681 }
.title { font-weight: 600 }
.head { font-weight: 600; font-size: 15px }
.bar { fill: #8b949e }
.strong { fill: #2f81f7 }
@media (prefers-color-scheme: light) { text { fill: #24292f } .bar { fill: #afb8c1 } .strong { fill: #0969da } }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .strong { fill: #58a6ff } }`;

/** Horizontal bars as SVG without a background, one block for each panel with a scale of its own. */
function barChart(title: string, unit: string, panels: readonly Panel[]): string {
  const parts: string[] = [];
  let y = 24;
  parts.push(`<text class="head" x="0" y="${y - 6}">${escape(title)}</text>`);
  for (const panel of panels) {
    y += 26;
    parts.push(`<text class="title" x="0" y="${y}">${escape(panel.title)}</text>`);
    y += 8;
    const most = Math.max(...panel.bars.map(({ value }) => value), Number.MIN_VALUE);
    for (const { label, value, strong } of panel.bars) {
      const width = Math.max(1, (value / most) * (WIDTH - LABELS - VALUES));
      const middle = y + BAR - 4;
      parts.push(
        `<text x="${LABELS - 8}" y="${middle}" text-anchor="end">${escape(label)}</text>`,
        `<rect class="${strong ? "strong" : "bar"}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
        `<text x="${(LABELS + width + 6).toFixed(1)}" y="${middle}">${value.toFixed(value < 10 ? 2 : 1)} ${escape(unit)}</text>`,
      );
      y += STEP;
    }
  }
  const height = y + 4;
  const name = escape(title);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${name}">
<title>${name}</title>
<style>${STYLE}</style>
${parts.join("\n")}
</svg>
`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The charts of the document by file name: first and second runs without delay, and what a round trip does. */
export function chartsOf(results: Results): Record<string, string> {
  const medians = mediansOf(results.rows);
  const panels = (
    run: "first" | "second",
    of: { set?: string; rtt?: number },
    title: (set: string, rtt: number) => string,
  ) =>
    [...Map.groupBy(medians, ({ set, rtt_ms }) => `${set} ${rtt_ms}`).values()].flatMap((group): Panel[] => {
      const { set = "", rtt_ms = 0 } = group[0] ?? {};
      if ((of.set ?? set) !== set || (of.rtt ?? rtt_ms) !== rtt_ms) return [];
      const bars = Object.entries(results.subjects).flatMap(([name, label]): Bar[] => {
        const value = group.find((one) => one.subject === name && one.run === run)?.wall_s;
        return typeof value === "number" ? [{ label, value, strong: name.startsWith("xvault") }] : [];
      });
      return bars.length > 0 ? [{ title: title(set, rtt_ms), bars }] : [];
    });
  const titleOf = (set: string) => results.sets.find(({ name }) => name === set)?.title ?? set;
  const charts = {
    "bench-first-run.svg": barChart("First run, no delay", "s", panels("first", { rtt: 0 }, titleOf)),
    "bench-second-run.svg": barChart("Second run, 1 % changed, no delay", "s", panels("second", { rtt: 0 }, titleOf)),
  };
  const far = results.sets[0]?.name;
  if (far === undefined) return charts;
  const byDelay = panels("first", { set: far }, (_, rtt) => `${rtt} ms round trip`);
  return { ...charts, "bench-round-trips.svg": barChart(`First run, ${titleOf(far)}`, "s", byDelay) };
}
