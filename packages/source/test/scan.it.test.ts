import { chmodSync, chownSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseTar } from "@xvault/archive";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScanItem, SourceConnection } from "../src/index.ts";
import { connectTo, plan, plantOddTree } from "./trees.ts";

const missing = sshdAvailable();

/** What an entry and an item of a listing must have in common. */
function shared(item: Omit<ScanItem, "type"> & { type: string }) {
  const { type, size, mode, uid, gid, uname, gname, mtimeNs } = item;
  return { type, size, mode, uid, gid, uname, gname, mtimeNs };
}

describe.skipIf(missing)(`what a listing tells${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let connection: SourceConnection;
  let tree: string;

  beforeAll(async () => {
    sshd = await startSshd();
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    plantOddTree(tree);
    writeFileSync(join(tree, "of nobody"), "n");
    if (process.getuid?.() === 0) chownSync(join(tree, "of nobody"), 54_321, 54_322);
    connection = await connectTo(sshd);
  });
  afterAll(async () => {
    connection?.close();
    await sshd?.stop();
  });

  for (const transport of ["tar", "sftp"] as const) {
    it(`is what the entries have, by ${transport}`, async () => {
      const wanted = plan([tree], { transport });
      const scanned = new Map<string, ScanItem>();
      for await (const item of connection.scan(wanted)) scanned.set(item.path.toString("latin1"), item);
      const selected = new Map<string, ScanItem>();
      const select = (item: ScanItem) => {
        selected.set(item.path.toString("latin1"), item);
        return true;
      };
      const pulled = new Map<string, ReturnType<typeof shared>>();
      let links = 0;
      for await (const { entry } of connection.pull(wanted, { parseTar, select })) {
        const name = entry.path.toString("latin1");
        if (entry.type === "hardlink") links += 1;
        else pulled.set(name, shared(entry));
      }
      expect([...selected.keys()]).toEqual([...scanned.keys()]);
      for (const [name, item] of selected) expect(item).toMatchObject(scanned.get(name) ?? {});
      expect(links).toBe(transport === "tar" ? 1 : 0);
      for (const [name, entry] of pulled) {
        expect([name, shared(scanned.get(name) as ScanItem)]).toEqual([name, entry]);
      }
      expect(pulled.size + links).toBe(scanned.size);
    });

    it(`waits for a choice that takes its time, by ${transport}`, async () => {
      // The choice for one thing is made only when the one before it has arrived: what was let in must not wait with it.
      const order: string[] = [];
      let asked = 0;
      let open = () => {};
      const select = (item: ScanItem) => {
        asked += 1;
        if (asked < 5) return Promise.resolve(item.type === "dir");
        if (asked > 5) return true;
        return new Promise<boolean>((resolve) => {
          open = () => resolve(false);
          setImmediate(() => setImmediate(open));
        });
      };
      for await (const { entry } of connection.pull(plan([tree], { transport }), { parseTar, select })) {
        order.push(entry.path.toString("latin1"));
      }
      const all: string[] = [];
      for await (const item of connection.scan(plan([tree], { transport }))) {
        if (all.length >= 5 || (all.length < 4 && item.type === "dir")) all.push(item.path.toString("latin1"));
        else all.push("");
      }
      expect(order).toEqual(all.filter((name) => name !== ""));
    });

    it(`ends with its consumer while a choice is never made, by ${transport}`, async () => {
      const stop = new AbortController();
      const select = (item: ScanItem) => {
        if (item.type === "dir") return true;
        stop.abort();
        return new Promise<boolean>(() => {});
      };
      const pull = async () => {
        for await (const _ of connection.pull(plan([tree], { transport }), { parseTar, select, signal: stop.signal }));
      };
      await expect(pull()).rejects.toMatchObject({ code: "CANCELLED" });
    });
  }

  it("has change time, inode and count of names from find", async () => {
    let hard = 0;
    for await (const item of connection.scan(plan([tree], { transport: "tar" }))) {
      const stat = lstatSync(Buffer.concat([Buffer.from("/"), item.path]), { bigint: true });
      const { ctimeNs, mtimeNs, inode, nlink, mode, uid, gid } = item;
      expect({ ctimeNs, mtimeNs, inode, nlink, mode, uid, gid }).toEqual({
        ctimeNs: stat.ctimeNs,
        mtimeNs: stat.mtimeNs,
        inode: stat.ino,
        nlink: Number(stat.nlink),
        mode: Number(stat.mode) & 0o7777,
        uid: Number(stat.uid),
        gid: Number(stat.gid),
      });
      if (item.type === "file" && item.nlink === 2) hard += 1;
    }
    expect(hard).toBe(2);
  });

  it("knows the source's clock", async () => {
    // Same machine, same clock: it lies between two readings of it around the connecting.
    const before = BigInt(Date.now()) * 1_000_000n;
    const fresh = await connectTo(sshd);
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    fresh.close();
    expect(fresh.clock?.atNs).toBeGreaterThanOrEqual(before);
    expect(fresh.clock?.atNs).toBeLessThanOrEqual(after);
    expect(Math.abs(fresh.clock?.skewMs ?? 1e9)).toBeLessThanOrEqual(fresh.clock?.uncertaintyMs ?? 0);
  });

  for (const [name, script] of [
    ["in nanoseconds", `exec /usr/bin/date -d "1 hour" "$@"`],
    ["in seconds, with a letter for what it does not know", `/usr/bin/date -d "1 hour" +%sN`],
  ] as const) {
    it(`knows a clock that is an hour ahead, ${name}`, async () => {
      const tools = join(sshd.dir, name.slice(3, 6));
      mkdirSync(tools);
      writeFileSync(join(tools, "date"), `#!/bin/sh\n${script}\n`);
      chmodSync(join(tools, "date"), 0o755);
      const odd = await startSshd({ config: [`SetEnv PATH=${tools}:/usr/bin:/bin`] });
      const ahead = await connectTo(odd);
      ahead.close();
      await odd.stop();
      const { skewMs = 0, uncertaintyMs = 0 } = ahead.clock ?? {};
      expect(Math.abs(skewMs - 3_600_000)).toBeLessThanOrEqual(uncertaintyMs);
    });
  }

  it("knows no clock where there is no shell", async () => {
    const bare = await startSshd({ sftpOnly: true });
    const connected = await connectTo(bare);
    connected.close();
    await bare.stop();
    expect(connected.clock).toBeNull();
  });
});
