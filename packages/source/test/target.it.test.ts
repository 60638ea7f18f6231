import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileEntry, OverwritePolicy, TreeTarget } from "@xvault/kernel";
import { parseTar } from "@xvault/archive";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startDemoServer } from "../src/demo-server/index.ts";
import { type SourceConnection, connectSource, generateKeyPair } from "../src/index.ts";
import { bytes, collect, connectTo, everywhere, look, makeFifo, plan, plantOddTree } from "./trees.ts";

const missing = sshdAvailable();

interface Place {
  connection: SourceConnection;
  /** The directory as this machine sees it, and as the connection does. */
  home: string;
  seen: string;
  stop(): Promise<void>;
}

async function openSsh(): Promise<Place> {
  const sshd: Sshd = await startSshd();
  const connection = await connectTo(sshd);
  const stop = async () => {
    connection.close();
    await sshd.stop();
  };
  return { connection, home: sshd.home, seen: sshd.home, stop };
}

async function demo(): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), "xvault-demo-"));
  const user = generateKeyPair("user");
  const options = { root: home, hostKeyPem: generateKeyPair("host").privateKey, username: "demo", port: 0 };
  const server = await startDemoServer({ ...options, authorizedKeyLine: user.publicKeyLine });
  const connection = await connectSource({
    host: server.host,
    port: server.port,
    username: "demo",
    hostKey: server.hostKey,
    credential: { kind: "key", privateKey: user.privateKey },
    policy: everywhere,
  });
  const stop = async () => {
    connection.close();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  };
  return { connection, home, seen: "", stop };
}

const SERVERS = [
  { name: "OpenSSH", start: openSsh, reason: missing },
  {
    name: "the demo server",
    start: demo,
    reason: process.platform === "win32" ? "paths of Windows are not bytes" : null,
  },
];

for (const { name, start, reason } of SERVERS) {
  describe.skipIf(reason)(`restoring to ${name}${reason ? ` (skipped: ${reason})` : ""}`, () => {
    let place: Place;
    let count = 0;
    let root = "";
    let seen = "";

    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place?.stop());
    beforeEach(() => {
      count += 1;
      root = join(place.home, `root${count}`);
      seen = `${place.seen}/root${count}`;
    });

    const entry = (path: string, more: Partial<FileEntry> = {}): FileEntry => ({
      path: bytes(path),
      type: "file",
      size: 0,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: 1_300_000_000_000_000_000n,
      ...more,
    });
    const put = (target: TreeTarget, path: string, content: string, more: Partial<FileEntry> = {}) => {
      const body = (async function* () {
        yield Buffer.from(content);
      })();
      return target.put(entry(path, { size: content.length, ...more }), body);
    };
    const noLeftovers = () => {
      const names = readdirSync(root, { recursive: true }).map(String);
      expect(names.filter((one) => one.includes(".xvault-"))).toEqual([]);
    };

    it("gives back the tree that was pulled", async () => {
      const tree = join(place.home, "origin");
      mkdirSync(tree, { recursive: true });
      plantOddTree(tree);
      const origin = `${place.seen}/origin`;
      for (const transport of place.connection.capabilities.shell ? (["tar", "sftp"] as const) : (["sftp"] as const)) {
        const target = await place.connection.target(`${seen}/${transport}`);
        const stream = place.connection.pull(plan([origin], { transport }), { parseTar: (stream) => parseTar(stream) });
        for await (const { entry: one, body } of stream) expect(await target.put(one, body)).toBe("written");
        await target.finish();
        const restored = join(root, transport, origin);
        expect(look(restored, "x")).toEqual(look(tree, "x"));
        if (transport === "tar") expect(statSync(join(restored, "plain")).nlink).toBe(2);
      }
      noLeftovers();
    });

    it("is where a pull of it finds the same", async () => {
      const tree = join(place.home, "again");
      mkdirSync(tree, { recursive: true });
      plantOddTree(tree);
      makeFifo(join(tree, "fifo"));
      const pulled = await collect(place.connection, plan([`${place.seen}/again`], { transport: "sftp" }));
      expect(pulled.summary).toEqual(look(tree, `${place.seen}/again`.slice(1)));
    });

    it("writes sparse files with their holes, and files larger than its window", async () => {
      const target = await place.connection.target(seen);
      const sparse = [
        { offset: 4096, length: 4 },
        { offset: 1_000_000, length: 3 },
      ];
      const body = (async function* () {
        yield Buffer.from("firs");
        yield Buffer.from("end");
      })();
      await target.put(entry("sparse", { size: 2_000_000, sparse }), body);
      await put(target, "large", "0123456789".repeat(2_000_000));
      await target.finish();
      const expected = Buffer.alloc(2_000_000);
      expected.write("firs", 4096);
      expected.write("end", 1_000_000);
      expect(readFileSync(join(root, "sparse")).equals(expected)).toBe(true);
      expect(statSync(join(root, "sparse")).blocks * 512).toBeLessThan(200_000);
      expect(readFileSync(join(root, "large"), "latin1")).toBe("0123456789".repeat(2_000_000));
    });

    it("refuses every path that leads out, and writes nothing of it", async () => {
      mkdirSync(root);
      for (const path of ["../out", "a/../../out", "/etc/out", "", ".", "..", "a//b", "a/./b", "a/", "nul\0"]) {
        const target = await place.connection.target(seen);
        await expect(put(target, path, "x"), path).rejects.toMatchObject({ code: "ENTRY_PATH_UNSAFE" });
        await target.abort();
      }
      expect(readdirSync(root)).toEqual([]);
      expect(existsSync(join(place.home, "out"))).toBe(false);
    });

    it("never writes through a symbolic link, whether it was there or came along", async () => {
      const outside = join(place.home, `outside${count}`);
      mkdirSync(outside);
      mkdirSync(root);
      symlinkSync(outside, join(root, "there"));
      for (const overwrite of ["never", "always"] as const) {
        const target = await place.connection.target(seen, { overwrite });
        await expect(put(target, "there/file", "x")).rejects.toMatchObject({ code: "ENTRY_THROUGH_SYMLINK" });
        const directory = target.put(entry("there", { type: "dir" }), null);
        await expect(directory).rejects.toMatchObject({ code: "ENTRY_THROUGH_SYMLINK" });
        await target.abort();
        const second = await place.connection.target(`${seen}/${overwrite}`, { overwrite });
        const linkTarget = Buffer.from(outside);
        await second.put(entry("came", { type: "symlink", linkTarget }), null);
        await expect(put(second, "came/file", "x")).rejects.toMatchObject({ code: "ENTRY_THROUGH_SYMLINK" });
        await second.abort();
      }
      expect(readdirSync(outside)).toEqual([]);
    });

    it("replaces a link itself, not what it leads to", async () => {
      mkdirSync(root);
      const victim = join(place.home, `victim${count}`);
      writeFileSync(victim, "untouched");
      symlinkSync(victim, join(root, "name"));
      const target = await place.connection.target(seen, { overwrite: "always" });
      await put(target, "name", "new");
      await target.finish();
      expect(readFileSync(victim, "utf8")).toBe("untouched");
      expect(lstatSync(join(root, "name")).isFile()).toBe(true);
    });

    it("refuses hard links out of the target, through links, and to what is no file", async () => {
      mkdirSync(join(root, "dir"), { recursive: true });
      symlinkSync(place.home, join(root, "up"));
      writeFileSync(join(place.home, "secret"), "s");
      const target = await place.connection.target(seen);
      const link = (to: string) => target.put(entry("hard", { type: "hardlink", linkTarget: bytes(to) }), null);
      for (const to of ["../secret", "/etc/passwd", "", "dir", "none", "up"]) {
        await expect(link(to), to).rejects.toMatchObject({ code: "LINK_OUTSIDE_ROOT" });
      }
      await expect(link("up/secret")).rejects.toMatchObject({ code: "ENTRY_THROUGH_SYMLINK" });
      await target.abort();
      expect(existsSync(join(root, "hard"))).toBe(false);
    });

    it("keeps, or replaces, what is there, as the policy says", async () => {
      mkdirSync(root);
      const policies: [OverwritePolicy, seconds: number, written: boolean][] = [
        ["never", 2_000_000_000, false],
        ["if-newer", 1_000_000_000, false],
        ["if-newer", 2_000_000_000, true],
        ["if-changed", 1_500_000_000, false],
        ["if-changed", 1_400_000_000, true],
        ["always", 1_000_000_000, true],
      ];
      for (const [overwrite, seconds, written] of policies) {
        writeFileSync(join(root, "file"), "old");
        utimesSync(join(root, "file"), 1_500_000_000, 1_500_000_000);
        const target = await place.connection.target(seen, { overwrite });
        const mtimeNs = BigInt(seconds) * 1_000_000_000n;
        expect(await put(target, "file", "new", { mtimeNs })).toBe(written ? "written" : "skipped");
        expect(await put(target, `fresh ${overwrite}${seconds}`, "new")).toBe("written");
        await target.finish();
        expect(readFileSync(join(root, "file"), "utf8")).toBe(written ? "new" : "old");
      }
      noLeftovers();
    });

    it("reports a directory in a file's place and a file in a directory's", async () => {
      mkdirSync(join(root, "dir"), { recursive: true });
      writeFileSync(join(root, "file"), "f");
      const target = await place.connection.target(seen, { overwrite: "always" });
      await expect(put(target, "dir", "x")).rejects.toMatchObject({ code: "ENTRY_CONFLICT" });
      await expect(put(target, "file/below", "x")).rejects.toMatchObject({ code: "ENTRY_CONFLICT" });
      await target.abort();
    });

    it("hands out no rights of the login user: set-id bits of another owner's file are not restored without the owner", async () => {
      const target = await place.connection.target(seen, { owner: false });
      const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
      await put(target, "strange", "#!", { mode: 0o6755, uid: uid + 1, gid: gid + 1 });
      await put(target, "own", "#!", { mode: 0o6755, uid, gid });
      await target.finish();
      expect((statSync(join(root, "strange")).mode & 0o7777).toString(8)).toBe("755");
      expect((statSync(join(root, "own")).mode & 0o7777).toString(8)).toBe("6755");
    });

    it("sets modes and times of directories at the end, and leaves those that were there alone", async () => {
      mkdirSync(join(root, "old"), { recursive: true });
      chmodSync(join(root, "old"), 0o711);
      const target = await place.connection.target(seen);
      expect(await target.put(entry("old", { type: "dir", mode: 0o700 }), null)).toBe("skipped");
      await target.put(entry("new", { type: "dir", mode: 0o550 }), null);
      await put(target, "new/implied/file", "x");
      await target.finish();
      expect((statSync(join(root, "old")).mode & 0o777).toString(8)).toBe("711");
      expect((statSync(join(root, "new")).mode & 0o777).toString(8)).toBe("550");
      expect(statSync(join(root, "new")).mtimeMs).toBe(1_300_000_000_000);
      expect((statSync(join(root, "new/implied")).mode & 0o777).toString(8)).toBe("700");
      chmodSync(join(root, "new"), 0o755);
    });

    it("leaves nothing half written behind when it is given up", async () => {
      const target = await place.connection.target(seen);
      const broken = (async function* () {
        yield Buffer.alloc(1_000_000);
        throw new Error("the archive ends here");
      })();
      await expect(target.put(entry("half", { size: 2_000_000 }), broken)).rejects.toThrow("ends here");
      await target.abort();
      expect(readdirSync(root)).toEqual([]);
    });
  });
}

describe("the demo server", () => {
  it("shows nothing outside its root, and lets nobody else in", async () => {
    const place = await demo();
    try {
      writeFileSync(join(place.home, "inside"), "i");
      symlinkSync("/etc", join(place.home, "escape"));
      expect((await place.connection.browse("/")).entries.map((one) => one.name)).toEqual(["escape", "inside"]);
      await expect(place.connection.browse("/escape")).rejects.toMatchObject({ code: "PATH_DENIED" });
      const { summary } = await collect(place.connection, plan(["/escape/passwd", "/inside"]));
      expect(Object.keys(summary)).toEqual(["inside"]);
      expect(place.connection.capabilities).toMatchObject({ shell: false, transport: "sftp" });
    } finally {
      await place.stop();
    }
  });
});
