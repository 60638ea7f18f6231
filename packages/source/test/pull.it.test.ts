import { appendFileSync, chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sshdAvailable, startSshd, type Sshd, unprivilegedSshdAvailable } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceConnection } from "../src/index.ts";
import { collect, connectTo, look, makeFifo, plan, plantOddTree } from "./trees.ts";

const missing = sshdAvailable();

describe.skipIf(missing)(`pulling from OpenSSH${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let sshd: Sshd;
  let connection: SourceConnection;
  let tree: string;

  beforeAll(async () => {
    sshd = await startSshd();
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    plantOddTree(tree);
    connection = await connectTo(sshd);
  });
  afterAll(async () => {
    connection?.close();
    await sshd?.stop();
  });

  it("finds shell, tar, find and SFTP", () => {
    expect(connection.capabilities).toEqual({ shell: true, gnuTar: true, gnuFind: true, sftp: true, transport: "tar" });
  });

  for (const transport of ["tar", "sftp"] as const) {
    describe(transport, () => {
      it("brings the tree as it stands, parents first", async () => {
        const pulled = await collect(connection, plan([tree], { transport }));
        expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
        expect(pulled.problems).toEqual([]);
        for (const [index, name] of pulled.order.entries()) {
          const parent = name.slice(0, name.lastIndexOf("/"));
          if (name !== tree.slice(1)) expect(pulled.order.indexOf(parent)).toBeLessThan(index);
        }
        expect(pulled.hardlinks.length).toBe(transport === "tar" ? 1 : 0);
      });

      it("measures and scans the same tree without opening it", async () => {
        const wanted = plan([tree], { transport });
        const expected = Object.values(look(tree, "x"));
        const sum = await connection.measure(wanted);
        expect(sum.files).toBe(expected.filter((one) => one.startsWith("file")).length);
        expect(sum.dirs).toBe(expected.filter((one) => one.startsWith("dir")).length);
        expect(sum.symlinks).toBe(3);
        const names = [];
        for await (const item of connection.scan(wanted)) names.push(item.path.toString("latin1"));
        expect(names.sort()).toEqual(Object.keys(look(tree, tree.slice(1))).sort());
      });

      it("leaves out what the patterns exclude, below each path", async () => {
        const excludes = ["/deep/er", "*.none", "empty*", "!empty directory", "LINK"];
        const { summary } = await collect(connection, plan([tree], { transport, excludes }));
        const expected = Object.fromEntries(
          Object.entries(look(tree, tree.slice(1))).filter(
            ([name]) => !/tree\/deep\/er(\/|$)/.test(name) && !name.endsWith("/empty"),
          ),
        );
        expect(summary).toEqual(expected);
      });

      it("takes single files, and links together with what they lead to", async () => {
        const side = join(sshd.home, `side-${transport}`);
        mkdirSync(side);
        writeFileSync(join(side, "inside"), "content");
        symlinkSync(side, join(sshd.home, `to-${transport}`));
        const link = join(sshd.home, `to-${transport}`);
        const { summary } = await collect(connection, plan([join(tree, "plain"), link], { transport }));
        expect(Object.keys(summary).sort()).toEqual(
          [join(tree, "plain"), link, side, join(side, "inside")].map((path) => path.slice(1)).sort(),
        );
        expect(summary[link.slice(1)]).toBe(`symlink ${side}`);
      });

      it("takes nothing twice where paths overlap, and an inner path in spite of the outer's patterns", async () => {
        const paths = [join(tree, "deep/er"), tree, `${tree}/./deep/`, tree];
        const { summary, order } = await collect(connection, plan(paths, { transport, excludes: ["deep"] }));
        expect(new Set(order).size).toBe(order.length);
        expect(summary).toEqual(look(tree, tree.slice(1)));
      });

      it("counts FIFOs and never opens them", async () => {
        const pipes = join(sshd.home, `pipes-${transport}`);
        mkdirSync(pipes);
        makeFifo(join(pipes, "fifo"));
        writeFileSync(join(pipes, "file"), "f");
        const { order } = await collect(connection, plan([pipes], { transport }));
        expect(order).toEqual([pipes.slice(1), join(pipes, "file").slice(1)]);
        expect((await connection.measure(plan([pipes], { transport }))).specials).toBe(1);
      });

      it("tells of a path that is missing and takes the others", async () => {
        const gone = join(sshd.home, "gone");
        const { problems, summary } = await collect(connection, plan([gone, join(tree, "plain")], { transport }));
        expect(problems.map(({ text, kind }) => [text, kind])).toEqual([[gone, "vanished"]]);
        expect(Object.keys(summary)).toEqual([join(tree, "plain").slice(1)]);
      });

      it("fails when every path is missing", async () => {
        const pull = collect(connection, plan([join(sshd.home, "gone")], { transport }));
        await expect(pull).rejects.toMatchObject({ code: "PATH_MISSING" });
      });

      it("refuses paths that are no absolute paths", async () => {
        for (const path of ["relative", "/a/../b", "/nul\0"]) {
          await expect(collect(connection, plan([path], { transport }))).rejects.toMatchObject({
            code: "PATH_INVALID",
          });
        }
      });

      it("brings thousands of small files and one that is larger than the window", async () => {
        const many = join(sshd.home, `many-${transport}`);
        for (let folder = 0; folder < 30; folder++) {
          mkdirSync(join(many, String(folder)), { recursive: true });
          for (let file = 0; file < 100; file++)
            writeFileSync(join(many, String(folder), `f${file}`), `${folder}/${file}`);
        }
        writeFileSync(join(many, "large"), Buffer.alloc(40_000_000, "large"));
        const pulled = await collect(connection, plan([many], { transport }));
        expect(pulled.summary).toEqual(look(many, many.slice(1)));
      }, 60_000);

      it("stops when it is cancelled", async () => {
        const stop = new AbortController();
        const pull = collect(connection, plan([tree], { transport }), stop.signal, (count) => {
          if (count === 3) stop.abort();
        });
        await expect(pull).rejects.toMatchObject({ code: "CANCELLED" });
        // The connection itself goes on.
        expect((await connection.browse(tree)).entries.length).toBeGreaterThan(5);
      });

      it("ends what it began when the consumer leaves early", async () => {
        let seen = 0;
        for await (const { entry } of connection.pull(plan([tree], { transport }), {
          parseTar: (await archive()).parseTar,
        })) {
          expect(entry.path.length).toBeGreaterThan(0);
          if (++seen === 2) break;
        }
        const pulled = await collect(connection, plan([tree], { transport }));
        expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
      });
    });
  }

  it("pulls through a login script that prints something", async () => {
    const noisy = await startSshd({ config: [`ForceCommand echo 'Welcome! \\1'; eval "$SSH_ORIGINAL_COMMAND"`] });
    const loud = await connectTo(noisy);
    try {
      expect(loud.capabilities.transport).toBe("tar");
      const pulled = await collect(loud, plan([tree], { transport: "tar" }));
      expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
    } finally {
      loud.close();
      await noisy.stop();
    }
  });

  // pyenv's rehash in a .bashrc, for one, complains now and then when two logins run it at once.
  it("takes no complaint of a login script for one of find or tar, before the command or behind it", async () => {
    const around = `echo before >&2; printf unended >&2; eval "$SSH_ORIGINAL_COMMAND"; code=$?; echo behind >&2; exit $code`;
    const noisy = await startSshd({ config: [`ForceCommand ${around}`] });
    const loud = await connectTo(noisy);
    try {
      const pulled = await collect(loud, plan([tree], { transport: "tar" }));
      expect(pulled.problems).toEqual([]);
      expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
    } finally {
      loud.close();
      await noisy.stop();
    }
  }, 60_000);

  it("falls back to SFTP where there is no shell, and says so when tar is insisted on", async () => {
    const plain = await startSshd({ sftpOnly: true });
    const only = await connectTo(plain);
    try {
      expect(only.capabilities).toMatchObject({ shell: false, sftp: true, transport: "sftp" });
      const pulled = await collect(only, plan([tree]));
      expect(pulled.summary).toEqual(look(tree, tree.slice(1)));
      await expect(collect(only, plan([tree], { transport: "tar" }))).rejects.toMatchObject({ code: "REMOTE_FAILED" });
    } finally {
      only.close();
      await plain.stop();
    }
  });

  it("pulls by tar where there is no SFTP", async () => {
    const plain = await startSshd({ noSftp: true });
    const only = await connectTo(plain);
    try {
      expect(only.capabilities).toMatchObject({ shell: true, sftp: false, transport: "tar" });
      expect((await collect(only, plan([tree]))).summary).toEqual(look(tree, tree.slice(1)));
      await expect(only.browse(tree)).rejects.toMatchObject({ code: "REMOTE_FAILED" });
      const checks = await only.preflight({ paths: [tree] });
      expect(checks.find(({ id }) => id === "tools")).toMatchObject({ status: "warning" });
    } finally {
      only.close();
      await plain.stop();
    }
  });

  it("calls a file changed when its content may have, not for a new link, mode or owner (tar)", async () => {
    const moving = join(sshd.home, "moving");
    mkdirSync(moving);
    // Larger than what is under way at once, so that tar still reads when its entry is here.
    const file = (name: string) => join(moving, name);
    for (const name of ["linked", "written"]) writeFileSync(file(name), Buffer.alloc(64_000_000, name));
    const begun = new Set<string>();
    const stream = connection.pull(plan([moving], { transport: "tar" }), {
      parseTar: (await archive()).parseTar,
      onProblem: ({ kind, path }) => told.push(`${kind} ${path.toString()}`),
    });
    const told: string[] = [];
    for await (const { entry, body } of stream) {
      for (const name of ["linked", "written"]) {
        if (`/${entry.path}` !== file(name)) continue;
        begun.add(name);
        if (name === "linked") {
          linkSync(file(name), join(sshd.home, "one more"));
          chmodSync(file(name), 0o600);
        } else appendFileSync(file(name), "more");
      }
      for await (const _ of body ?? []);
    }
    expect(begun.size).toBe(2);
    expect(told).toEqual([`changed ${file("written")}`]);
  }, 60_000);

  it("passes a directory's whole content on before its next sibling, by SFTP too", async () => {
    const nested = join(sshd.home, "nested");
    // More siblings than are read ahead, more names than one answer holds, and a deep path.
    for (let outer = 0; outer < 90; outer++) {
      for (let inner = 0; inner < 3; inner++) mkdirSync(join(nested, `o${outer}/i${inner}/x`), { recursive: true });
    }
    for (let file = 0; file < 700; file++) writeFileSync(join(nested, "o7", `f${file}`), "");
    mkdirSync(join(nested, "d/".repeat(120)), { recursive: true });
    const { order, summary } = await collect(connection, plan([nested], { transport: "sftp" }));
    expect(summary).toEqual(look(nested, nested.slice(1)));
    const left = new Set<string>();
    let open: string[] = [];
    for (const name of order) {
      const parts = name.split("/");
      const parents = parts.map((_, depth) => parts.slice(0, depth + 1).join("/")).slice(0, -1);
      for (const one of open) if (!parents.includes(one)) left.add(one);
      expect(parents.filter((one) => left.has(one))).toEqual([]);
      open = [...parents, name];
    }
  }, 60_000);

  it("browses a directory, and says what is wrong with a path", async () => {
    const { entries, truncated } = await connection.browse(tree);
    expect(truncated).toBe(false);
    expect(entries[0]).toMatchObject({ name: "deep", type: "dir" });
    const odd = entries.find((entry) => entry.nameB64 !== undefined);
    expect(Buffer.from(odd?.nameB64 ?? "", "base64").toString("latin1")).toBe("\xff\xfe not UTF-8");
    await expect(connection.browse(join(tree, "none"))).rejects.toMatchObject({ code: "PATH_MISSING" });
    await expect(connection.browse(join(tree, "plain"))).rejects.toMatchObject({ code: "PATH_INVALID" });
    await expect(connection.browse("/x/../etc")).rejects.toMatchObject({ code: "PATH_INVALID" });
  });
});

const held = unprivilegedSshdAvailable();

describe.skipIf(held)(`what the login user may not read${held ? ` (skipped: ${held})` : ""}`, () => {
  let sshd: Sshd;
  let connection: SourceConnection;
  let tree: string;

  beforeAll(async () => {
    sshd = await startSshd({ unprivileged: true });
    tree = join(sshd.home, "tree");
    for (const folder of ["a", "closed", "z"]) {
      mkdirSync(join(tree, folder), { recursive: true });
      for (let file = 0; file < 20; file++) writeFileSync(join(tree, folder, `f${file}`), `${folder}${file}`);
    }
    writeFileSync(join(tree, "a/secret"), "secret");
    chmodSync(join(tree, "a/secret"), 0);
    chmodSync(join(tree, "closed"), 0);
    connection = await connectTo(sshd);
  });
  afterAll(async () => {
    connection?.close();
    if (tree) chmodSync(join(tree, "closed"), 0o755);
    await sshd?.stop();
  });

  for (const transport of ["tar", "sftp"] as const) {
    it(`is told of, and the rest is brought (${transport})`, async () => {
      const { problems, summary } = await collect(connection, plan([tree], { transport }));
      const told = problems.map(({ text, kind }) => `${kind} ${text}`).sort();
      expect(told).toEqual([`denied ${join(tree, "a/secret")}`, `denied ${join(tree, "closed")}`]);
      const names = Object.keys(summary);
      expect(names.filter((name) => name.includes("/z/")).length).toBe(20);
      expect(names.filter((name) => name.includes("/a/")).length).toBe(20);
      expect(names).not.toContain(join(tree, "a/secret").slice(1));
    });

    it(`is no problem where an exclude covers it (${transport})`, async () => {
      const { problems } = await collect(connection, plan([tree], { transport, excludes: ["closed/", "secret"] }));
      expect(problems).toEqual([]);
    });

    it(`fails the pull when it is everything (${transport})`, async () => {
      const pull = collect(connection, plan([join(tree, "closed")], { transport }));
      await expect(pull).rejects.toMatchObject({ code: "NOTHING_READABLE" });
    });
  }

  it("is what browsing and the preflight say", async () => {
    await expect(connection.browse(join(tree, "closed"))).rejects.toMatchObject({ code: "PATH_DENIED" });
    const checks = await connection.preflight({ paths: [tree, join(tree, "closed"), join(tree, "none")] });
    expect(checks.map(({ status }) => status)).toEqual(["ok", "ok", "failed", "failed", "warning"]);
  });
});

const archive = () => import("@xvault/archive");
