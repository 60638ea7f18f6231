import type { Side } from "./calls.ts";
import type { Chance } from "./chance.ts";

/** What is under way when it happens. What rules have removed goes by the same job as what is removed by hand. */
export type Phase = "first backup" | "second backup" | "restore" | "removal";

/** What happens. */
export type Blow =
  | "worker dies"
  | "hub dies"
  | "sshd dies"
  | "postgres dies"
  | "redis dies"
  | "storage is full"
  | "target is full"
  | "sync fails"
  | "link is reset"
  | "link stands still"
  | "link garbles"
  | "link falls silent";

/** When it happens, by how far the run has come, never by a clock. A share is one of what a whole run of this phase carries. */
export type When =
  /** When this share of the SSH link's bytes has passed. */
  | { at: "bytes"; share: number }
  /** The same, and the hub has been told that the job is at its work. */
  | { at: "step"; share: number }
  /** When the worker calls the hub. */
  | { at: "call"; name: string; side: Side }
  /** At one of the calls that change files on the storage. */
  | { at: "file"; share: number; side: Side }
  /** When the disk has taken this share of what is written. */
  | { at: "room"; share: number };

export interface Point {
  phase: Phase;
  blow: Blow;
  when: When;
}

const BACKUP_CALLS = ["lease", "credentials", "publish", "complete"];
const CALLS: Record<Phase, readonly string[]> = {
  "first backup": BACKUP_CALLS,
  "second backup": BACKUP_CALLS,
  restore: ["lease", "unwrap", "credentials", "complete"],
  removal: ["lease", "complete"],
};

/** Points by chance. `queue`: Redis can only die where it is the queue; `disks`: whether disks can be filled here. */
export function drawPoint(chance: Chance, world: { queue: "redis" | "postgres"; disks: boolean }): Point {
  for (;;) {
    const phase = chance.weighed<Phase>([
      [3, "first backup"],
      [4, "second backup"],
      [3, "restore"],
      [1, "removal"],
    ]);
    const blow = chance.weighed<Blow>([
      [42, "worker dies"],
      [10, "hub dies"],
      [9, "sshd dies"],
      [9, "postgres dies"],
      [7, "redis dies"],
      [7, "storage is full"],
      [4, "target is full"],
      [6, "sync fails"],
      [3, "link is reset"],
      [2, "link stands still"],
      [2, "link garbles"],
      [1, "link falls silent"],
    ]);
    const backup = phase === "first backup" || phase === "second backup";
    if (blow === "redis dies" && world.queue !== "redis") continue;
    if ((blow === "storage is full" || blow === "sync fails") && !backup) continue;
    if (blow === "target is full" && (phase !== "restore" || !world.disks)) continue;
    if (phase === "removal" && !["worker dies", "hub dies", "postgres dies", "redis dies"].includes(blow)) continue;
    return { phase, blow, when: drawWhen(chance, phase, blow) };
  }
}

function drawWhen(chance: Chance, phase: Phase, blow: Blow): When {
  const share = chance.number();
  const side = chance.weighed<Side>([
    [1, "before"],
    [1, "after"],
  ]);
  if (blow === "storage is full" || blow === "target is full") return { at: "room", share };
  if (blow === "sync fails") return { at: "file", share, side: "before" };
  const bytes: When = { at: "bytes", share };
  if (blow.startsWith("link")) return bytes;
  const name = chance.weighed(CALLS[phase].map((call) => [1, call] as const));
  const call: When = { at: "call", name, side };
  if (blow === "sshd dies")
    return chance.weighed<When>([
      [3, bytes],
      [1, { at: "step", share }],
    ]);
  // A removal sends nothing over the link.
  const linked = phase === "removal" ? 0 : 1;
  return chance.weighed<When>([
    [3 * linked, bytes],
    [linked, { at: "step", share }],
    [3, call],
    [blow === "worker dies" && phase !== "restore" ? 4 : 0, { at: "file", share, side }],
  ]);
}

/**
 * The order in which points are tried: after the hub has started it takes no job from a silent worker for one lease time, so what needs that
 * comes late, and what starts the hub anew comes last.
 */
export function inOrder(points: readonly Point[]): Point[] {
  const rank = ({ blow }: Point) => ["worker dies", "postgres dies", "hub dies"].indexOf(blow);
  return points.toSorted((a, b) => rank(a) - rank(b));
}

export function describePoint({ phase, blow, when }: Point): string {
  const percent = "share" in when ? ` ${(when.share * 100).toFixed(1)} %` : "";
  const call = when.at === "call" ? ` ${when.side} ${when.name}` : "";
  const side = when.at === "file" ? ` ${when.side}` : "";
  return `${phase}, ${blow} at ${when.at}${call}${side}${percent}`;
}
