import { describe, expect, it } from "vitest";
import { chartsOf } from "./chart.ts";
import { figuresOf, replaceFigures } from "./document.ts";
import { goalsOf } from "./goals.ts";
import { median, mediansOf, type Results, type Row } from "./results.ts";
import { extrasTable, figureTables, markdownTable } from "./table.ts";

const row = (subject: string, wall_s: number, rest: Partial<Row> = {}): Row => ({
  set: "small",
  rtt_ms: 0,
  run: "first",
  subject,
  repeat: 1,
  wall_s,
  cpu_s: wall_s / 2,
  peak_rss_mb: 100,
  output_mb: 10,
  ...rest,
});

const results = (rows: Row[], rest: Partial<Results> = {}): Results => ({
  at: "2026-01-02T03:04:05.000Z",
  seed: "test",
  scale: 1,
  repeats: 3,
  machine: { cpu: "Some CPU", cores: 2, memory_mb: 24_000, kernel: "6.1", node: "v24.0.0", load_before: 0.1 },
  programs: {
    ssh: "9.2",
    tar: "1.34",
    zstd: "1.5",
    age: "1.1",
    "age-keygen": "1.1",
    rsync: "3.2",
    restic: null,
    borg: null,
    rclone: null,
  },
  sets: [{ name: "small", title: "small <files>", files: 3, mb: 1 }],
  subjects: { "xvault-tar": "xVault", pipe: "a pipe", "rsync-restic": "rsync, then restic" },
  rows,
  extras: [],
  failures: [],
  ...rest,
});

describe("medians", () => {
  it("are the middle value, or the mean of the two in the middle", () => {
    expect(median([])).toBeNull();
    expect(median([7])).toBe(7);
    expect(median([30, 1, 2])).toBe(2);
    expect(median([4, 1, 30, 2])).toBe(3);
  });

  it("are taken of the repeats of one set, delay, run and subject, figure by figure", () => {
    const rows = [
      row("pipe", 3, { peak_rss_mb: null }),
      row("pipe", 1, { peak_rss_mb: 50 }),
      row("pipe", 2, { peak_rss_mb: 70 }),
      row("pipe", 9, { run: "second" }),
      row("pipe", 8, { rtt_ms: 20 }),
    ];
    expect(mediansOf(rows).map(({ run, rtt_ms, wall_s, peak_rss_mb }) => [run, rtt_ms, wall_s, peak_rss_mb])).toEqual([
      ["first", 0, 2, 60],
      ["second", 0, 9, 100],
      ["first", 20, 8, 100],
    ]);
  });
});

describe("tables", () => {
  it("align names to the left and numbers to the right", () => {
    expect(
      markdownTable(
        ["", "s"],
        [
          ["xVault", "1.5"],
          ["a", "12"],
        ],
      ),
    ).toBe(["|        |   s |", "|--------|----:|", "| xVault | 1.5 |", "| a      |  12 |"].join("\n"));
  });

  it("give medians and how many times the pipeline's time they are", () => {
    const [table] = figureTables(
      results([
        row("pipe", 2),
        row("xvault-tar", 3),
        row("xvault-tar", 3, { run: "second" }),
        row("pipe", 12, { run: "second" }),
      ]),
    );
    expect(table?.title).toBe("small <files>, no delay");
    const cells = table?.table.split("\n").map((line) =>
      line
        .split("|")
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
    expect(cells?.[2]).toEqual([
      "xVault",
      "3.00",
      "1.50",
      "1.50",
      "100",
      "10.0",
      "3.00",
      "0.25",
      "1.50",
      "100",
      "10.0",
    ]);
    expect(cells?.[3]?.slice(0, 3)).toEqual(["a pipe", "2.00", "1.00"]);
  });

  it("show a dash for what was not measured", () => {
    const [table] = figureTables(results([row("xvault-tar", 3, { cpu_s: null })]));
    expect(table?.table.split("\n")[2]).toMatch(/xVault \|\s+3\.00 \|\s+– \|\s+– \|\s+100 \|\s+10\.0 \|\s+– \|/);
    expect(extrasTable(results([]))).toBeNull();
  });
});

describe("targets", () => {
  const of = (rows: Row[], extras: Results["extras"] = []) => goalsOf(results(rows, { extras }));

  it("are held against the ratio in the same set, delay and run", () => {
    const found = of([row("xvault-tar", 3), row("pipe", 2), row("rsync-restic", 6), row("pipe", 1, { rtt_ms: 20 })]);
    expect(found.map(({ measured, reached }) => [measured, reached])).toEqual([
      ["1.50 ×", false],
      ["0.50 ×", true],
      ["100 MB", true],
    ]);
  });

  it("name the largest memory of any run and what one file took", () => {
    const one = { what: "one file", set: "large", subject: "xvault", repeat: 1, cpu_s: 0, peak_rss_mb: 90 } as const;
    const found = of(
      [row("xvault-tar", 3, { peak_rss_mb: 150 }), row("xvault-sftp", 3, { peak_rss_mb: 201 })],
      [{ ...one, wall_s: 0.1, read_mb: 3 }],
    );
    expect(found.map(({ measured, reached }) => [measured, reached])).toEqual([
      ["201 MB", false],
      ["100 ms", true],
      ["3.00 MB", false],
    ]);
  });
});

describe("the document", () => {
  it("gets figures between its marks and keeps the rest", () => {
    const begin = "<!-- figures: written by `npm run bench` -->";
    const end = "<!-- end of the figures -->";
    const before = `# Head\n${begin}\nold\n${end}\nfoot\n`;
    expect(replaceFigures(before, "new")).toBe(`# Head\n${begin}\n\nnew\n\n${end}\nfoot\n`);
    expect(replaceFigures(replaceFigures(before, "x"), "new")).toBe(replaceFigures(before, "new"));
    expect(() => replaceFigures("# Head", "new")).toThrow("no place for figures");
  });

  it("tells machine, missing programs, failures and a busy machine", () => {
    const busy = results([row("xvault-tar", 3), row("pipe", 2)], { failures: ["small, rclone: not done"] });
    busy.machine.load_before = 1.7;
    const text = figuresOf(busy);
    expect(text).toContain("Some CPU, 2 cores, 24 GB");
    expect(text).toContain("rclone (not installed)");
    expect(text).toContain("busy before the first run (load 1.7)");
    expect(text).toContain("| at most 1 × the pipeline: small, 0 ms, first run |   1.50 × |  **no** |");
    expect(text).toContain("- small, rclone: not done");
  });
});

describe("charts", () => {
  const charts = chartsOf(results([row("pipe", 4), row("xvault-tar", 2), row("xvault-tar", 1, { rtt_ms: 20 })]));

  it("are made for both runs and for round trips, with names escaped", () => {
    expect(Object.keys(charts)).toEqual(["bench-first-run.svg", "bench-second-run.svg", "bench-round-trips.svg"]);
    expect(charts["bench-first-run.svg"]).toContain(">small &lt;files&gt;<");
    expect(charts["bench-round-trips.svg"]).toContain(">20 ms round trip<");
  });

  it("draw bars as long as their values, each panel at its own scale", () => {
    const widths = (name: string) =>
      [...(charts[name] ?? "").matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => [
        kind,
        Number(width),
      ]);
    const full = 480;
    expect(widths("bench-first-run.svg")).toEqual([
      ["strong", full / 2],
      ["bar", full],
    ]);
    expect(widths("bench-round-trips.svg").at(-1)).toEqual(["strong", full]);
    expect(widths("bench-second-run.svg")).toEqual([]);
  });
});
