import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalTarget } from "@xvault/archive";
import type { RestoreQuote } from "@xvault/contracts";
import type { OverwritePolicy, PathProblem, TreeTarget } from "@xvault/kernel";
import { connectSource, type SourceConnection } from "@xvault/source";
import { startSshd } from "@xvault/test-kit/ssh";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countReads, createReportLog, quoteRestore, runRestore, storedObjects } from "../src/index.ts";
import { entryOf, packSnapshot } from "./chain.ts";
import { because, codeOf, filesBelow, type Lab, type LabBackup, noSshd, openLab, restoreTo } from "./lab.ts";
import { noise } from "./trees.ts";

const { signal } = new AbortController();
const { reporter } = createReportLog();

describe.skipIf(noSshd)(`a quote says what the restore then does${because(noSshd)}`, () => {
  let lab: Lab;
  let connection: SourceConnection;
  let tree: string;
  let good: LabBackup;
  let count = 0;
  const fresh = () => join(lab.sshd.home, `to-${(count += 1)}`);

  beforeAll(async () => {
    lab = await openLab();
    connection = await connectSource(lab.connectOptions());
    tree = join(lab.sshd.home, "tree");
    for (const name of ["one", "two"]) {
      mkdirSync(join(tree, name), { recursive: true });
      for (let i = 0; i < 20; i += 1) writeFileSync(join(tree, name, `f${i}`), noise(20_000, i));
      writeFileSync(join(tree, name, "large"), noise(6_000_000, 99));
      symlinkSync("f1", join(tree, name, "link"));
    }
    good = await lab.backup([tree], { transport: "tar" });
  });
  afterAll(async () => {
    connection?.close();
    await lab?.stop();
  });

  const quoted = async (target: TreeTarget, paths: string[] = []): Promise<RestoreQuote> => {
    const checked = await lab.check(good.place);
    return quoteRestore({ checked, artifact: await lab.open(good.place), paths, target, reporter, signal });
  };
  const dry = (to: string, overwrite: OverwritePolicy = "never") => connection.target(to, { overwrite, dryRun: true });

  test("into a new directory: everything is written, nothing is made", async () => {
    const to = fresh();
    const quote = await quoted(await dry(`${to}/below`));
    expect(quote).toMatchObject({ files: 42, directories: 3, links: 2, skipped: 0, target_exists: false });
    expect(quote.write_bytes).toBe(2 * (20 * 20_000 + 6_000_000));
    expect(quote.free_bytes).toBeGreaterThan(quote.write_bytes);
    expect(quote.enough_space).toBe(true);
    expect(existsSync(to)).toBe(false);
    expect(await restoreTo(await lab.open(good.place), await connection.target(to))).toMatchObject({
      written: 47,
      bytes: quote.write_bytes,
    });
  });

  for (const overwrite of ["never", "if-changed", "if-newer", "always"] as const) {
    test(`over what is there, under '${overwrite}': as many written and kept as the restore says`, async () => {
      const to = fresh();
      await restoreTo(await lab.open(good.place), await connection.target(to), [join(tree, "one")]);
      appendFileSync(join(to + tree, "one/f1"), "changed");
      utimesSync(join(to + tree, "one/f2"), 1_000_000_000, 1_000_000_000);
      rmSync(join(to + tree, "one/link"));
      symlinkSync("elsewhere", join(to + tree, "one/link"));
      const before = readdirSync(to, { recursive: true }).length;
      const quote = await quoted(await dry(to, overwrite));
      expect(readdirSync(to, { recursive: true })).toHaveLength(before);
      const done = await restoreTo(await lab.open(good.place), await connection.target(to, { overwrite }));
      const { files, directories, links } = quote;
      expect([files + directories + links, quote.skipped, quote.write_bytes]).toEqual([
        done.written,
        done.skipped,
        done.bytes,
      ]);
      expect(quote.target_exists).toBe(true);
      if (overwrite === "never") expect(done.skipped).toBeGreaterThan(20);
    });
  }

  test("what is read of the storage is told to within a frame or two", async () => {
    for (const paths of [[], [join(tree, "one/f3")], [join(tree, "two/large")]]) {
      const quote = await quoted(await dry(fresh()), paths);
      const { objects, count } = countReads(storedObjects(lab.store, good.place));
      await restoreTo(
        await lab.open(good.place, { objects }),
        await createLocalTarget(join(lab.dir, fresh().slice(-6))),
        paths,
      );
      expect(Math.abs(count.bytes - quote.read_bytes), `${paths}: ${count.bytes}`).toBeLessThan(5_000_000);
    }
  });

  test("a path that is not there, and a directory in a file's place, are refused as the restore refuses them", async () => {
    expect(await codeOf(quoted(await dry(fresh()), ["/nothing/here"]))).toBe("NOT_FOUND");
    const to = fresh();
    mkdirSync(join(to + tree, "one/f1/mine"), { recursive: true });
    expect(await codeOf(quoted(await dry(to, "always")))).toBe("ENTRY_CONFLICT");
    expect(await codeOf(quoted(await dry(to, "never")))).toBe("ENTRY_CONFLICT");
  });

  describe("a restore that cannot fit", () => {
    /** A petabyte that no disk here has. */
    const huge = 2 ** 50;
    const made = async () => {
      const base = await packSnapshot(lab, async ({ add }) => {
        await add(entryOf("huge", { size: 3 }), Buffer.from("abc"));
        await add(entryOf("small", { size: 5 }), Buffer.from("small"));
      });
      return packSnapshot(
        lab,
        async ({ refer }) => {
          await refer(base, "small");
          await refer(base, "huge", { size: huge });
        },
        { from: [base] },
      );
    };
    const targets: Record<string, (to: string, overwrite?: OverwritePolicy) => Promise<TreeTarget>> = {
      "a local directory": (to, overwrite = "never") => createLocalTarget(to, { overwrite }),
      "a path on the source": (to, overwrite = "never") => connection.target(to, { overwrite }),
    };
    for (const [name, open] of Object.entries(targets)) {
      test(`to ${name} is refused before anything is written`, async () => {
        const { place } = await made();
        const to = fresh();
        const refused = restoreTo(await lab.open(place), await open(to));
        await expect(refused).rejects.toMatchObject({ code: "SPACE_REQUIRED", data: { needed: huge + 5 } });
        expect(filesBelow(to)).toEqual([]);
        // Control: the part that fits is restored.
        await restoreTo(await lab.open(place), await open(to), ["/small"]);
        expect(filesBelow(to)).toEqual(["small"]);
      });
    }

    test("is not refused when what is there already stays or makes room", async () => {
      const { place } = await made();
      const to = fresh();
      mkdirSync(to);
      writeFileSync(join(to, "huge"), "is there already");
      const artifact = await lab.open(place);
      const target = await connection.target(to, { overwrite: "never" });
      const dryTarget = () => dry(to, "never");
      const done = await runRestore({ artifact, paths: [], target, dryTarget, reporter, signal });
      expect(done).toMatchObject({ written: 1, skipped: 1 });
    });

    test("is quoted as one", async () => {
      const { place } = await made();
      const checked = await lab.check(place);
      const target = await dry(fresh());
      const quote = await quoteRestore({
        checked,
        artifact: await lab.open(place),
        paths: [],
        target,
        reporter,
        signal,
      });
      expect(quote).toMatchObject({ enough_space: false, write_bytes: huge + 5 });
    });
  });

  describe("files that are read back on the source (verify)", () => {
    const restoring = async (over: SourceConnection, to: string, onProblem?: (problem: PathProblem) => void) =>
      restoreTo(
        await lab.open(good.place),
        await over.target(to, { verify: true, ...(onProblem ? { onProblem } : {}) }),
      );

    test("are all compared, and are as they should be", async () => {
      const problems: PathProblem[] = [];
      const to = fresh();
      await restoring(connection, to, (problem) => problems.push(problem));
      expect(problems).toEqual([]);
      expect(filesBelow(to)).toHaveLength(44);
    });

    test("one that somebody changed in between is found", async () => {
      const to = fresh();
      const target = await connection.target(to, { verify: true });
      const spoiled: TreeTarget = {
        put: (entry, body, sha256) =>
          target.put(entry, body, entry.path.toString().endsWith("one/f7") ? "0".repeat(64) : sha256),
        finish: () => target.finish(),
        abort: (error) => target.abort(error),
      };
      await expect(restoreTo(await lab.open(good.place), spoiled)).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        data: { path: `${to}${tree}/one/f7` },
      });
    });

    test("where there is no shell, the restore says that they were not", async () => {
      const sshd = await startSshd({ sftpOnly: true });
      const { host, port, username, hostKey, privateKey } = sshd;
      const options = { host, port, username, hostKey, credential: { kind: "key", privateKey } as const };
      const bare = await connectSource(lab.connectOptions(options));
      try {
        const problems: PathProblem[] = [];
        const to = join(sshd.home, "to");
        await restoring(bare, to, (problem) => problems.push(problem));
        expect(problems).toMatchObject([{ kind: "unreadable", message: expect.stringContaining("sha256sum") }]);
        expect(filesBelow(to)).toHaveLength(44);
      } finally {
        bare.close();
        await sshd.stop();
      }
    });
  });

  test("a local file that does not hold what it was given never gets its name", async () => {
    const to = join(lab.dir, "local");
    const target = await createLocalTarget(to);
    for (const [size, name] of [
      [1000, "small"],
      [900_000, "large"],
    ] as const) {
      const body = async function* () {
        yield noise(size, 1);
      };
      const put = target.put(entryOf(name, { size, mode: 0 }), body(), "0".repeat(64));
      await expect(put).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    }
    await target.abort();
    expect(readdirSync(to)).toEqual([]);
  });
});
