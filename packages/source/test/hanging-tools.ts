import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Sshd, startSshd } from "@xvault/test-kit/ssh";
import type { ConnectOptions, SourceConnection } from "../src/index.ts";
import { connectTo, randomContent } from "./trees.ts";

/** The longest silence that a connection to these tools bears, longer than a busy machine keeps a process waiting. Milliseconds. */
export const LIMIT = 1200;
/** Much longer than that. */
export const LONG = 2.5 * LIMIT;
/** Between two things that a slow tool sends. Milliseconds. */
export const STEP = LIMIT / 4;
/** Shell: takes much longer than any silence may. */
export const SLOWLY = `slowly 10 ${STEP}`;

/** For find: the lines run when it lists, and not for anything else that it is called for. */
export const whenListing = (script: string) => `case "$*" in *-maxdepth*|*-mindepth*|--version) ;; *) ${script};; esac`;

/** Shell: as find prints a file, so often, or for ever. */
export function foundAgain(path: string, times?: number): string {
  const time = "1577836800.0000000000";
  const few = times === undefined ? "" : `head -n ${times} |`;
  return `yes "f 1 5 ${time} ${time} 12 644 1 8 0 0 root@root@${path}@" | ${few} tr -d "\\n" | tr @ "\\000"`;
}

const TOOLS = ["find", "tar", "head", "tail", "sha256sum", "sftp-server"] as const;
type Tool = (typeof TOOLS)[number];

/** A server whose tools can be made to do something else, as on a host with a network disk whose server is gone. */
export interface HangingTools {
  sshd: Sshd;
  /** 12 folders of 8 files of some 8,000 bytes. */
  tree: string;
  /** Closed by `mend`. */
  connect(more?: Partial<ConnectOptions>): Promise<SourceConnection>;
  /**
   * Has a tool run these lines of shell first, with its arguments in `$@` and itself as `$real`. `hang` stops the process for good: it ends by no
   * signal but SIGKILL and notices nothing, like one that waits for a dead disk. `noted` only counts it among those that hang. `slowly PIECES MS`
   * hands its input on in so many pieces, some time apart.
   */
  instead(tool: Tool, script: string): void;
  /** The tools that hang, and have hung all along. */
  hanging(): number[];
  /** Gives every tool back, and ends those that hang and the connections. */
  mend(): void;
  stop(): Promise<void>;
}

const HAND_ON = `
const [count, ms] = process.argv.slice(2).map(Number);
const pieces = [];
for await (const piece of process.stdin) pieces.push(piece);
const all = Buffer.concat(pieces);
const size = Math.ceil(all.length / count);
for (let piece = 0; piece < count; piece++) {
  process.stdout.write(all.subarray(piece * size, (piece + 1) * size));
  await new Promise((resolve) => setTimeout(resolve, ms));
}`;

export async function startHangingTools(): Promise<HangingTools> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "xvault-hang-")));
  const pids = join(dir, "pids");
  writeFileSync(pids, "");
  writeFileSync(join(dir, "slowly.mjs"), HAND_ON);
  for (const tool of TOOLS) {
    const real = tool === "sftp-server" ? "/usr/lib/openssh/sftp-server" : `/usr/bin/${tool}`;
    const lines = [
      "#!/bin/sh",
      `real=${real}`,
      `noted() { echo $$ >>${pids}; }`,
      "hang() { noted; kill -STOP $$; }",
      `slowly() { "${process.execPath}" ${dir}/slowly.mjs "$1" "$2"; }`,
      `if test -e ${dir}/${tool}.instead; then . ${dir}/${tool}.instead; fi`,
      'exec "$real" "$@"',
    ];
    writeFileSync(join(dir, tool), `${lines.join("\n")}\n`);
    chmodSync(join(dir, tool), 0o755);
  }
  const sshd = await startSshd({
    dir,
    noSftp: true,
    config: [`SetEnv PATH=${dir}:/usr/bin:/bin HOME=${dir}/login`, `Subsystem sftp ${dir}/sftp-server`],
  });
  const tree = join(sshd.home, "tree");
  for (let folder = 0; folder < 12; folder++) {
    mkdirSync(join(tree, `folder ${folder}`), { recursive: true });
    for (let file = 0; file < 8; file++) {
      writeFileSync(join(tree, `folder ${folder}`, `file ${file}`), randomContent(8000 + file));
    }
  }
  const open: SourceConnection[] = [];
  const hanging = () => readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number).filter(isThere);
  const mend = () => {
    for (const tool of TOOLS) rmSync(join(dir, `${tool}.instead`), { force: true });
    for (const pid of hanging()) process.kill(pid, "SIGKILL");
    writeFileSync(pids, "");
    for (const one of open.splice(0)) one.close();
  };
  return {
    sshd,
    tree,
    connect: async (more = {}) => {
      const connection = await connectTo(sshd, { silence: { list: LIMIT, read: LIMIT }, ...more });
      open.push(connection);
      return connection;
    },
    instead: (tool, script) => writeFileSync(join(dir, `${tool}.instead`), `${script}\n`),
    hanging,
    mend,
    stop: async () => {
      mend();
      await sshd.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Restores one file. */
export async function put(
  target: Awaited<ReturnType<SourceConnection["target"]>>,
  path: string,
  content: Buffer,
): Promise<void> {
  const entry = { type: "file", size: content.length, mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n } as const;
  const body = (async function* () {
    yield content;
  })();
  const sha256 = createHash("sha256").update(content).digest("hex");
  await target.put({ ...entry, path: Buffer.from(path) }, body, sha256);
}
