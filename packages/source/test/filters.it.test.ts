import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sshdAvailable, startSshd, type Sshd, unprivilegedSshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PullPlan, SourceConnection } from "../src/index.ts";
import { bytes, collect, connectTo, plan } from "./trees.ts";

const missing = sshdAvailable();
const SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55";

describe.skipIf(missing)(`filters${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let connection: SourceConnection;

  beforeAll(async () => {
    sshd = await startSshd();
    connection = await connectTo(sshd);
  });
  afterAll(async () => {
    connection?.close();
    await sshd?.stop();
  });

  /** What a plan brings, relative to `base`: the same by both transports, from listing and pull. */
  async function taken(base: string, paths: string[], filter: Partial<PullPlan>): Promise<string[]> {
    const answers: string[][] = [];
    for (const transport of ["tar", "sftp"] as const) {
      const wanted = plan(paths, { ...filter, transport });
      const listed: string[] = [];
      for await (const item of connection.scan(wanted)) listed.push(`/${item.path.toString("latin1")}`);
      const { order, problems } = await collect(connection, wanted);
      expect(problems).toEqual([]);
      answers.push(
        listed,
        order.map((name) => `/${name}`),
      );
    }
    const [first = [], ...others] = answers.map((names) => names.map((name) => name.slice(base.length + 1)).sort());
    for (const other of others) expect(other).toEqual(first);
    return first;
  }

  it("takes a directory that holds a marker as an empty one", async () => {
    const base = join(sshd.home, "marked");
    const file = (name: string, content: string | Buffer = "x") => {
      const path = Buffer.concat([Buffer.from(`${base}/`), bytes(name)]);
      mkdirSync(path.subarray(0, path.lastIndexOf("/")), { recursive: true });
      writeFileSync(path, content);
    };
    file("plain/file");
    file("plain/.nobackup.not");
    file("no/.nobackup");
    file("no/deep/er/file");
    file("no thing\n\xff/.nobackup");
    file("no thing\n\xff/x");
    mkdirSync(join(base, "by a directory/.nobackup"), { recursive: true });
    file("by a directory/x");
    symlinkSync("/nowhere", join(base, "plain/to"));
    file("cache/CACHEDIR.TAG", `${SIGNATURE}\n# more`);
    file("cache/x");
    file("cache/below/x");
    file("exact/CACHEDIR.TAG", SIGNATURE);
    file("exact/x");
    file("no cache/CACHEDIR.TAG", `x${SIGNATURE}`);
    file("short/CACHEDIR.TAG", SIGNATURE.slice(0, -1));
    file("nul/CACHEDIR.TAG", Buffer.alloc(100));
    mkdirSync(join(base, "tag is a directory/CACHEDIR.TAG"), { recursive: true });
    file("star/a*[b]\\");
    file("star/x");
    file("no star/axb");
    file("no star/ab");
    file("quote/$(touch pwned)'\"`");
    file("quote/x");
    file("marked root/.nobackup");
    file("marked root/x");
    file("no/inner/x");
    const found = await taken(base, [base, join(base, "marked root"), join(base, "no/inner")], {
      excludeIfPresent: [".nobackup", "CACHEDIR.TAG", "a*[b]\\", "$(touch pwned)'\"`"],
      excludes: ["to", ".nobackup"],
    });
    expect(found).toEqual(
      [
        "",
        "plain",
        "plain/file",
        "plain/.nobackup.not",
        "no",
        "no/inner",
        "no/inner/x",
        "no thing\n\xff",
        "by a directory",
        "cache",
        "exact",
        "no cache",
        "no cache/CACHEDIR.TAG",
        "short",
        "short/CACHEDIR.TAG",
        "nul",
        "nul/CACHEDIR.TAG",
        "tag is a directory",
        "tag is a directory/CACHEDIR.TAG",
        "star",
        "no star",
        "no star/axb",
        "no star/ab",
        "quote",
        "marked root",
      ].sort(),
    );
  });

  it("limits files by size and age, and nothing else", async () => {
    const base = join(sshd.home, "limited");
    mkdirSync(join(base, "directory"), { recursive: true });
    symlinkSync("directory", join(base, "link"));
    const now = BigInt(Math.floor(Date.now() / 1000));
    const file = (name: string, size: number, age: number) => {
      writeFileSync(join(base, name), "");
      truncateSync(join(base, name), size);
      utimesSync(join(base, name), Number(now) - age + 0.9, Number(now) - age + 0.9);
    };
    for (const size of [0, 99, 100, 200, 201, 5_000_000_000]) file(`s${size}`, size, 50);
    for (const age of [-1000, 9, 10, 11, 59, 60, 61, 1_000_000]) file(`t${age}`, 150, age);
    const agesFromNs = now * 1_000_000_000n + 300_000_000n;
    const rest = ["", "directory", "link"];
    const sizes = await taken(base, [base], { minFileBytes: 100, maxFileBytes: 200, excludes: ["t*"] });
    expect(sizes).toEqual([...rest, "s100", "s200"].sort());
    const ages = { agesFromNs, excludes: ["s*"] };
    const both = await taken(base, [base], { ...ages, newerThanSeconds: 60, olderThanSeconds: 10 });
    expect(both).toEqual([...rest, "t10", "t11", "t59", "t60"].sort());
    const newer = await taken(base, [base], { ...ages, newerThanSeconds: 10 });
    expect(newer).toEqual([...rest, "t-1000", "t9", "t10"].sort());
    // Without a moment the source's clock at the connecting counts.
    const fromClock = await taken(base, [base], { excludes: ["s*"], olderThanSeconds: 500_000 });
    expect(fromClock).toEqual([...rest, "t1000000"].sort());
  });

  it("matches names byte by byte", async () => {
    const base = join(sshd.home, "bytes");
    mkdirSync(base);
    for (const name of ["\xff", "\xfe", "\xc3\xbc", "\xc3\xa0", "a", "x\xffy", "x\xc3\xbcy"]) {
      writeFileSync(Buffer.concat([Buffer.from(`${base}/`), bytes(name)]), "");
    }
    // '?' is one byte, as for git; a letter of two bytes is two.
    expect(await taken(base, [base], { excludes: ["?"] })).toEqual([
      "",
      "x\xc3\xbcy",
      "x\xffy",
      "\xc3\xa0",
      "\xc3\xbc",
    ]);
    expect(await taken(base, [base], { excludes: ["ü", "x??y", "à"] })).toEqual(["", "a", "x\xffy", "\xfe", "\xff"]);
  });

  it("does not descend into what is left out, and takes nothing back from there", async () => {
    const base = join(sshd.home, "negated");
    for (const name of ["out/keep", "out/other", "half/keep", "half/other", "half/d/keep"]) {
      mkdirSync(join(base, name, ".."), { recursive: true });
      writeFileSync(join(base, name), "");
    }
    const found = await taken(base, [base], { excludes: ["out", "!out/keep", "/half/*", "!/half/keep", "!/half/d/"] });
    expect(found).toEqual(["", "half", "half/d", "half/d/keep", "half/keep"]);
  });

  const noMount = process.getuid?.() === 0 ? null : "mounting takes root";
  it.skipIf(noMount)(`stays on one file system${noMount ? ` (skipped: ${noMount})` : ""}`, async () => {
    const base = join(sshd.home, "mounted");
    for (const name of ["memory", "bound", "kernel", "plain"]) mkdirSync(join(base, name), { recursive: true });
    writeFileSync(join(base, "plain/x"), "");
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(base, "memory")]);
    execFileSync("mount", ["--bind", join(base, "plain"), join(base, "bound")]);
    execFileSync("mount", ["--bind", "/proc/sys/kernel/random", join(base, "kernel")]);
    try {
      mkdirSync(join(base, "memory/deep"));
      writeFileSync(join(base, "memory/deep/x"), "");
      const mounts = ["", "bound", "bound/x", "kernel", "memory", "plain", "plain/x"];
      expect(await taken(base, [base], { oneFileSystem: true })).toEqual(mounts);
      const within = await taken(base, [base, join(base, "memory")], { oneFileSystem: true });
      expect(within).toEqual([...mounts, "memory/deep", "memory/deep/x"].sort());
      const all = await taken(base, [base], { oneFileSystem: false, excludes: ["kernel"] });
      expect(all).toEqual(within.filter((name) => name !== "kernel"));
    } finally {
      for (const name of ["memory", "bound", "kernel"]) execFileSync("umount", ["--lazy", join(base, name)]);
    }
  });
});

const held = unprivilegedSshdAvailable();

describe.skipIf(held)(`filters and what may not be read${held ? ` (skipped: ${held})` : ""}`, () => {
  it("tell of no problem below a marker, and of each elsewhere", async () => {
    const sshd = await startSshd({ unprivileged: true });
    const connection = await connectTo(sshd);
    const base = join(sshd.home, "tree");
    for (const name of ["marked/shut", "open/shut"]) mkdirSync(join(base, name), { recursive: true });
    writeFileSync(join(base, "marked/.nobackup"), "");
    for (const name of ["marked/shut", "open/shut"]) chmodSync(join(base, name), 0);
    try {
      for (const transport of ["tar", "sftp"] as const) {
        const wanted = plan([base], { transport, excludeIfPresent: [".nobackup"] });
        const { order, problems } = await collect(connection, wanted);
        expect(problems.map(({ text, kind }) => `${kind} ${text}`)).toEqual([`denied ${join(base, "open/shut")}`]);
        expect(order).not.toContain(join(base, "marked/shut").slice(1));
      }
    } finally {
      for (const name of ["marked/shut", "open/shut"]) chmodSync(join(base, name), 0o755);
      connection.close();
      await sshd.stop();
    }
  });
});
