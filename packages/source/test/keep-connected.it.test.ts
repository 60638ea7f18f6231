import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseTar } from "@xvault/archive";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keepConnected, type ScanItem, type SourceConnection } from "../src/index.ts";
import { collect, connectTo, look, plan, randomContent } from "./trees.ts";

const missing = sshdAvailable();
const MIB = 1024 * 1024;

/** Promise 26 again: what comes after a drop is the whole, or a failure. */
describe.skipIf(missing)(`a link that drops and comes back${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let tree: string;
  let large: string;

  beforeAll(async () => {
    sshd = await startSshd();
    tree = join(sshd.home, "tree");
    large = join(tree, "m large");
    for (const folder of ["a", "z"]) {
      mkdirSync(join(tree, folder), { recursive: true });
      for (let file = 0; file < 40; file++) {
        writeFileSync(join(tree, folder, `f${file}`), randomContent(100_000 + file));
      }
    }
    writeFileSync(large, randomContent(24_000_000));
    const holes = join(tree, "n holes");
    writeFileSync(holes, randomContent(6_000_000));
    truncateSync(holes, 60_000_000);
    appendFileSync(holes, randomContent(6_000_000));
  });
  afterAll(() => sshd?.stop());

  interface Shaky {
    proxy: FaultyProxy;
    notes: string[];
    connection: SourceConnection;
  }

  /** A kept connection through a proxy; `onWait` is called before each new try. */
  async function shaky(onWait: (proxy: FaultyProxy) => void, use: (shaky: Shaky) => Promise<void>, attempts = 3) {
    const proxy = await startProxy({ port: sshd.port });
    const notes: string[] = [];
    const connection = await keepConnected(() => connectTo(sshd, { port: proxy.port, keepaliveMs: 2000 }), {
      attempts,
      onNote: (note) => notes.push(note),
      wait: async () => onWait(proxy),
    });
    try {
      await use({ proxy, notes, connection });
    } finally {
      connection.close();
      await proxy.stop();
    }
  }

  for (const transport of ["tar", "sftp"] as const) {
    describe(transport, () => {
      let total = 0;
      const wanted = () => plan([tree], { transport });

      it("brings everything while it holds", async () => {
        await shaky(
          () => {},
          async ({ proxy, connection, notes }) => {
            const before = proxy.bytesBack();
            expect((await collect(connection, wanted())).summary).toEqual(look(tree, tree.slice(1)));
            total = proxy.bytesBack() - before;
            expect(notes).toEqual([]);
          },
        );
      });

      for (const fault of ["resetAfter", "blackHoleAfter"] as const) {
        for (const share of fault === "resetAfter" ? [0, 0.4, 0.95] : [0.5]) {
          it(`goes on after ${fault} at ${share * 100} %, and pulls little of it again`, async () => {
            expect(total, "the whole was measured").toBeGreaterThan(40 * MIB);
            await shaky(
              (proxy) => proxy.setFaults({}),
              async ({ proxy, connection, notes }) => {
                const before = proxy.bytesBack();
                proxy.setFaults({ [fault]: before + Math.floor(total * share) });
                const pulled = await collect(connection, wanted());
                expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
                expect(new Set(pulled.order).size).toBe(pulled.order.length);
                expect(pulled.problems).toEqual([]);
                // What was under way when it dropped (at most a window), and another listing.
                const drops = notes.filter((note) => note === "Connected again.").length;
                expect(proxy.bytesBack() - before).toBeLessThan(total + drops * 10 * MIB);
                expect(notes.slice(0, 2)).toEqual([
                  "The link dropped. Connecting again, try 1 of 3.",
                  "Connected again.",
                ]);
                expect(notes.at(-1)).toMatch(/^Going on at \//);
              },
            );
          });
        }
      }

      it("goes on after many drops, as long as something arrives in between", async () => {
        await shaky(
          (proxy) => proxy.setFaults({ resetAfter: 9.5 * MIB }),
          async ({ proxy, connection, notes }) => {
            proxy.setFaults({ resetAfter: proxy.bytesBack() + 9.5 * MIB });
            const pulled = await collect(connection, wanted());
            expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
            expect(pulled.problems).toEqual([]);
            expect(notes.filter((note) => note === "Connected again.").length).toBeGreaterThanOrEqual(3);
          },
        );
      });

      it("gives up when nothing comes any more", async () => {
        await shaky(
          (proxy) => proxy.setFaults({ resetAfter: 0 }),
          async ({ proxy, connection, notes }) => {
            proxy.setFaults({ resetAfter: proxy.bytesBack() + 5 * MIB });
            const pull = collect(connection, wanted());
            await expect(pull).rejects.toMatchObject({
              code: expect.stringMatching(/CONNECTION_LOST|HOST_UNREACHABLE/),
            });
            expect(notes.length).toBe(3);
          },
        );
      });

      it("asks about each path once, but for what was under way", async () => {
        await shaky(
          (proxy) => proxy.setFaults({}),
          async ({ proxy, connection }) => {
            const asked = new Map<string, number>();
            const select = async (item: ScanItem) => {
              const name = item.path.toString("latin1");
              asked.set(name, (asked.get(name) ?? 0) + 1);
              return !/\/f\d*[02468]$/.test(name);
            };
            proxy.setFaults({ resetAfter: proxy.bytesBack() + 20 * MIB });
            const order: string[] = [];
            for await (const { entry, body } of connection.pull(wanted(), { parseTar, select })) {
              for await (const _ of body ?? []);
              order.push(entry.path.toString("latin1"));
            }
            const all = Object.keys(look(tree, tree.slice(1)));
            expect([...asked.keys()].sort()).toEqual(all.sort());
            expect(order.sort()).toEqual(all.filter((name) => !/\/f\d*[02468]$/.test(name)));
            for (const [name, times] of asked) if (!order.includes(name)) expect([name, times]).toEqual([name, 1]);
          },
        );
      });

      for (const [what, change] of [
        ["was written to", (path: string) => appendFileSync(path, "more")],
        ["was replaced by one of the same size and time", (path: string) => renameSync(`${path} twin`, path)],
        ["is gone", (path: string) => renameSync(path, `${path} away`)],
      ] as const) {
        // Over SFTP alone neither inode nor change time is known.
        if (transport === "sftp" && what.includes("replaced")) continue;
        it(`tells that a file ${what} while the link was down`, async () => {
          const side = join(sshd.home, `side-${transport}-${what.length}`);
          mkdirSync(side);
          const file = join(side, "file");
          const content = randomContent(24_000_000);
          writeFileSync(file, content);
          execFileSync("cp", ["-p", file, `${file} twin`]);
          const only = plan([file], { transport });
          await shaky(
            (proxy) => {
              proxy.setFaults({});
              change(file);
            },
            async ({ proxy, connection }) => {
              proxy.setFaults({ resetAfter: proxy.bytesBack() + 10 * MIB });
              const { problems, order } = await collect(connection, only);
              expect(order).toEqual([file.slice(1)]);
              const told = problems.map(({ kind, text }) => `${kind} ${text}`);
              // A new listing misses it, where there is one.
              expect(told.filter((one) => one !== `vanished ${file}`)).toEqual([`changed ${file}`]);
            },
          );
        });
      }
    });
  }

  it("reads on by the shell where there is no SFTP", async () => {
    const bare = await startSshd({ noSftp: true });
    const proxy = await startProxy({ port: bare.port });
    const connection = await keepConnected(() => connectTo(bare, { port: proxy.port }), {
      wait: async () => proxy.setFaults({}),
    });
    try {
      proxy.setFaults({ resetAfter: proxy.bytesBack() + 36 * MIB });
      const pulled = await collect(connection, plan([large, join(tree, "n holes")]));
      expect(pulled.problems).toEqual([]);
      expect(pulled.summary).toEqual({
        ...look(large, large.slice(1)),
        ...look(join(tree, "n holes"), join(tree, "n holes").slice(1)),
      });
    } finally {
      connection.close();
      await proxy.stop();
      await bare.stop();
    }
  });

  it("takes no other host key, and tries no more then", async () => {
    const other = await startSshd();
    const proxy = await startProxy({ port: other.port });
    const pinned = { ...other, hostKey: other.hostKey };
    let tries = 0;
    const connection = await keepConnected(() => connectTo(pinned, { port: proxy.port }), {
      wait: async () => {
        tries += 1;
        await other.rotateHostKey();
        proxy.setFaults({});
      },
    });
    try {
      proxy.setFaults({ resetAfter: proxy.bytesBack() + MIB });
      await expect(collect(connection, plan([tree]))).rejects.toMatchObject({ code: "HOST_KEY_CHANGED" });
      expect(tries).toBe(1);
    } finally {
      connection.close();
      await proxy.stop();
      await other.stop();
    }
  });

  it("scans and measures on, too", async () => {
    for (const transport of ["tar", "sftp"] as const) {
      await shaky(
        (proxy) => proxy.setFaults({}),
        async ({ proxy, connection }) => {
          proxy.setFaults({ resetAfter: proxy.bytesBack() + 3000 });
          const names: string[] = [];
          for await (const item of connection.scan(plan([tree], { transport }))) names.push(item.path.toString());
          expect(names.sort()).toEqual(Object.keys(look(tree, tree.slice(1))).sort());
          proxy.setFaults({ resetAfter: 3000 });
          expect((await connection.measure(plan([tree], { transport }))).files).toBe(82);
        },
      );
    }
  });

  it("stops when it is cancelled while it waits", async () => {
    const stop = new AbortController();
    await shaky(
      () => stop.abort(),
      async ({ proxy, connection }) => {
        proxy.setFaults({ resetAfter: proxy.bytesBack() + 5 * MIB });
        await expect(collect(connection, plan([tree]), stop.signal)).rejects.toMatchObject({ code: "CANCELLED" });
      },
    );
  });
});
