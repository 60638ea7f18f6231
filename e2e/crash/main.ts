// `npm run test:crash -- --seed N --points 200`: the long crash matrix. Prints its seed; the same seed draws the same points.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sshdAvailable } from "@xvault/test-kit/ssh";
import { redisAvailable } from "@xvault/test-kit/redis";
import { createChance } from "./chance.ts";
import { type Outcome, tryPoints } from "./matrix.ts";
import { describePoint, drawPoint, inOrder } from "./points.ts";
import type { World } from "./world.ts";

/** Points of one installation; then a new one is made, so that storage and time stay bounded. */
const CHAPTER = 25;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    points: { type: "string", default: "200" },
    /** Begins with this installation: to repeat what failed. */
    chapter: { type: "string", default: "0" },
    /** No new installation after so long. */
    minutes: { type: "string", default: "180" },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const wanted = Number(values.points);
const until = performance.now() + Number(values.minutes) * 60_000;
const say = (line: string) => void process.stdout.write(`${line}\n`);

const missing = sshdAvailable() ?? (redisAvailable() ? null : "redis-server is not installed");
if (missing !== null) {
  say(`The crash matrix cannot run here: ${missing}.`);
  process.exit(1);
}

const tried: Outcome[] = [];
const count = (result: Outcome["result"]) => tried.filter((one) => one.result === result).length;

function report(outcome: Outcome, world: World): void {
  tried.push(outcome);
  const mark = { struck: "✓", missed: "·", failed: "✗" }[outcome.result];
  const after = `${outcome.attempts} attempt(s), ${(outcome.ms / 1000).toFixed(1)} s`;
  say(
    `${mark} ${count("struck")}/${wanted} [${world.queue}] ${describePoint(outcome.point)} — ${outcome.result}, ${after}`,
  );
  if (outcome.result !== "failed") return;
  const folder = mkdtempSync(join(tmpdir(), "xvault-crash-log-"));
  for (const [name, part] of Object.entries({ hub: world.stack.hub, worker: world.worker }))
    writeFileSync(join(folder, `${name}.log`), part.log());
  say(`  ${outcome.why.replaceAll("\n", "\n  ")}\n  logs: ${folder}`);
}

say(`Crash matrix: seed ${seed}, ${wanted} points.`);
const begun = performance.now();
let broken = 0;
for (let chapter = Number(values.chapter); count("struck") + count("failed") < wanted; chapter += 1) {
  if (performance.now() > until) {
    say("The time is up.");
    break;
  }
  const queue = chapter % 3 === 2 ? "postgres" : "redis";
  const chance = createChance(seed * 1000 + chapter);
  const left = wanted - count("struck") - count("failed");
  const points = inOrder(
    Array.from({ length: Math.min(CHAPTER, left) }, () => drawPoint(chance, { queue, disks: true })),
  );
  say(`Installation ${chapter}, queue on ${queue}:`);
  try {
    await tryPoints(queue, points, report);
  } catch (error) {
    broken += 1;
    say(`✗ installation ${chapter}: ${error instanceof Error ? error.stack : String(error)}`);
    if (broken > 3) break;
  }
}

const blows = Map.groupBy(tried, ({ point }) => point.blow);
for (const [blow, outcomes] of blows) {
  const of = (result: Outcome["result"]) => outcomes.filter((one) => one.result === result).length;
  say(`${blow}: ${of("struck")} struck, ${of("missed")} missed, ${of("failed")} failed`);
}
const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
say(
  `seed ${seed}: ${count("struck")} points struck, ${count("missed")} missed, ${count("failed") + broken} failed, ${minutes} min`,
);
process.exitCode = count("failed") + broken > 0 || count("struck") < wanted ? 1 : 0;
