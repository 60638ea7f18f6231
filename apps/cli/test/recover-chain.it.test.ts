import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MadeStorage, makeStorage } from "./made-snapshot.ts";
import { expectWhole, openGround, recoverArgs } from "./recover-ground.ts";
import { runHere } from "./run-cli.ts";

const ground = openGround();
const HOURS = 3;

let storage: MadeStorage;
let chain: Awaited<ReturnType<MadeStorage["backUp"]>>[];
beforeAll(async () => {
  storage = await makeStorage(ground.dir);
  chain = [];
  for (let hour = 0; hour < HOURS; hour += 1) {
    const previous = chain.at(-1)?.manifest;
    const createdAt = new Date(Date.now() - (HOURS - hour) * 3_600_000);
    chain.push(await storage.backUp({ createdAt, ...(previous ? { previous } : {}) }));
  }
});
afterAll(ground.remove);

/** The storage without some things of the nth snapshot: all of it, or one object. */
function without(nth: number, object = ""): { base: string; kit: string } {
  const base = ground.fresh();
  cpSync(storage.base, base, { recursive: true });
  rmSync(join(base, below(nth), object), { recursive: true });
  return { base, kit: storage.kit };
}
const below = (nth: number): string => (chain[nth]?.directory ?? "").slice(storage.base.length);
const short = (nth: number): string => chain[nth]?.manifest.snapshot_id.slice(-8) ?? "";

describe("a recovery of the newest snapshot", () => {
  it("warns of a snapshot that is missing before it, and restores all the same", async () => {
    const target = ground.fresh();
    const ran = await runHere(recoverArgs(without(1), target));
    expect(ran.code, ran.err).toBe(0);
    expect(ran.err).toMatch(
      new RegExp(`^warning: Snapshot ${short(2)} of .*: its predecessor ${short(1)} is not here`, "m"),
    );
    expect(ran.err.match(/^warning: /gm)).toHaveLength(1);
    expectWhole(target);

    const told = await runHere([...recoverArgs(without(1), ground.fresh()), "--json"]);
    expect(told.err).toBe("");
    expect(told.messages()[0]).toEqual({ message_type: "warning", message: expect.stringContaining(short(1)) });
  });

  it("warns where the newest has lost its manifest, so that an older one is taken", async () => {
    const target = ground.fresh();
    const lost = without(2, "manifest.json");
    const ran = await runHere(recoverArgs(lost, target));
    expect(ran.code, ran.err).toBe(0);
    expect(ran.err).toContain(`snapshot ${short(1)} of `);
    expect(ran.err).toContain(`warning: Newer than this snapshot, ${join(lost.base, below(2))}: There is data without`);
    expectWhole(target);
    const list = await runHere(["recover", "--from", lost.base, "--list"]);
    expect(list.code).toBe(0);
    expect(list.err).toContain(`warning: ${join(lost.base, below(2))}: There is data without a manifest`);
  });

  it("says nothing of what an older run that did not end has left", async () => {
    const ran = await runHere(recoverArgs(without(0, "manifest.json"), ground.fresh()));
    expect(ran.err).toContain(`its predecessor ${short(0)} is not here`);
    expect(ran.err.match(/^warning: /gm)).toHaveLength(1);
  });

  it("has nothing to warn of in a whole chain", async () => {
    const ran = await runHere(recoverArgs(storage, ground.fresh()));
    expect(ran.code).toBe(0);
    expect(ran.err).not.toContain("warning");
  });

  it("has no chain to look at where the snapshot is named, or its very directory", async () => {
    const gap = without(1);
    const named = await runHere([...recoverArgs(gap, ground.fresh()), "--snapshot", short(2)]);
    const place = `${join(gap.base, below(2))}/`;
    const pointedAt = await runHere(recoverArgs({ base: place, kit: gap.kit }, ground.fresh()));
    for (const ran of [named, pointedAt]) {
      expect(ran.code, ran.err).toBe(0);
      expect(ran.err).not.toContain("warning");
    }
  });

  it("tells of many gaps that there are more", async () => {
    const other = await makeStorage(ground.directory("gaps"));
    const files: [Buffer, Buffer][] = [[Buffer.from("srv/app/hello.txt"), Buffer.from("x")]];
    for (let i = 0; i < 7; i += 1) {
      const at = Date.now() - (20 - i) * 3_600_000;
      const first = await other.backUp({ createdAt: new Date(at), files });
      await other.backUp({ createdAt: new Date(at + 1000), files, previous: first.manifest });
      rmSync(first.directory, { recursive: true });
    }
    const ran = await runHere(recoverArgs(other, ground.fresh()));
    expect(ran.code, ran.err).toBe(0);
    expect(ran.err.match(/^warning: Snapshot /gm)).toHaveLength(5);
    expect(ran.err).toContain("warning: The chain has 2 more gaps; --list tells all.");
  });
});
