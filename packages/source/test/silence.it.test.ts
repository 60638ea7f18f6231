import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseTar } from "@xvault/archive";
import { sshdAvailable } from "@xvault/test-kit/ssh";
import ssh2 from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type ConnectOptions,
  connectSource,
  generateKeyPair,
  hostKeyFromBlob,
  keepConnected,
  type SourceConnection,
} from "../src/index.ts";
import { foundAgain, type HangingTools, LIMIT, put, startHangingTools, whenListing } from "./hanging-tools.ts";
import { collect, everywhere, look, plan } from "./trees.ts";

const missing = sshdAvailable();
const MIB = 1024 * 1024;

const LISTS = /^The command that lists the source's files \(find\) sent nothing for \d+ seconds? after '\/.*'\.$/;
const READS = /^The command that reads the source's files \(tar\) sent nothing for \d+ seconds? after '\/.*'\.$/;

const stall = (message: unknown, more: object = {}) => ({
  code: "CONNECTION_LOST",
  message: expect.stringMatching(message as RegExp),
  fix: expect.stringMatching(/mount that hangs.*excludes and one_file_system/),
  data: { silent_seconds: expect.any(Number) },
  ...more,
});

describe.skipIf(missing)(`a source that hangs${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let tools: HangingTools;
  let tree: string;

  beforeAll(async () => {
    tools = await startHangingTools();
    tree = tools.tree;
  });
  afterEach(() => tools.mend());
  afterAll(() => tools?.stop());

  const connect = (more?: Partial<ConnectOptions>) => tools.connect(more);
  const byTar = () => plan([tree], { transport: "tar" });
  const whole = () => look(tree, tree.slice(1));

  const scanned = async (connection: SourceConnection) => {
    for await (const _ of connection.scan(byTar()));
  };

  describe("is given up, and the link is not", () => {
    for (const [what, ask] of [
      ["pull", (connection: SourceConnection) => collect(connection, byTar())],
      ["scan", (connection: SourceConnection) => scanned(connection)],
      ["measure", (connection: SourceConnection) => connection.measure(byTar())],
    ] as const) {
      it(`when find hangs during a ${what}`, async () => {
        tools.instead("find", whenListing('"$real" "$@" | head -c 4000; hang'));
        const connection = await connect();
        await expect(ask(connection)).rejects.toMatchObject(stall(LISTS, { retry: true }));
        // Nothing waited for its end.
        expect(tools.hanging().length).toBe(1);
        expect((await connection.browse(tree)).entries.length).toBe(12);
      });
    }

    it("when find hangs at a path of the source itself", async () => {
      tools.instead("find", 'case "$*" in *-maxdepth*) hang;; esac');
      const connection = await connect({ silence: { answer: LIMIT } });
      await expect(collect(connection, byTar())).rejects.toMatchObject(
        stall(/looks the source's paths up.*sent nothing/),
      );
    });

    it("when find hangs while it looks for what excludes a directory", async () => {
      tools.instead("find", 'case "$*" in *-mindepth*) hang;; esac');
      const connection = await connect();
      const marked = plan([tree], { transport: "tar", excludeIfPresent: [".nobackup"] });
      await expect(collect(connection, marked)).rejects.toMatchObject(stall(/exclude_if_present names \(find\)/));
    });

    it("when tar hangs in the middle of a file", async () => {
      tools.instead("tar", 'case "$*" in *--create*) "$real" "$@" | head -c 100000; hang;; esac');
      const connection = await connect();
      await expect(collect(connection, byTar())).rejects.toMatchObject(stall(READS));
      expect(tools.hanging().length).toBe(1);
      expect((await connection.browse(tree)).entries.length).toBe(12);
    });

    it("when tar takes no more names while find goes on and on", async () => {
      tools.instead("tar", 'case "$*" in *--create*) hang;; esac');
      tools.instead("find", whenListing(`"$real" "$@"; ${foundAgain(join(tree, "again and again"))}; exit`));
      const connection = await connect();
      await expect(collect(connection, byTar())).rejects.toMatchObject(
        stall(/\(tar\) sent nothing for \d+ seconds?\.$/),
      );
    });

    it("when it hangs under a bandwidth limit", async () => {
      tools.instead("tar", 'case "$*" in *--create*) "$real" "$@" | head -c 100000; hang;; esac');
      const connection = await connect({ bandwidth: { bytesPerSecond: 50 * MIB, windows: [] } });
      await expect(collect(connection, byTar())).rejects.toMatchObject(stall(READS));
    });

    it("when sha256sum hangs at the end of a restore", async () => {
      tools.instead("sha256sum", HANGS_ON_FILES);
      const target = await (await connect()).target(join(tools.sshd.home, "restored"), { verify: true });
      for (let file = 0; file < 3; file++) await put(target, `f${file}`, Buffer.from(`content ${file}`));
      await expect(target.finish()).rejects.toMatchObject(stall(/reads back what was restored \(sha256sum\)/));
      await target.abort();
    });

    it("when sha256sum hangs while a restore goes on", async () => {
      tools.instead("sha256sum", HANGS_ON_FILES);
      const target = await (await connect()).target(join(tools.sshd.home, "restoring"), { verify: true });
      const restore = async () => {
        for (let file = 0; ; file++) await put(target, `f${file}`, Buffer.from(`content ${file}`));
      };
      await expect(restore()).rejects.toMatchObject(stall(/reads back what was restored \(sha256sum\)/));
      await target.abort();
    });

    it("when the SFTP server hangs", async () => {
      tools.instead("sftp-server", "noted");
      const connection = await connect({ silence: { answer: LIMIT } });
      for (const pid of tools.hanging()) process.kill(pid, "SIGSTOP");
      await expect(collect(connection, plan([tree], { transport: "sftp" }))).rejects.toMatchObject(
        stall(/^The server's SFTP service sent nothing for/),
      );
    });

    it("and what tar said of files that came whole is told", async () => {
      const name = join(tree, "folder 0", "file 0");
      const said = `tar: ${name.slice(1)}: file changed as we read it`;
      tools.instead("tar", `case "$*" in *--create*) "$real" "$@" | head -c 900000; echo "${said}" >&2; hang;; esac`);
      const problems: string[] = [];
      const pull = async () => {
        const onProblem = ({ kind, path }: { kind: string; path: Buffer }) =>
          problems.push(`${kind} ${path.toString()}`);
        for await (const { body } of (await connect()).pull(byTar(), { parseTar, onProblem }))
          for await (const _ of body ?? []);
      };
      await expect(pull()).rejects.toMatchObject(stall(READS));
      expect(problems).toEqual([`changed ${name}`]);
    });
  });

  it("is cancelled at once, though the server does not confirm it", async () => {
    tools.instead("find", whenListing("hang"));
    const connection = await connect({ silence: {} });
    const stop = new AbortController();
    const pull = collect(connection, byTar(), stop.signal);
    while (tools.hanging().length === 0) await sleep(20);
    stop.abort();
    await expect(pull).rejects.toMatchObject({ code: "CANCELLED" });
    expect(tools.hanging().length).toBe(1);
  });

  it("is given up when it does not even open a channel", async () => {
    const key = generateKeyPair("host");
    const server = new ssh2.Server({ hostKeys: [key.privateKey] }, (client) => {
      client.on("error", () => {});
      client.on("authentication", (attempt) => attempt.accept());
      client.on("session", (accept) =>
        accept()
          .on("exec", () => {})
          .on("subsystem", () => {}),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const connecting = connectSource({
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
      username: "u",
      policy: everywhere,
      hostKey: hostKeyFromBlob(Buffer.from(key.publicKeyLine.split(" ")[1] ?? "", "base64")),
      credential: { kind: "password", password: "p" },
      silence: { answer: LIMIT },
    });
    await expect(connecting).rejects.toMatchObject({ code: "REMOTE_FAILED" });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  describe("and a connection that is kept", () => {
    async function kept(onWait: () => void) {
      const notes: string[] = [];
      const connection = await keepConnected(() => connect(), {
        onNote: (note) => notes.push(note),
        wait: async () => onWait(),
      });
      return { connection, notes };
    }

    it("goes on when the source hangs no more", async () => {
      tools.instead("tar", 'case "$*" in *--create*) "$real" "$@" | head -c 300000; hang;; esac');
      const { connection, notes } = await kept(() => tools.mend());
      const pulled = await collect(connection, byTar());
      expect(pulled.summary).toEqual(whole());
      expect(pulled.problems).toEqual([]);
      expect(new Set(pulled.order).size).toBe(pulled.order.length);
      expect(notes).toEqual([
        expect.stringMatching(/\(tar\) sent nothing for .* Connecting again, try 1 of 10\.$/),
        "Connected again.",
        expect.stringMatching(/^Going on at \//),
        ...(notes.length > 3 ? [expect.stringMatching(/^Going on at \//)] : []),
      ]);
    });

    it("gives up for good when it hangs a third time, whatever came in between", async () => {
      // A little more each time.
      tools.instead("tar", 'case "$*" in *--create*) "$real" "$@" | head -c 200000; hang;; esac');
      const { connection, notes } = await kept(() => {});
      const message = /\(tar\) sent nothing for .* Connecting again has not helped, 2 times\.$/;
      await expect(collect(connection, byTar())).rejects.toMatchObject(stall(message, { retry: false }));
      expect(notes.filter((note) => note === "Connected again.").length).toBe(2);
      expect(tools.hanging().length).toBe(3);
    });

    it("does not connect again for a listing beside a pull", async () => {
      tools.instead("find", whenListing("hang"));
      const { connection, notes } = await kept(() => {});
      await expect(connection.measure(byTar())).rejects.toMatchObject(stall(/\(find\) sent nothing/));
      await expect(scanned(connection)).rejects.toMatchObject(stall(/\(find\) sent nothing/));
      expect(notes).toEqual([]);
    });
  });
});

const HANGS_ON_FILES = 'case "$*" in -z) ;; *) hang;; esac';
