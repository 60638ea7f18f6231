import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileEntry, TreeTargetOptions } from "@xvault/kernel";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkEntry, createLocalTarget, parseTar, TAR_END, writeTarTo } from "../src/index.ts";
import { paxRecord } from "../src/tar/pax.ts";
import { codeOf, entry, memorySink, padded, pieces, rawHeader } from "./support.ts";

let ground: string;
let root: string;
let outside: string;

beforeEach(() => {
  ground = mkdtempSync(join(tmpdir(), "xvault-hostile-"));
  root = join(ground, "target");
  outside = join(ground, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "precious"), "precious", { mode: 0o600 });
});
afterEach(() => rmSync(ground, { recursive: true, force: true }));

/** Everything about the world beside the target that an archive might change. */
function picture(): string {
  const rows: string[] = [];
  const walk = (directory: string) => {
    for (const name of readdirSync(directory).sort()) {
      const path = join(directory, name);
      if (path === root) continue;
      const stat = lstatSync(path, { bigint: true });
      const content = stat.isFile() ? readFileSync(path, "utf8") : "";
      rows.push(
        [
          path,
          stat.mode,
          stat.nlink,
          stat.uid,
          stat.size,
          stat.mtimeNs,
          stat.isDirectory() ? "" : stat.ctimeNs,
          content,
        ].join(" "),
      );
      if (stat.isDirectory()) walk(path);
    }
  };
  walk(ground);
  return rows.join("\n");
}

/** Unpacks hand-made bytes the way a restore does, up to the first refusal. */
async function unpack(bytes: Buffer, options: TreeTargetOptions = {}): Promise<void> {
  const target = await createLocalTarget(root, options);
  try {
    for await (const member of parseTar(pieces(bytes))) {
      await target.put(member.entry, member.entry.type === "file" ? member.body : null);
    }
    await target.finish();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

const file = (name: string | Buffer, content = "owned") =>
  Buffer.concat([rawHeader({ name, size: content.length }), padded(content)]);
const archive = (...parts: Buffer[]) => Buffer.concat([...parts, TAR_END]);
const named = (path: string | Buffer) => {
  const data = Buffer.from(paxRecord("path", Buffer.from(path).toString("latin1")), "latin1");
  return Buffer.concat([rawHeader({ name: "x", flag: "x", size: data.length }), padded(data), file("ignored")]);
};

test("an honest archive unpacks (control)", async () => {
  await unpack(archive(file("a/b/c", "hello"), rawHeader({ name: "a/link", flag: "1", link: "a/b/c" }), file("...")));
  expect(readFileSync(join(root, "a/link"), "utf8")).toBe("hello");
  expect(lstatSync(join(root, "a/b/c")).nlink).toBe(2);
  expect(readdirSync(root).sort()).toEqual(["...", "a"]);
});

describe("nothing outside the target changes, and the refusal is loud", () => {
  const cases: [string, () => Buffer, string][] = [
    ["an absolute path", () => archive(file(join(outside, "new"))), "ENTRY_PATH_UNSAFE"],
    ["a path that climbs", () => archive(file("../outside/precious")), "ENTRY_PATH_UNSAFE"],
    ["a path that climbs inside", () => archive(file("a/../../outside/precious")), "ENTRY_PATH_UNSAFE"],
    ["a path that ends in '..'", () => archive(rawHeader({ name: "a/..", flag: "5" })), "ENTRY_PATH_UNSAFE"],
    ["an absolute path behind './'", () => archive(file(`./${join(outside, "new")}`)), "ENTRY_PATH_UNSAFE"],
    ["a climbing path in a pax header", () => archive(named("../outside/precious")), "ENTRY_PATH_UNSAFE"],
    [
      "a climbing path in a prefix",
      () => archive(Buffer.concat([rawHeader({ name: "precious", prefix: "../outside", size: 5 }), padded("owned")])),
      "ENTRY_PATH_UNSAFE",
    ],
    ["a NUL in a path", () => archive(named("a\0b")), "ENTRY_PATH_UNSAFE"],
    ["the root itself", () => archive(rawHeader({ name: "./", flag: "5" })), "ENTRY_PATH_UNSAFE"],
    ["an empty part", () => archive(file("a//b")), "ENTRY_PATH_UNSAFE"],
    [
      "a file through a symbolic link",
      () => archive(rawHeader({ name: "s", flag: "2", link: outside }), file("s/precious")),
      "ENTRY_THROUGH_SYMLINK",
    ],
    [
      "a file through a relative symbolic link",
      () => archive(rawHeader({ name: "s", flag: "2", link: "../outside" }), file("s/deep/precious")),
      "ENTRY_THROUGH_SYMLINK",
    ],
    [
      "a directory over a symbolic link",
      () => archive(rawHeader({ name: "s", flag: "2", link: outside }), rawHeader({ name: "s/", flag: "5" })),
      "ENTRY_THROUGH_SYMLINK",
    ],
    [
      "a link through a link",
      () =>
        archive(
          rawHeader({ name: "a", flag: "2", link: ".." }),
          rawHeader({ name: "a/b", flag: "2", link: "outside" }),
          file("a/b/precious"),
        ),
      "ENTRY_THROUGH_SYMLINK",
    ],
    [
      "a hard link to an absolute path",
      () => archive(rawHeader({ name: "h", flag: "1", link: join(outside, "precious") })),
      "LINK_OUTSIDE_ROOT",
    ],
    [
      "a hard link that climbs",
      () => archive(rawHeader({ name: "h", flag: "1", link: "../outside/precious" })),
      "LINK_OUTSIDE_ROOT",
    ],
    [
      "a hard link through a symbolic link",
      () =>
        archive(
          rawHeader({ name: "s", flag: "2", link: outside }),
          rawHeader({ name: "h", flag: "1", link: "s/precious" }),
          file("h"),
        ),
      "ENTRY_THROUGH_SYMLINK",
    ],
    [
      "a hard link to nothing",
      () => archive(rawHeader({ name: "h", flag: "1", link: "nowhere" })),
      "ARCHIVE_MALFORMED",
    ],
    ["a directory replaced by a file", () => archive(file("d/x"), file("d")), "ENTRY_CONFLICT"],
    [
      "a directory replaced by a symbolic link",
      () => archive(file("d/x"), rawHeader({ name: "d", flag: "2", link: outside }), file("d/precious")),
      "ENTRY_CONFLICT",
    ],
    ["a file used as a directory", () => archive(file("f"), file("f/x")), "ENTRY_CONFLICT"],
    ["a body cut short", () => archive(file("f", "x".repeat(2000))).subarray(0, 900), "ARCHIVE_TRUNCATED"],
  ];

  test.each(cases)("%s", async (_what, bytes, code) => {
    for (const overwrite of ["never", "always"] as const) {
      rmSync(root, { recursive: true, force: true });
      const before = picture();
      expect(await codeOf(unpack(bytes(), { overwrite }))).toBe(code);
      expect(picture()).toBe(before);
      const left = readdirSync(root, { recursive: true, encoding: "utf8" });
      expect(left.filter((name) => name.includes(".xvault-"))).toEqual([]);
      expect(left).not.toContain("f/x");
    }
  });

  test("a file over a symbolic link replaces the link and leaves what it points to", async () => {
    mkdirSync(root);
    symlinkSync(join(outside, "precious"), join(root, "f"));
    const before = picture();
    await unpack(archive(file("f", "mine")), { overwrite: "always" });
    expect(picture()).toBe(before);
    expect(lstatSync(join(root, "f")).isFile()).toBe(true);
  });

  test("a file over a hard link to the outside replaces the name and leaves the content", async () => {
    mkdirSync(root);
    linkSync(join(outside, "precious"), join(root, "f"));
    await unpack(archive(file("f", "mine")), { overwrite: "always" });
    expect(readFileSync(join(outside, "precious"), "utf8")).toBe("precious");
    expect(lstatSync(join(outside, "precious")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(root, "f"), "utf8")).toBe("mine");
  });

  test("links that were in the target before are not followed either", async () => {
    mkdirSync(root);
    symlinkSync(outside, join(root, "logs"));
    const before = picture();
    expect(await codeOf(unpack(archive(file("logs/precious")), { overwrite: "always" }))).toBe("ENTRY_THROUGH_SYMLINK");
    expect(picture()).toBe(before);
  });

  test("a symbolic link may point anywhere: it is only data", async () => {
    const before = picture();
    await unpack(
      archive(rawHeader({ name: "s", flag: "2", link: "/etc/passwd" }), rawHeader({ name: "t", flag: "1", link: "s" })),
    );
    expect(picture()).toBe(before);
    expect(lstatSync(join(root, "t")).isSymbolicLink()).toBe(true);
  });

  test("devices and FIFOs never arrive, and an entry that claims to be one is denied", async () => {
    const skipped: string[] = [];
    const bytes = archive(rawHeader({ name: "null", flag: "3" }), rawHeader({ name: "pipe", flag: "6" }), file("f"));
    for await (const member of parseTar(pieces(bytes), { onSkipped: (path) => skipped.push(path.toString()) })) {
      expect(member.entry.path.toString()).toBe("f");
    }
    expect(skipped).toEqual(["null", "pipe"]);
    const device = { ...entry("null"), type: "device" } as unknown as FileEntry;
    const target = await createLocalTarget(root);
    expect(await codeOf(target.put(device, null))).toBe("ENTRY_TYPE_DENIED");
    expect(() => checkEntry(device)).toThrow("never restored");
  });

  test("the second of two entries of one name follows the policy, and never writes into the first", async () => {
    const twice = archive(file("f", "first"), rawHeader({ name: "g", flag: "1", link: "f" }), file("f", "second"));
    await unpack(twice);
    expect(readFileSync(join(root, "f"), "utf8")).toBe("first");
    rmSync(root, { recursive: true });
    await unpack(twice, { overwrite: "always" });
    expect(readFileSync(join(root, "f"), "utf8")).toBe("second");
    expect(readFileSync(join(root, "g"), "utf8")).toBe("first");
  });

  test("set-id bits are dropped where the owner is not restored and is another", async () => {
    const target = await createLocalTarget(root, { owner: false });
    const own = process.getuid?.() ?? 0;
    await target.put(entry("foreign", { mode: 0o6755, uid: own + 1, gid: (process.getgid?.() ?? 0) + 1 }), null);
    await target.put(entry("own", { mode: 0o4755 }), null);
    expect(lstatSync(join(root, "foreign")).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(root, "own")).mode & 0o7777).toBe(0o4755);
  });

  test("a download never carries a hostile entry on", async () => {
    const sink = memorySink();
    const target = writeTarTo(sink);
    expect(await codeOf(target.put(entry("../up"), null))).toBe("ENTRY_PATH_UNSAFE");
    expect(await codeOf(target.put(entry("short", { size: 10 }), pieces(Buffer.from("abc"))))).toBe(
      "ARCHIVE_TRUNCATED",
    );
    await target.abort();
    expect(sink.closed).toBe(false);
  });
});

test("a root that is a file is refused", async () => {
  writeFileSync(root, "");
  expect(await codeOf(createLocalTarget(root))).toBe("STORAGE_FAILED");
});
