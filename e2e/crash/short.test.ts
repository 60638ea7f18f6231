// The crash matrix in short: one point of each kind. `npm run test:crash` tries many, by chance.
import { redisAvailable } from "@xvault/test-kit/redis";
import { sshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createChance } from "./chance.ts";
import { type Ground, layGround } from "./ground.ts";
import { inspectAll } from "./inspect.ts";
import { describePoint, drawPoint, type Point } from "./points.ts";
import { tryPoint } from "./try-point.ts";
import { startWorld, type World } from "./world.ts";

const missing = sshdAvailable() ?? (redisAvailable() ? null : "redis-server is not installed");

const POINTS: Point[] = [
  { phase: "restore", blow: "target is full", when: { at: "room", share: 0.6 } },
  { phase: "restore", blow: "redis dies", when: { at: "call", name: "unwrap", side: "after" } },
  { phase: "first backup", blow: "storage is full", when: { at: "room", share: 0.5 } },
  { phase: "second backup", blow: "sync fails", when: { at: "file", share: 0.5, side: "before" } },
  { phase: "first backup", blow: "sshd dies", when: { at: "bytes", share: 0.5 } },
  { phase: "first backup", blow: "link is reset", when: { at: "bytes", share: 0.8 } },
  { phase: "restore", blow: "link garbles", when: { at: "bytes", share: 0.4 } },
  { phase: "second backup", blow: "worker dies", when: { at: "call", name: "publish", side: "before" } },
  { phase: "second backup", blow: "postgres dies", when: { at: "call", name: "publish", side: "after" } },
  { phase: "first backup", blow: "worker dies", when: { at: "file", share: 0.8, side: "after" } },
  { phase: "restore", blow: "worker dies", when: { at: "bytes", share: 0.5 } },
  { phase: "removal", blow: "worker dies", when: { at: "file", share: 0.23, side: "before" } },
  { phase: "second backup", blow: "hub dies", when: { at: "call", name: "publish", side: "before" } },
];

describe.skipIf(missing !== null)(`whatever breaks, and whenever${missing === null ? "" : ` (${missing})`}`, () => {
  let world: World;
  let ground: Ground;

  beforeAll(async () => {
    world = await startWorld("redis");
    ground = await layGround(world);
  });
  afterAll(async () => {
    await world?.stop();
  });

  it.for(POINTS.map((point) => [describePoint(point), point] as const))("%s", async ([, point], { skip }) => {
    if (point.blow === "target is full" && world.targetDisk === null) skip("a disk cannot be mounted here");
    const { result } = await tryPoint(world, ground, point);
    expect(result).toBe("struck");
  });

  it("leaves snapshots that verify, and that open without the hub and with stock programs", async () => {
    await inspectAll(world, ground);
  });
});

it("draws the same points again by the same seed", () => {
  const draw = (seed: number) => {
    const chance = createChance(seed);
    return Array.from({ length: 50 }, () => describePoint(drawPoint(chance, { queue: "redis", disks: true })));
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(new Set(draw(7)).size).toBeGreaterThan(45);
});
