import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BucketClock } from "@xvault/kernel";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, connectTo, look, plan, randomContent } from "./trees.ts";

const missing = sshdAvailable();
const MIB = 1024 * 1024;

/** Moves on only when somebody waits for it. */
function steppedClock(start: number) {
  const clock = { ms: start, passed: 0 };
  const seam: BucketClock = {
    now: () => clock.ms,
    later: (ms, work) =>
      void setImmediate(() => {
        clock.ms += ms;
        clock.passed += ms;
        work();
      }),
  };
  return { clock, seam };
}

describe.skipIf(missing)(`a source that is read slowly${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let proxy: FaultyProxy;
  let tree: string;

  beforeAll(async () => {
    sshd = await startSshd();
    proxy = await startProxy({ port: sshd.port });
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    for (let file = 0; file < 60; file++) writeFileSync(join(tree, `f${file}`), randomContent(70_000 + file));
    writeFileSync(join(tree, "large"), randomContent(60_000_000));
  });
  afterAll(async () => {
    await proxy?.stop();
    await sshd?.stop();
  });

  for (const transport of ["tar", "sftp"] as const) {
    it(`never brings more than the limit allows, and all of it, by ${transport}`, async () => {
      const rate = MIB;
      const { clock, seam } = steppedClock(0);
      const before = proxy.bytesBack();
      const connection = await connectTo(sshd, {
        port: proxy.port,
        bandwidth: { bytesPerSecond: rate, windows: [] },
        throttleClock: seam,
      });
      try {
        // The first credit of each channel (SFTP, probe, and three of the tar transport), half a second's worth for each, and what enciphering adds.
        const ahead = 5 * (2 * MIB + rate / 2) + MIB;
        let most = 0;
        const pulled = await collect(connection, plan([tree], { transport }), undefined, () => {
          most = Math.max(most, proxy.bytesBack() - before - (clock.passed / 1000) * rate);
        });
        const got = proxy.bytesBack() - before;
        expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
        expect(most).toBeLessThan(ahead);
        expect(got).toBeGreaterThan(64_000_000);
        expect((clock.passed / 1000) * rate).toBeGreaterThan(got - ahead);
      } finally {
        connection.close();
      }
    }, 120_000);
  }

  it("speeds up when a window opens while the pull goes on", async () => {
    // The limit alone would take hours; a minute later it is lifted.
    const { clock, seam } = steppedClock(new Date("2026-01-02T11:59:00Z").getTime());
    const free = { days: [5], from: "12:00", to: "24:00", timezone: "UTC", bytes_per_second: null };
    const connection = await connectTo(sshd, {
      bandwidth: { bytesPerSecond: 1024, windows: [free] },
      throttleClock: seam,
    });
    const pulled = await collect(connection, plan([tree]));
    connection.close();
    expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
    expect(clock.passed).toBeGreaterThanOrEqual(60_000);
    expect(clock.passed).toBeLessThan(120_000);
  });
});
