import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, readlinkSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { chmodSync, linkSync, lutimesSync, truncateSync, utimesSync } from "node:fs";
import { parseTar } from "@xvault/archive";
import type { PathProblem } from "@xvault/kernel";
import type { Sshd } from "@xvault/test-kit/ssh";
import { type ConnectOptions, type PullPlan, type SourceConnection, connectSource } from "../src/index.ts";

export const everywhere = { allow: () => true };

export function optionsFor(sshd: Sshd, more: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    host: sshd.host,
    port: sshd.port,
    username: sshd.username,
    hostKey: sshd.hostKey,
    credential: { kind: "key", privateKey: sshd.privateKey },
    policy: everywhere,
    ...more,
  };
}

export function connectTo(sshd: Sshd, more: Partial<ConnectOptions> = {}): Promise<SourceConnection> {
  return connectSource(optionsFor(sshd, more));
}

export const bytes = (text: string) => Buffer.from(text, "latin1");

/** A tree of everything that names, modes and links can be. `dir` must exist. */
export function plantOddTree(dir: string): void {
  const at = (name: string) => Buffer.concat([Buffer.from(`${dir}/`), bytes(name)]);
  mkdirSync(at("deep/er/est"), { recursive: true });
  mkdirSync(at("empty directory"));
  writeFileSync(at("plain"), "plain\n");
  writeFileSync(at("empty"), "");
  writeFileSync(at("new\nline"), "n");
  writeFileSync(at("-rf *; $(touch pwned) `id` 'q' \"d\" \\n\\101"), "quoted");
  writeFileSync(at("\xff\xfe not UTF-8"), "bytes");
  writeFileSync(at("\u00c3\u00bc UTF-8"), "ü");
  writeFileSync(at(" leading and trailing "), "spaces");
  writeFileSync(at(`deep/er/est/${"l".repeat(250)}`), "long name");
  writeFileSync(at("deep/one piece"), Buffer.alloc(255 * 1024, "a"));
  writeFileSync(at("deep/large"), randomContent(1_234_567));
  writeFileSync(at("deep/old"), "old");
  utimesSync(at("deep/old"), 1_000_000_000, 1_000_000_000);
  writeFileSync(at("deep/set-id"), "#!/bin/sh\n");
  chmodSync(at("deep/set-id"), 0o6755);
  writeFileSync(at("deep/read only"), "r");
  chmodSync(at("deep/read only"), 0o400);
  mkdirSync(at("sticky"));
  chmodSync(at("sticky"), 0o1777);
  symlinkSync("plain", at("link"));
  symlinkSync("/nowhere/at all", at("dangling"));
  symlinkSync(bytes("\xff target"), at("deep/odd link"));
  lutimesSync(at("link"), 1_100_000_000, 1_100_000_000);
  linkSync(at("plain"), at("deep/hard"));
  writeFileSync(at("holes"), "");
  truncateSync(at("holes"), 700_000);
  utimesSync(at("deep/er"), 1_200_000_000, 1_200_000_000);
}

/** The same content every time, hard to compress. */
export function randomContent(size: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  for (let at = 0, seed = 1; at < size; at++) {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    out[at] = seed >> 16;
  }
  return out;
}

/** What stands for a thing in a comparison. */
export type Summary = Record<string, string>;

const digest = (data: Buffer) => createHash("sha256").update(data).digest("hex").slice(0, 12);

/** A tree on this machine, as `collect` sees one. Times in seconds; hard links as files of their own. */
export function look(dir: string, prefix: string): Summary {
  const found: Summary = {};
  const visit = (path: Buffer, name: string) => {
    const stat = lstatSync(path);
    const mode = (stat.mode & 0o7777).toString(8);
    const mtime = Math.floor(stat.mtimeMs / 1000);
    if (stat.isSymbolicLink()) {
      found[name] = `symlink ${readlinkSync(path, { encoding: "buffer" }).toString("latin1")}`;
    } else if (stat.isDirectory()) {
      found[name] = `dir ${mode} ${mtime}`;
      for (const child of readdirSync(path, { encoding: "buffer" })) {
        visit(Buffer.concat([path, Buffer.from("/"), child]), `${name}/${child.toString("latin1")}`);
      }
    } else if (stat.isFile()) {
      found[name] = `file ${mode} ${mtime} ${stat.size} ${digest(readFileSync(path))}`;
    }
  };
  visit(Buffer.from(dir), prefix);
  return found;
}

export interface Pulled {
  summary: Summary;
  order: string[];
  hardlinks: string[];
  problems: (PathProblem & { text: string })[];
}

export function plan(paths: string[], more: Partial<PullPlan> = {}): PullPlan {
  return { paths, excludes: [], oneFileSystem: false, ...more };
}

/** Pulls a plan and sums it up. */
export async function collect(
  connection: SourceConnection,
  wanted: PullPlan,
  signal?: AbortSignal,
  onEntry: (count: number) => void = () => {},
): Promise<Pulled> {
  const pulled: Pulled = { summary: {}, order: [], hardlinks: [], problems: [] };
  const stream = connection.pull(wanted, {
    parseTar: (stream) => parseTar(stream),
    onProblem: (problem) => pulled.problems.push({ ...problem, text: problem.path.toString("latin1") }),
    signal,
  });
  for await (const { entry, body } of stream) {
    const name = entry.path.toString("latin1");
    const seconds = entry.mtimeNs / 1_000_000_000n;
    pulled.order.push(name);
    if (entry.type === "symlink") pulled.summary[name] = `symlink ${entry.linkTarget?.toString("latin1")}`;
    else if (entry.type === "dir") pulled.summary[name] = `dir ${entry.mode.toString(8)} ${seconds}`;
    else if (entry.type === "hardlink") {
      pulled.hardlinks.push(name);
      pulled.summary[name] = pulled.summary[entry.linkTarget?.toString("latin1") ?? ""] ?? "nothing";
    } else {
      const content = Buffer.alloc(entry.size);
      let run = 0;
      let within = 0;
      const runs = entry.sparse ?? [{ offset: 0, length: entry.size }];
      for await (const piece of body ?? []) {
        for (let from = 0; from < piece.length;) {
          while (within === runs[run]?.length) {
            run += 1;
            within = 0;
          }
          const { offset, length } = runs[run] ?? { offset: 0, length: 0 };
          if (length === 0) throw new Error(`${name} has more content than announced`);
          const take = Math.min(piece.length - from, length - within);
          piece.copy(content, offset + within, from, from + take);
          from += take;
          within += take;
        }
      }
      const total = runs.reduce((sum, one) => sum + one.length, 0);
      const got = runs.slice(0, run).reduce((sum, one) => sum + one.length, 0) + within;
      if (got !== total) throw new Error(`${name} has ${got} bytes of ${total}`);
      pulled.summary[name] = `file ${entry.mode.toString(8)} ${seconds} ${entry.size} ${digest(content)}`;
    }
    onEntry(pulled.order.length);
  }
  return pulled;
}

export function makeFifo(path: string): void {
  execFileSync("mkfifo", [path]);
}
