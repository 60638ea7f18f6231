import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseTar } from "@xvault/archive";
import { bodyLength, type FileEntry } from "@xvault/kernel";
import { sshdAvailable, startSshd, type Sshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceConnection, SourceEvent } from "../src/index.ts";
import { connectTo, makeFifo, plan } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing)(`what real trees hold${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let connection: SourceConnection;
  const events: SourceEvent[] = [];

  beforeAll(async () => {
    sshd = await startSshd();
    connection = await connectTo(sshd, { onEvent: (event) => events.push(event) });
  });
  afterAll(async () => {
    connection?.close();
    await sshd?.stop();
  });

  interface Taken {
    entries: Map<string, { entry: FileEntry; bytes: number; body: Buffer[] }>;
    problems: string[];
  }

  /** Pulls, and calls `meanwhile` when the first content has come. Every body must be as long as its entry says. */
  async function take(paths: string[], transport: "tar" | "sftp", meanwhile: () => void = () => {}): Promise<Taken> {
    const taken: Taken = { entries: new Map(), problems: [] };
    let done = false;
    const stream = connection.pull(plan(paths, { transport }), {
      parseTar: (bytes) => parseTar(bytes),
      onProblem: ({ kind, path }) => taken.problems.push(`${kind} ${path.toString("latin1")}`),
    });
    for await (const { entry, body } of stream) {
      const one = { entry, bytes: 0, body: [] as Buffer[] };
      for await (const piece of body ?? []) {
        if (!done) meanwhile();
        done = true;
        one.bytes += piece.length;
        if (one.bytes < 1_000_000) one.body.push(piece);
      }
      expect(one.bytes).toBe(bodyLength(entry));
      taken.entries.set(`/${entry.path.toString("latin1")}`, one);
    }
    return taken;
  }

  for (const transport of ["tar", "sftp"] as const) {
    describe(transport, () => {
      it("a directory of 20,000 entries", async () => {
        const flat = join(sshd.home, "flat");
        if (!existsSync(flat)) {
          mkdirSync(flat);
          for (let file = 0; file < 20_000; file++)
            writeFileSync(join(flat, `a rather long name of a file ${file}`), "");
        }
        const names = new Set<string>();
        for await (const item of connection.scan(plan([flat], { transport }))) names.add(item.path.toString());
        expect(names.size).toBe(20_001);
        const { entries, problems } = await take([flat], transport);
        expect(entries.size).toBe(20_001);
        expect(problems).toEqual([]);
      }, 120_000);

      it("FIFOs, sockets and devices: left out and counted", async () => {
        const odd = join(sshd.home, `odd-${transport}`);
        mkdirSync(odd);
        makeFifo(join(odd, "fifo"));
        writeFileSync(join(odd, "plain"), "plain");
        const server = createServer();
        // A socket's path is short.
        process.chdir(odd);
        await new Promise<void>((resolve) => server.listen("socket", resolve));
        process.chdir(sshd.home);
        let specials = 2;
        if (process.getuid?.() === 0) {
          execFileSync("mknod", [join(odd, "null"), "c", "1", "3"]);
          specials += 1;
        }
        events.length = 0;
        const { entries, problems } = await take([odd], transport);
        server.close();
        expect([...entries.keys()].sort()).toEqual([odd, join(odd, "plain")]);
        expect(problems).toEqual([]);
        expect(events.filter(({ type }) => type === "skipped-specials")).toEqual([
          { type: "skipped-specials", count: specials },
        ]);
      });

      it("a sparse file keeps its holes by tar, and is whole by SFTP", async () => {
        const sparse = join(sshd.home, `sparse-${transport}`);
        writeFileSync(sparse, "start");
        truncateSync(sparse, transport === "tar" ? 100_000_000_000 : 100_000_000);
        appendFileSync(sparse, "end");
        const { entries, problems } = await take([sparse], transport);
        const { entry, bytes } = entries.get(sparse) as { entry: FileEntry; bytes: number };
        expect(entry.size).toBe(statSync(sparse).size);
        expect(problems).toEqual([]);
        if (transport === "tar") expect(bytes).toBeLessThan(1_000_000);
        else expect(bytes).toBe(100_000_003);
        rmSync(sparse);
      }, 120_000);

      it("a note of a file so large that its holes would count, over SFTP", async () => {
        const huge = join(sshd.home, `huge-${transport}`);
        writeFileSync(huge, "start");
        truncateSync(huge, 100_000_000_000);
        events.length = 0;
        for await (const { entry } of connection.pull(plan([huge], { transport }), { parseTar })) {
          expect(entry.size).toBe(100_000_000_000);
          break;
        }
        const notes = events.filter(({ type }) => type === "note");
        expect(notes.length).toBe(transport === "sftp" ? 1 : 0);
        rmSync(huge);
      });

      it("files whose size is not what they hold", async () => {
        // Of size 0 with content, and of 4,096 with less.
        const lying = ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"].filter((path) =>
          existsSync(path),
        );
        const after = join(sshd.home, "after");
        writeFileSync(after, "after");
        const { entries, problems } = await take([...lying, after], transport);
        expect(Buffer.concat(entries.get(after)?.body ?? []).toString()).toBe("after");
        for (const path of lying) {
          const { entry, body } = entries.get(path) ?? {};
          if (!entry || entry.size === 0) continue;
          if (entry.sparse) {
            // tar takes what occupies no block for a hole.
            expect(problems).toContain(`unreadable ${path}`);
            continue;
          }
          const content = readFileSync(path);
          const got = Buffer.concat(body ?? []);
          expect(got.subarray(0, content.length)).toEqual(content);
          // Either it is as long as what was there, or it was filled up and said to have changed.
          if (got.length > content.length) expect(problems).toContain(`changed ${path}`);
        }
      });

      const large = 64_000_000;
      for (const [what, change, told] of [
        ["grows", (path: string) => appendFileSync(path, "more"), true],
        ["shrinks", (path: string) => truncateSync(path, 20_000_000), true],
        ["is rewritten", (path: string) => writeFileSync(path, Buffer.alloc(large, "new")), true],
        ["is removed", (path: string) => unlinkSync(path), false],
      ] as const) {
        it(`a file that ${what} while it is read`, async () => {
          const dir = join(sshd.home, `moving-${transport}-${what}`);
          mkdirSync(dir);
          const file = join(dir, "a");
          writeFileSync(file, Buffer.alloc(large, "old"));
          // Whole seconds are all that SFTP tells.
          execFileSync("touch", ["-d", "2020-01-01", file]);
          writeFileSync(join(dir, "b"), "behind");
          const { entries, problems } = await take([file, join(dir, "b")], transport, () => change(file));
          expect(entries.get(file)?.entry.size).toBe(large);
          expect(Buffer.concat(entries.get(join(dir, "b"))?.body ?? []).toString()).toBe("behind");
          if (told) expect(problems).toEqual([`changed ${file}`]);
          // What was open is whole; by its change time tar cannot tell that from a change.
          else expect(problems.filter((one) => one !== `changed ${file}`)).toEqual([]);
          rmSync(dir, { recursive: true });
        });
      }

      for (const [what, change] of [
        ["vanishes", () => {}],
        ["becomes a directory", (path: string) => mkdirSync(path)],
        ["becomes a symbolic link", (path: string) => symlinkSync("c", path)],
        ["becomes another file", (path: string) => writeFileSync(path, "another, longer one")],
      ] as const) {
        it(`a file that ${what} before it is read`, async () => {
          const dir = join(sshd.home, `turning-${transport}-${what}`);
          mkdirSync(dir);
          const [first, victim, last] = [join(dir, "a"), join(dir, "b"), join(dir, "c")];
          writeFileSync(first, Buffer.alloc(large, "first"));
          writeFileSync(victim, "what was listed");
          writeFileSync(last, "last");
          const { entries, problems } = await take([first, victim, last], transport, () => {
            unlinkSync(victim);
            change(victim);
          });
          expect(entries.get(first)?.bytes).toBe(large);
          expect(Buffer.concat(entries.get(last)?.body ?? []).toString()).toBe("last");
          const found = entries.get(victim);
          const content = Buffer.concat(found?.body ?? []).toString();
          // Opened early enough it is still what was listed; else it is what stands there now, or told of.
          if (content === "what was listed") expect(problems).toEqual([]);
          else if (what === "vanishes") expect(problems).toEqual([`vanished ${victim}`]);
          else if (what === "becomes another file") expect(content).toBe("another, longer one");
          else if (found)
            expect(found.entry.type === "file" ? content : found.entry.type).toMatch(/^(dir|symlink|last)$/);
          else expect(problems.length).toBe(1);
          rmSync(dir, { recursive: true });
        });
      }
    });
  }
});
