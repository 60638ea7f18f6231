import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { because, shell, toolsMissing } from "../lab.ts";
import { differencesOnDisk } from "./on-disk.ts";
import { type Case, casesOf, keyOf, VERSIONS } from "./support.ts";

const docs = join(import.meta.dirname, "../../../../docs");
const READER = join(docs, "examples/read_snapshot.py");
const missing = toolsMissing("age", "zstd", "tar", "python3", "openssl");

/** Python and tar set times exactly, Node to a fraction of a microsecond. */
const SAME_TIME = { withinNs: 1000n };
// The stock age of Debian 12 and 13 opens no post-quantum recipients.
const cases = VERSIONS.flatMap(casesOf).filter(({ name }) => name !== "post-quantum");
const [first, second, third] = ["chain-1", "chain-2", "chain-3"].map((wanted) =>
  cases.find(({ version, name }) => version === "v1" && name === wanted),
) as [Case, Case, Case];

let scratch: string;
beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "xvault-second-reader-")));
});
afterAll(() => {
  spawnSync("chmod", ["-R", "u+rwX", scratch]);
  rmSync(scratch, { recursive: true, force: true });
});

const kitOf = (one: Case) => join(one.base, one.identities[0] ?? "");

function python(one: Case, words: string[], path = process.env["PATH"] ?? "") {
  const done = spawnSync("python3", [READER, "--identity", kitOf(one), ...words], {
    encoding: "utf8",
    env: { PATH: path, LANG: "C.UTF-8" },
  });
  if (done.error) throw done.error;
  return { status: done.status, out: done.stdout, said: done.stderr };
}

test("the second reader is short enough to be read, and uses no more than Python's own library", () => {
  const text = readFileSync(READER, "utf8");
  expect(text.split("\n").length - 1).toBeLessThan(200);
  const imported = [...text.matchAll(/^(?:import|from) ([\w, ]+?)(?: import .*)?$/gm)].flatMap(([, names]) =>
    (names ?? "").split(", "),
  );
  const known = "argparse base64 datetime hashlib json os pathlib re shutil stat subprocess sys tempfile".split(" ");
  expect(imported.sort()).toEqual(known);
});

describe.skipIf(missing)(`a second reader, written from docs/FORMAT.md${because(missing)}`, () => {
  describe.each(cases)("$version $name", (one) => {
    test("it lists what went in, every signature checked", () => {
      const { status, out, said } = python(one, ["list", one.directory]);
      expect([status, said]).toEqual([0, `${one.entries.length} entries, whole.\n`]);
      const wanted = one.entries.map((entry) => {
        const facts = [entry.type, entry.mode, entry.size, entry.mtime, entry.sha256 ?? "-"];
        return `${facts.join("\t")}\t${keyOf(entry)}`;
      });
      expect(out.split("\n").slice(0, -1).map(withBytes)).toEqual(wanted);
    });

    if (one.on_disk) {
      test("it restores the whole", () => {
        const to = join(scratch, `whole-${one.version}-${one.name}`);
        const { status, said } = python(one, ["restore", one.directory, to]);
        expect([status, said]).toEqual([0, `${one.entries.length} entries, whole.\n`]);
        expect(differencesOnDisk(to, one.entries, join(scratch, "probe"), SAME_TIME)).toEqual([]);
      });
    }
  });

  test("it restores one file, also one whose bytes lie in an earlier artifact, and a hard link without its target", () => {
    const wanted = [
      ["srv/data/kept sparse", "srv/data/kept sparse"],
      ["srv/new in the second", "srv/new in the second"],
      ["srv/new in the third", "srv/new in the third"],
      ["srv/data/linked too", "srv/linked"],
    ] as const;
    for (const [path, content] of wanted) {
      const to = join(scratch, `one-${path.replaceAll(/\W/g, "-")}`);
      expect(python(third, ["restore", third.directory, to, path])).toMatchObject({ status: 0 });
      const sum = shell('sha256sum < "$1"', [join(to, path)])
        .toString()
        .slice(0, 64);
      expect(sum).toBe(third.entries.find((entry) => entry.path === content)?.sha256);
      const files = readdirSync(to, { recursive: true, withFileTypes: true }).filter((found) => found.isFile());
      expect(files.length).toBe(1);
    }
    const { status, said } = python(third, ["restore", third.directory, join(scratch, "none"), "srv/nothing"]);
    expect([status, said]).toEqual([1, expect.stringContaining("nothing at")]);
  });

  test("without openssl it says that it checks no signature, and checks the rest", () => {
    const one = cases.find(({ name }) => name === "partial") as Case;
    const bin = join(scratch, "bin");
    mkdirSync(bin);
    // Whatever stands in front of the real python3 may need other programs.
    shell(
      'for t in age zstd bash; do ln -s "$(command -v $t)" "$1/$t"; done; ln -s "$(python3 -c "import sys; print(sys.executable)")" "$1/python3"',
      [bin],
    );
    const { status, said } = python(one, ["check", one.directory], bin);
    expect([status, said]).toEqual([0, "Signatures are NOT checked: there is no openssl.\n5 entries, whole.\n"]);
  });

  describe("damage is refused before anything is written", () => {
    const own = third.place.snapshot_id;
    const earlier = first.place.snapshot_id;
    const objects = ["backup.tar.zst.enc", "blocks.bin", "manifest.json"];
    const damages: [string, string, (bytes: Buffer) => Buffer][] = [
      ...objects.map((object): [string, string, typeof flip] => [`a bit of ${object}`, `${own}/${object}`, flip]),
      ...objects.map((object): [string, string, typeof flip] => [
        `a bit of an earlier ${object}`,
        `${earlier}/${object}`,
        flip,
      ]),
      ["a bit of index.zst.enc", `${own}/index.zst.enc`, flip],
      ["the manifest's sequence", `${own}/manifest.json`, replace('"sequence":3', '"sequence":4')],
      ["a time in the manifest", `${own}/manifest.json`, replace('"created_at":"2026', '"created_at":"2025')],
      ["the signature", `${own}/manifest.json`, (bytes) => replaceAt(bytes, bytes.lastIndexOf('":"') + 3)],
      ["an artifact without its last byte", `${earlier}/backup.tar.zst.enc`, (bytes) => bytes.subarray(0, -1)],
    ];
    const damaged = (what: string, object: string, change: (bytes: Buffer) => Buffer) => {
      const source = join(scratch, `damage-${what.replaceAll(/\W/g, "-")}`);
      for (const one of [first, second, third]) {
        cpSync(one.directory, join(source, one.place.snapshot_id), { recursive: true });
      }
      const path = join(source, object);
      writeFileSync(path, change(readFileSync(path)));
      const to = join(source, "restored");
      return { ...python(third, ["restore", join(source, own), to]), written: existsSync(to) };
    };

    test("control: nothing", () => {
      expect(damaged("nothing", `${own}/manifest.json`, (bytes) => bytes)).toMatchObject({ status: 0, written: true });
    });

    test.each(damages)("%s", (what, object, change) => {
      const { status, written, said } = damaged(what, object, change);
      expect([status, written, said]).toEqual([1, false, expect.stringMatching(/refused: |Error: /)]);
    });
  });
});

describe.skipIf(missing)(`what docs/FORMAT.md says to type, typed${because(missing)}`, () => {
  const format = readFileSync(join(docs, "FORMAT.md"), "utf8");
  const script = (mark: string): string => {
    const found = new RegExp(`<!-- ${mark} -->\n\`\`\`bash\n([^]*?)\n\`\`\``).exec(format)?.[1];
    if (found === undefined) throw new Error(`docs/FORMAT.md has no '${mark}'`);
    return found;
  };
  /** The page says it: an unchanged file comes with the mode that it had when it was packed. */
  const olderMode = '"srv/chmod later": has mode 0644 instead of';
  const differences = (work: string, one: Case) =>
    differencesOnDisk(join(work, "tree"), one.entries, join(scratch, "probe"), SAME_TIME).filter(
      (said) => one === first || !said.startsWith(olderMode),
    );

  test.each([
    ["a full one", first],
    ["one that refers to the first", second],
    ["one that refers to both", third],
  ])("one snapshot by its lists: %s", (_what, one) => {
    const work = join(scratch, `lists-${one.version}-${one.name}`);
    mkdirSync(work);
    shell(`KIT="$1" SNAPSHOT="$2"; cd "$3"\n${script("by-lists")}`, [kitOf(one), one.directory, work]);
    expect(differences(work, one)).toEqual([]);
  });

  test("run after run: names that went, or changed their kind, are removed before each", () => {
    const work = join(scratch, "in-order");
    mkdirSync(work);
    const unpack = `KIT="$1"; cd "$2"; shift 2; CHAIN=("$@")\n${script("in-order")}`;
    for (const one of [first, second, third]) {
      shell(unpack, [kitOf(one), work, one.directory]);
      expect(differences(work, one)).toEqual([]);
    }
    const again = join(scratch, "in-order-at-once");
    mkdirSync(again);
    shell(unpack, [kitOf(first), again, ...[first, second, third].map(({ directory }) => directory)]);
    expect(differences(again, third)).toEqual([]);
  });
});

/** A line of the list, its path as bytes, one character each. Python writes a byte that is not UTF-8 as a lone surrogate. */
function withBytes(line: string): string {
  const at = line.lastIndexOf("\t") + 1;
  const bytes = [...(JSON.parse(line.slice(at)) as string)].map((character) => {
    const code = character.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character);
  });
  return line.slice(0, at) + Buffer.concat(bytes).toString("latin1");
}

function flip(bytes: Buffer): Buffer {
  return replaceAt(bytes, Math.floor(bytes.length / 2));
}

function replaceAt(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 0x01;
  return changed;
}

function replace(from: string, to: string): (bytes: Buffer) => Buffer {
  return (bytes) => {
    const changed = Buffer.from(bytes.toString("latin1").replace(from, to), "latin1");
    if (changed.equals(bytes)) throw new Error(`there is no ${from}`);
    return changed;
  };
}
