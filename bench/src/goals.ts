import { median, type Medians, mediansOf, type Results } from "./results.ts";

/** A target, what was measured, and whether that is enough. */
export interface Goal {
  goal: string;
  measured: string;
  reached: boolean;
}

const XVAULT = ["xvault-tar", "xvault-sftp"];

/** Holds the medians against the targets of the design. What was not measured is not mentioned. */
export function goalsOf(results: Results): Goal[] {
  const medians = mediansOf(results.rows);
  const goals: Goal[] = [];
  const ratios = (peer: string, where: (one: Medians) => boolean) =>
    medians
      .filter((one) => one.subject === "xvault-tar" && where(one))
      .flatMap((one) => {
        const other = medians.find(
          ({ set, rtt_ms, run, subject }) =>
            set === one.set && rtt_ms === one.rtt_ms && run === one.run && subject === peer,
        );
        if (one.wall_s === null || !other?.wall_s) return [];
        return [{ set: one.set, rtt: one.rtt_ms, run: one.run, ratio: one.wall_s / other.wall_s }];
      });
  const atMost = (limit: number, goal: string, found: ReturnType<typeof ratios>) => {
    for (const { set, rtt, run, ratio } of found) {
      const where = `${set}, ${rtt} ms, ${run} run`;
      goals.push({ goal: `${goal}: ${where}`, measured: `${ratio.toFixed(2)} ×`, reached: ratio <= limit });
    }
  };
  atMost(
    1,
    "at most 1 × the pipeline",
    ratios("pipe", ({ rtt_ms, run }) => rtt_ms === 0 && run === "first"),
  );
  atMost(
    0.5,
    "at most 0.5 × the pipeline",
    ratios("pipe", ({ rtt_ms, run }) => rtt_ms > 0 && run === "first"),
  );
  for (const peer of ["rsync-restic", "rsync-borg"]) {
    atMost(
      0.5,
      `at most 0.5 × ${results.subjects[peer] ?? peer}`,
      ratios(peer, () => true),
    );
  }
  const peaks = [...results.rows, ...results.extras]
    .filter(({ subject }) => XVAULT.includes(subject))
    .flatMap(({ peak_rss_mb }) => peak_rss_mb ?? []);
  if (peaks.length > 0) {
    const most = Math.max(...peaks);
    goals.push({ goal: "peak memory under 200 MB", measured: `${most.toFixed(0)} MB`, reached: most < 200 });
  }
  const one = results.extras.filter(
    (extra) => extra.what === "one file" && extra.subject === "xvault" && extra.set === "large",
  );
  const wall = median(one.map(({ wall_s }) => wall_s));
  const read = median(one.flatMap(({ read_mb }) => read_mb ?? []));
  if (wall !== null) {
    const goal = "one small file out of the large set in under 150 ms";
    goals.push({ goal, measured: `${(wall * 1000).toFixed(0)} ms`, reached: wall < 0.15 });
  }
  if (read !== null) {
    const goal = "and under 2 MiB of reads";
    goals.push({ goal, measured: `${read.toFixed(2)} MB`, reached: read < 2 * 1.048576 });
  }
  return goals;
}
