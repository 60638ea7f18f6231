import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { XVaultError } from "@xvault/kernel";
import { connectSource, type SourceConnection } from "@xvault/source";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, keysOf, runBackup, runVerify, storedObjects } from "../src/index.ts";
import { because, type BackupChanges, codeOf, type Lab, noSshd, openLab, TRANSPORTS } from "./lab.ts";
import { differences, noise, wholeSeconds } from "./trees.ts";

const FILES = 50;
const cancelled = () => new XVaultError("CANCELLED");

describe.skipIf(noSshd)(`runs that fail${because(noSshd)}`, () => {
  let lab: Lab;
  let tree: string;
  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    for (let i = 0; i < FILES; i += 1) writeFileSync(join(tree, String(i)), noise(80_000, i));
  });
  afterAll(() => lab?.stop());

  /** Runs a backup that must fail; its code. Nothing may be left of it: no object, no half one, no directory, no word to the hub. */
  async function failure(changes: BackupChanges): Promise<string> {
    const run = lab.run([tree], changes);
    const code = await codeOf(runBackup(run));
    expect(run.published).toEqual([]);
    expect(lab.leftovers(run.place)).toEqual([]);
    expect(existsSync(join(lab.storeRoot, keysOf(run.place).dir))).toBe(false);
    return code;
  }

  /** The next run works: the whole tree, restored. */
  let count = 0;
  async function expectNextRunWorks(changes: BackupChanges = {}): Promise<void> {
    const { place } = await lab.backup([tree], changes);
    const to = join(lab.dir, `next-${(count += 1)}`);
    await lab.restore(place, to);
    expect(differences(to + tree, tree, { time: wholeSeconds, withinNs: 1_000_000_000n })).toEqual([]);
  }

  describe("promise 26: a dropped connection is a failure, never a short success", () => {
    let proxy: FaultyProxy;
    beforeAll(async () => {
      proxy = await startProxy({ port: lab.sshd.port });
    });
    afterEach(() => proxy.setFaults({}));
    afterAll(() => proxy?.stop());

    for (const transport of TRANSPORTS) {
      test(`${transport}: reset at each quarter, and just before the end; nothing is left, the next run works`, async () => {
        const through = { transport, connect: { port: proxy.port } };
        const before = proxy.bytesBack();
        await lab.backup([tree], through);
        const whole = proxy.bytesBack() - before;
        expect(whole).toBeGreaterThan(FILES * 80_000);
        for (const share of [0.25, 0.5, 0.75, 0.98]) {
          proxy.setFaults({ resetAfter: Math.floor(whole * share) });
          expect(await failure(through), `reset at ${share * 100} %`).toBe("CONNECTION_LOST");
        }
        proxy.setFaults({});
        await expectNextRunWorks(through);
      });

      test(`${transport}: a link that falls silent is given up`, async () => {
        proxy.setFaults({ blackHoleAfter: FILES * 40_000 });
        const through = { transport, connect: { port: proxy.port, keepaliveMs: 500 } };
        expect(await failure(through)).toBe("CONNECTION_LOST");
        proxy.setFaults({});
        await expectNextRunWorks(through);
      });
    }
  });

  describe("promise 19: a cancelled run leaves nothing", () => {
    for (const transport of TRANSPORTS) {
      const steps = transport === "tar" ? ["connect", "list", "pull", "verify", "publish"] : ["list", "pull"];
      test.each(steps)(`${transport}: at the step '%s'`, async (step) => {
        const cancel = new AbortController();
        const { reporter } = createReportLog();
        const seen: string[] = [];
        const code = await failure({
          transport,
          signal: cancel.signal,
          reporter: {
            ...reporter,
            step: (name, message) => {
              reporter.step(name, message);
              seen.push(name);
              if (name === step) cancel.abort(cancelled());
            },
          },
        });
        expect(code).toBe("CANCELLED");
        expect(seen.at(-1)).toBe(step);
      });

      test(`${transport}: in the middle of the bytes; the next run works`, async () => {
        const cancel = new AbortController();
        const { reporter } = createReportLog();
        let bytes = 0;
        const code = await failure({
          transport,
          signal: cancel.signal,
          reporter: {
            ...reporter,
            advance: (done) => {
              bytes += done.bytes ?? 0;
              if (bytes > FILES * 40_000) cancel.abort(cancelled());
            },
          },
        });
        expect(code).toBe("CANCELLED");
        expect(bytes).toBeLessThan(FILES * 80_000);
        await expectNextRunWorks({ transport });
      });
    }

    test("a run that was cancelled before it began does nothing", async () => {
      expect(await failure({ signal: AbortSignal.abort(cancelled()) })).toBe("CANCELLED");
    });
  });

  describe("promise 20: a store that fails anywhere leaves nothing", () => {
    let over: SourceConnection;
    beforeAll(async () => {
      over = await connectSource(lab.connectOptions());
    });
    afterAll(() => over?.close());

    type Call = "create" | "write" | "close" | "commit" | "read" | "stat";

    /** The lab's store, whose n-th call of a kind fails. Counts them all. */
    function faulty(call: Call | null, nth: number): { store: ObjectStore; calls: Record<Call, number> } {
      const calls = { create: 0, write: 0, close: 0, commit: 0, read: 0, stat: 0 };
      const hit = (kind: Call) => {
        calls[kind] += 1;
        if (kind === call && calls[kind] === nth) throw new XVaultError("STORAGE_FAILED", "The disk went away.");
      };
      const { store } = lab;
      return {
        calls,
        store: {
          ...store,
          create: async (key) => {
            hit("create");
            const writer = await store.create(key);
            return {
              get sizeBytes() {
                return writer.sizeBytes;
              },
              write: async (chunk) => {
                hit("write");
                await writer.write(chunk);
              },
              close: async () => {
                hit("close");
                await writer.close();
              },
              commit: async () => {
                hit("commit");
                await writer.commit();
              },
              abort: () => writer.abort(),
            };
          },
          stat: async (key) => {
            hit("stat");
            return store.stat(key);
          },
          reader: async (key) => {
            const reader = await store.reader(key);
            return {
              size: reader.size,
              read: async (offset, length) => {
                hit("read");
                return reader.read(offset, length);
              },
            };
          },
        },
      };
    }

    test("whichever of its calls fails, at the beginning, in the middle, at the end", async () => {
      const { store, calls } = faulty(null, 0);
      await lab.backup([tree], { store, over });
      expect(calls).toMatchObject({ create: 6, commit: 6, close: 6 });
      for (const call of ["create", "commit", "close", "write", "read", "stat"] as const) {
        const all = calls[call];
        const few = all <= 5 ? Array.from({ length: all }, (_, i) => i + 1) : [1, Math.ceil(all / 2), all];
        for (const nth of few) {
          expect(await failure({ store: faulty(call, nth).store, over }), `${call} ${nth} of ${all}`).toBe(
            "STORAGE_FAILED",
          );
        }
      }
      await expectNextRunWorks();
    });

    test("a hub that refuses the publication: nothing of the attempt stays", async () => {
      const refuse = () => Promise.reject(new XVaultError("LEASE_LOST"));
      expect(await failure({ publish: refuse, over })).toBe("LEASE_LOST");
      await expectNextRunWorks({ over });
    });

    test("a hub that may have published before its answer was lost: the snapshot stays, whole", async () => {
      const cancel = new AbortController();
      const unknown: [string, BackupChanges][] = [
        ["UNAVAILABLE", { publish: () => Promise.reject(new XVaultError("UNAVAILABLE")) }],
        ["INTERNAL", { publish: () => Promise.reject(new XVaultError("INTERNAL")) }],
        [
          "CANCELLED",
          {
            signal: cancel.signal,
            publish: () => {
              cancel.abort(cancelled());
              return Promise.reject(new Error("the answer was not waited for"));
            },
          },
        ],
      ];
      for (const [code, changes] of unknown) {
        const run = lab.run([tree], { ...changes, over });
        expect(await codeOf(runBackup(run))).toBe(code);
        expect(await codeOf(lab.open(run.place))).toBe("none");
      }
    });

    test("what other runs stored is not touched", async () => {
      const kept = await lab.backup([tree]);
      const before = lab.leftovers(kept.place);
      expect(before.length).toBe(6);
      expect(await failure({ store: faulty("commit", 4).store, over })).toBe("STORAGE_FAILED");
      // Even an attempt that is given the same place does not touch what lies there.
      const again = lab.run([tree], { place: kept.place, over });
      expect(await codeOf(runBackup(again))).toBe("OBJECT_EXISTS");
      expect(lab.leftovers(kept.place)).toEqual(before);
      expect(await codeOf(lab.open(kept.place))).toBe("none");
    });
  });

  describe("promise 21: a disk that is full", () => {
    let disk: string;
    let refused = "";
    beforeAll(() => {
      disk = join(lab.dir, "disk");
      mkdirSync(disk);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=7m", "tmpfs", disk], { stdio: "pipe" });
      } catch {
        refused = "a tmpfs cannot be mounted here";
      }
    });
    afterAll(() => {
      if (!refused) execFileSync("umount", [disk]);
    });

    test("a clear error, older snapshots fine, the next run works", async ({ skip }) => {
      skip(refused !== "", refused);
      const store = await openLocalStore({ root: join(disk, "store") });
      const small = join(lab.sshd.home, "small");
      mkdirSync(small);
      writeFileSync(join(small, "file"), noise(1_000_000, 77));
      const older = await lab.backup([small], { store });
      const free = await store.freeBytes();

      writeFileSync(join(lab.sshd.home, "large"), noise(12_000_000, 78));
      for (const transport of TRANSPORTS) {
        const run = lab.run([join(lab.sshd.home, "large")], { store, transport });
        await expect(runBackup(run)).rejects.toMatchObject({ code: "SPACE_REQUIRED", fix: expect.stringMatching(/./) });
        expect(run.published).toEqual([]);
        expect(existsSync(join(disk, "store", keysOf(run.place).dir))).toBe(false);
        expect(await store.freeBytes()).toBe(free);
      }

      const objects = storedObjects(store, older.place);
      const verified = await runVerify({
        checked: await lab.check(older.place, objects),
        artifact: await lab.open(older.place, { objects }),
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
      });
      expect(verified).toMatchObject({ files: 1, bytes: 1_000_000 });
      const next = await lab.backup([small], { store });
      expect(await codeOf(lab.open(next.place, { objects: storedObjects(store, next.place) }))).toBe("none");
    });
  });
});
