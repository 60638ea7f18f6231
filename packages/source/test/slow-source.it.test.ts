import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseTar } from "@xvault/archive";
import type { BucketClock } from "@xvault/kernel";
import { sshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ConnectOptions, SourceConnection } from "../src/index.ts";
import {
  foundAgain,
  type HangingTools,
  LIMIT,
  LONG,
  put,
  SLOWLY,
  startHangingTools,
  STEP,
  whenListing,
} from "./hanging-tools.ts";
import { collect, look, plan, randomContent } from "./trees.ts";

const missing = sshdAvailable();
const MIB = 1024 * 1024;

describe.skipIf(missing)(
  `a slow source is not taken for one that hangs${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    let tools: HangingTools;
    let tree: string;
    let large: string;

    beforeAll(async () => {
      tools = await startHangingTools();
      tree = tools.tree;
      large = join(tools.sshd.home, "large");
      writeFileSync(large, randomContent(40_000_000));
    });
    afterEach(() => tools.mend());
    afterAll(() => tools?.stop());

    const connect = (more?: Partial<ConnectOptions>) => tools.connect(more);
    const byTar = () => plan([tree], { transport: "tar" });
    const whole = () => look(tree, tree.slice(1));

    async function scanned(connection: SourceConnection, pauseMs = 0): Promise<number> {
      let count = 0;
      for await (const _ of connection.scan(byTar())) if ((count += 1) === 100) await sleep(pauseMs);
      return count;
    }

    it("while find is slow and sends something", async () => {
      tools.instead("find", whenListing(`"$real" "$@" | ${SLOWLY}; exit`));
      expect((await collect(await connect(), byTar())).summary).toEqual(whole());
    });

    it("while find complains, and lists nothing yet", async () => {
      const complaint = "find: 'somewhere else': Permission denied";
      tools.instead(
        "find",
        whenListing(`for each in $(seq 10); do echo "${complaint}" >&2; sleep ${STEP / 1000}; done`),
      );
      expect((await collect(await connect(), byTar())).summary).toEqual(whole());
    });

    it("while it looks for what excludes a directory, slowly and in vain", async () => {
      tools.instead("find", `case "$*" in *-mindepth*) "$real" "$@" | ${SLOWLY}; exit;; esac`);
      const marked = plan([tree], { transport: "tar", excludeIfPresent: [".nobackup", "CACHEDIR.TAG"] });
      expect((await collect(await connect(), marked)).summary).toEqual(whole());
    });

    it("while tar is slow and sends something", async () => {
      tools.instead("tar", `case "$*" in *--create*) "$real" "$@" | ${SLOWLY}; exit;; esac`);
      expect((await collect(await connect(), byTar())).summary).toEqual(whole());
    });

    it("while tar has nothing to do because find is slow", async () => {
      const elsewhere = join(tools.sshd.home, "elsewhere");
      mkdirSync(elsewhere, { recursive: true });
      tools.instead("find", whenListing(`"$real" "$@" | ${SLOWLY}; exit`));
      const connection = await connect();
      const names: string[] = [];
      // All that is taken comes first in the listing; tar has long sent all of it when the listing ends.
      let left = 3;
      const select = () => (left -= 1) >= 0;
      for await (const { entry, body } of connection.pull(byTar(), { parseTar, select })) {
        names.push(entry.path.toString());
        for await (const _ of body ?? []);
      }
      expect(names.length).toBe(3);
    });

    it("while tar looks through a large file for holes", async () => {
      const image = join(tools.sshd.home, "image");
      writeFileSync(image, "start");
      truncateSync(image, 100_000_000_000);
      appendFileSync(image, "end");
      tools.instead("tar", `case "$*" in *--create*) sleep ${LONG / 1000};; esac`);
      const connection = await connect();
      const sizes: number[] = [];
      for await (const { entry, body } of connection.pull(plan([image], { transport: "tar" }), { parseTar })) {
        sizes.push(entry.size);
        for await (const _ of body ?? []);
      }
      expect(sizes).toEqual([100_000_000_003]);
    });

    it("while many files that occupy nothing are looked into", async () => {
      const holes = join(tools.sshd.home, "holes");
      const looked = join(tools.sshd.home, "looked");
      mkdirSync(holes);
      for (let file = 0; file < 10; file++) {
        writeFileSync(join(holes, `f${file}`), "");
        truncateSync(join(holes, `f${file}`), 100_000);
      }
      tools.instead("head", `case "$*" in -c*) sleep ${STEP / 1000}; echo >>${looked};; esac`);
      const connection = await connect({ silence: { answer: LIMIT } });
      expect((await collect(connection, plan([holes], { transport: "tar" }))).problems).toEqual([]);
      expect(readFileSync(looked, "utf8").length).toBe(10);
    });

    it("while sha256sum reads a large file", async () => {
      tools.instead("sha256sum", `case "$*" in -z) ;; *) sleep ${LONG / 1000};; esac`);
      const target = await (await connect()).target(join(tools.sshd.home, "large restored"), { verify: true });
      // Which may take twelve seconds.
      await put(target, "large", randomContent(60_000_000));
      await target.finish();
    });

    it("while whoever takes a file's content pauses", async () => {
      const connection = await connect();
      const digest = createHash("sha256");
      let paused = false;
      for await (const { body } of connection.pull(plan([large], { transport: "tar" }), { parseTar })) {
        for await (const piece of body ?? []) {
          digest.update(piece);
          if (paused) continue;
          paused = true;
          await sleep(LONG);
        }
      }
      expect(digest.digest("hex")).toBe(createHash("sha256").update(randomContent(40_000_000)).digest("hex"));
    });

    it("while whoever takes a listing pauses", async () => {
      // More than the server may send unasked.
      tools.instead("find", whenListing(`"$real" "$@"; ${foundAgain(join(tree, "again and again"), 80_000)}; exit`));
      expect(await scanned(await connect(), LONG)).toBe(80_000 + Object.keys(whole()).length);
    });

    it("while a choice of what is taken waits", async () => {
      let waited = false;
      const select = async () => {
        if (!waited) await sleep(LONG);
        return (waited = true);
      };
      let count = 0;
      for await (const { body } of (await connect()).pull(byTar(), { parseTar, select })) {
        count += 1;
        for await (const _ of body ?? []);
      }
      expect(count).toBe(Object.keys(whole()).length);
    });

    for (const transport of ["tar", "sftp"] as const) {
      it(`while a bandwidth limit keeps it back, by ${transport}`, async () => {
        // Time stands still for long, and then for no time at all.
        const clock = { ms: 0, pauses: 0 };
        const throttleClock: BucketClock = {
          now: () => clock.ms,
          later: (_ms, work) => {
            clock.pauses += 1;
            setTimeout(
              () => {
                clock.ms += 1000;
                work();
              },
              clock.pauses === 2 ? LONG : 0,
            );
          },
        };
        const connection = await connect({
          silence: { list: LIMIT, read: LIMIT, answer: LIMIT },
          bandwidth: { bytesPerSecond: 4 * MIB, windows: [] },
          throttleClock,
        });
        expect((await collect(connection, plan([large], { transport }))).summary).toEqual(look(large, large.slice(1)));
        expect(clock.pauses).toBeGreaterThan(2);
      });
    }
  },
);
