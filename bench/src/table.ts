import { type Extra, median, type Medians, mediansOf, type Results } from "./results.ts";

/** What every ratio is taken to. */
const YARDSTICK = "pipe";
const DASH = "–";

/** Rows of cells as a Markdown table, columns aligned so that it reads well as plain text too. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...rows].map((row) => row[i]?.length ?? 0)));
  // The first column holds names, the others numbers.
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (row[i] ?? "").padEnd(width) : (row[i] ?? "").padStart(width))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

const fixed = (value: number | null | undefined, digits: number) => value?.toFixed(digits) ?? DASH;
/** Two digits that mean something: 0.08, 1.2, 14. */
const seconds = (value: number | null | undefined) => fixed(value, (value ?? 0) < 10 ? 2 : 1);

/** One table for each set and round trip: medians of both runs, and how many times the pipeline's time they took. */
export function figureTables(results: Results): { title: string; table: string }[] {
  const medians = mediansOf(results.rows);
  const groups = Map.groupBy(medians, ({ set, rtt_ms }) => `${set} ${rtt_ms}`);
  return [...groups.values()].map((group) => {
    const { set, rtt_ms } = group[0] as Medians;
    const of = (subject: string, run: string) => group.find((one) => one.subject === subject && one.run === run);
    const ratio = (subject: string, run: string) => {
      const [own, yard] = [of(subject, run)?.wall_s, of(YARDSTICK, run)?.wall_s];
      return own && yard ? (own / yard).toFixed(2) : DASH;
    };
    const names = Object.keys(results.subjects).filter((name) => group.some(({ subject }) => subject === name));
    const rows = names.map((name) => {
      const [first, second] = [of(name, "first"), of(name, "second")];
      return [
        results.subjects[name] ?? name,
        seconds(first?.wall_s),
        ratio(name, "first"),
        seconds(first?.cpu_s),
        fixed(first?.peak_rss_mb, 0),
        fixed(first?.output_mb, 1),
        seconds(second?.wall_s),
        ratio(name, "second"),
        seconds(second?.cpu_s),
        fixed(second?.peak_rss_mb, 0),
        fixed(second?.output_mb, 1),
      ];
    });
    const title = results.sets.find(({ name }) => name === set)?.title ?? set;
    const head = ["", "first, s", "× pipe", "CPU, s", "RSS, MB", "stored, MB", "1 % changed, s", "× pipe", "CPU, s"];
    return {
      title: `${title}, ${rtt_ms === 0 ? "no delay" : `${rtt_ms} ms round trip`}`,
      table: markdownTable([...head, "RSS, MB", "stored, MB"], rows),
    };
  });
}

const EXTRA_SUBJECTS: Record<string, string> = {
  xvault: "xVault",
  pipe: "stock programs (age, zstd, tar)",
  rsync: "rsync from a mirror",
};

/** Restores, the single file and memory; null where none were measured. */
export function extrasTable(results: Results): string | null {
  if (results.extras.length === 0) return null;
  const groups = Map.groupBy(results.extras, ({ what, set, subject }) => `${what} ${set} ${subject}`);
  const rows = [...groups.values()].map((group) => {
    const { what, set, subject } = group[0] as Extra;
    const of = (pick: (extra: Extra) => number | null | undefined) =>
      median(group.map(pick).filter((value) => typeof value === "number"));
    return [
      `${what}, ${set}: ${EXTRA_SUBJECTS[subject] ?? results.subjects[subject] ?? subject}`,
      fixed(
        of((extra) => extra.wall_s),
        3,
      ),
      seconds(of((extra) => extra.cpu_s)),
      fixed(
        of((extra) => extra.peak_rss_mb),
        0,
      ),
      fixed(
        of((extra) => extra.read_mb),
        2,
      ),
    ];
  });
  return markdownTable(["", "s", "CPU, s", "RSS, MB", "read, MB"], rows);
}
