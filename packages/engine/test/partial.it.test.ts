import { chmodSync, mkdirSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unprivilegedSshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runBackup } from "../src/index.ts";
import { because, codeOf, filesBelow, type Lab, openLab, TRANSPORTS } from "./lab.ts";

const missing = unprivilegedSshdAvailable();

describe.skipIf(missing)(
  `promise 26: what cannot be read is told, never left out in silence${because(missing)}`,
  () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await openLab({ sshd: { unprivileged: true } });
    });
    afterAll(() => lab?.stop());

    for (const transport of TRANSPORTS) {
      describe(transport, () => {
        const plant = (name: string) => {
          const tree = join(lab.sshd.home, `${name}-${transport}`);
          mkdirSync(join(tree, "open"), { recursive: true });
          writeFileSync(join(tree, "open/file"), "readable");
          return tree;
        };
        const warnings = (events: { level: string; message: string }[]) =>
          events.filter(({ level }) => level === "warning").map(({ message }) => message);

        test("control: a tree that can be read wholly is no partial one", async () => {
          const { partial, manifest, log, result } = await lab.backup([plant("control")], { transport });
          expect([partial, manifest.partial, manifest.contents.problems, result.problems]).toEqual([
            false,
            false,
            0,
            0,
          ]);
          expect(warnings(log.takeEvents())).toEqual([]);
        });

        test("an unreadable file and an unreadable directory make the run partial; the rest restores", async () => {
          const tree = plant("unreadable");
          writeFileSync(join(tree, "secret"), "unreadable");
          chmodSync(join(tree, "secret"), 0);
          mkdirSync(join(tree, "locked"));
          writeFileSync(join(tree, "locked/file"), "unreachable");
          chmodSync(join(tree, "locked"), 0);
          const { partial, manifest, log, result, place, published } = await lab.backup([tree], { transport });
          expect([partial, manifest.partial, manifest.contents.problems, result.problems]).toEqual([true, true, 2, 2]);
          expect(published).toEqual([manifest]);
          const told = warnings(log.takeEvents()).sort();
          expect(told.length).toBe(2);
          expect(told[0]).toContain(join(tree, "locked"));
          expect(told[1]).toContain(join(tree, "secret"));
          const to = join(lab.dir, `partial-${transport}`);
          await lab.restore(place, to);
          expect(filesBelow(to)).toEqual([join(tree, "open/file").slice(1)]);
        });

        test("a path that is missing beside one that is there makes the run partial", async () => {
          const tree = plant("beside");
          const { partial, manifest, log } = await lab.backup([join(tree, "gone"), join(tree, "open")], { transport });
          expect([partial, manifest.contents.problems, manifest.contents.files]).toEqual([true, 1, 1]);
          expect(warnings(log.takeEvents()).join()).toContain(join(tree, "gone"));
        });

        test("nothing readable at all is an error, and there is no snapshot", async () => {
          const tree = plant("nothing");
          writeFileSync(join(tree, "secret"), "unreadable");
          chmodSync(join(tree, "secret"), 0);
          mkdirSync(join(tree, "locked"));
          chmodSync(join(tree, "locked"), 0);
          const cases = [
            [[join(tree, "secret")], "NOTHING_READABLE"],
            [[join(tree, "gone")], "PATH_MISSING"],
            [[join(tree, "gone"), join(tree, "gone too")], "PATH_MISSING"],
            [[join(tree, "locked/inside")], "NOTHING_READABLE"],
          ] as const;
          for (const [paths, code] of cases) {
            const run = lab.run([...paths], { transport });
            expect(await codeOf(runBackup(run)), paths.join()).toBe(code);
            expect(run.published).toEqual([]);
            expect(lab.leftovers(run.place)).toEqual([]);
          }
        });

        test("what changed while it was read, and what could not be read, is marked in the snapshot itself", async () => {
          const tree = plant("changing");
          const file = join(tree, "a large file");
          writeFileSync(file, Buffer.alloc(64_000_000, "old"));
          // Whole seconds are all that SFTP tells.
          utimesSync(file, 1_600_000_000, 1_600_000_000);
          writeFileSync(join(tree, "secret"), "unreadable");
          chmodSync(join(tree, "secret"), 0);
          const { reporter } = createReportLog();
          let shrunk = false;
          const advance: typeof reporter.advance = (step) => {
            if (!shrunk && (step.bytes ?? 0) > 1000) truncateSync(file, 20_000_000);
            shrunk ||= (step.bytes ?? 0) > 1000;
            reporter.advance(step);
          };
          const backup = await lab.backup([tree], { transport, reporter: { ...reporter, advance } });
          expect([shrunk, backup.partial, backup.manifest.contents.problems]).toEqual([true, true, 2]);
          const marked = new Map<string, string | undefined>();
          for await (const { path = "", problem } of (await lab.open(backup.place)).entries())
            marked.set(`/${path}`, problem);
          expect(marked.get(file)).toBe("changed");
          expect(marked.get(join(tree, "open/file"))).toBeUndefined();
          expect(marked.has(join(tree, "secret"))).toBe(false);
          const to = join(lab.dir, `changing-${transport}`);
          expect(await lab.restore(backup.place, to)).toMatchObject({ problems: 1 });
          expect(statSync(to + file).size).toBe(64_000_000);
        });

        test("more problems than are listed are counted", async () => {
          const tree = plant("many");
          for (let i = 0; i < 130; i += 1) {
            writeFileSync(join(tree, `${i}`), "x");
            chmodSync(join(tree, `${i}`), 0);
          }
          const { manifest, log } = await lab.backup([tree], { transport });
          expect(manifest.contents.problems).toBe(130);
          const told = warnings(log.takeEvents());
          expect(told.length).toBe(101);
          expect(told.at(-1)).toContain("30 more problems");
        });
      });
    }
  },
);
