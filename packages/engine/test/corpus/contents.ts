import { noise } from "../trees.ts";
import { dir, file, hardlink, type Item, sparse, symlink, troubled } from "./entries.ts";

const raw = (...bytes: number[]) => Buffer.from(bytes);
const join = (...parts: (string | Buffer)[]) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const YEAR_2255 = 9_000_000_000_987_654_000n;
/** A file that many snapshots would repeat. */
const text = (lines: number) =>
  Array.from({ length: lines }, (_, i) => `line ${i} of a text that compresses\n`).join("");

/** Everything that a file system takes: names, modes, times, links, holes. */
export function everything(): Item[] {
  const deep = Array.from({ length: 8 }, (_, i) => `${i}${"d".repeat(199)}`);
  const deepPath = (depth: number) => ["srv", ...deep.slice(0, depth)].join("/");
  return [
    dir("srv", { uname: "www-data", gname: "www-data" }),
    file("srv/plain.txt", "plain\n", { uname: "www-data", gname: "www-data" }),
    file("srv/empty", ""),
    dir("srv/empty directory", { mode: 0o700 }),
    dir("srv/names"),
    file("srv/names/new\nline\n", "new line"),
    file(join("srv/names/latin-1 ", raw(0xe9)), "not UTF-8"),
    file(join("srv/names/", raw(0xff, 0xfe, 0x80, 0xc3)), "not anything"),
    file("srv/names/größe 日本語 🙂", "UTF-8"),
    file("srv/names/e\u0301 \u00e9", "not normalised"),
    file("srv/names/ $(touch x) `id` 'q' \"d\" \\n\\101 * ", "a shell's feast"),
    file("srv/names/-rf", "an option"),
    file("srv/names/\u0001\u001b[31m\u007f", "control characters"),
    file("srv/names/...", "dots"),
    file(`srv/names/${"n".repeat(255)}`, "the longest name that Linux takes"),
    file(join("srv/names/", "x".repeat(150), raw(0xfc)), "long, and not UTF-8"),
    ...deep.map((_, i) => dir(deepPath(i + 1))),
    file(`${deepPath(8)}/${"f".repeat(255)}`, "a path of more than 1,800 bytes"),
    dir("srv/modes", { mode: 0o1777 }),
    ...[0o4755, 0o2755, 0o6711, 0o1644, 0o400, 0o000].map((mode) =>
      file(`srv/modes/${mode.toString(8)}`, "modes", { mode }),
    ),
    dir("srv/modes/setgid", { mode: 0o2775 }),
    dir("srv/modes/read only", { mode: 0o555 }),
    file("srv/modes/read only/inside", "in a directory that cannot be written"),
    file("srv/owner", "owned by somebody with large numbers", { uid: 3_000_000, gid: 3_000_001 }),
    dir("srv/times", { mtime: 1_000_000_000n }),
    file("srv/times/1969", "before the epoch", { mtime: -1_500_000_000n }),
    file("srv/times/1901", "long before it", { mtime: -2_147_483_648_000_000_000n }),
    file("srv/times/2255", "beyond eleven octal digits", { mtime: YEAR_2255 }),
    file("srv/times/epoch", "zero", { mtime: 0n }),
    dir("srv/links"),
    symlink("srv/links/relative", "../plain.txt"),
    symlink("srv/links/absolute", "/etc/passwd", { mtime: 1_500_000_000_000_000_000n }),
    symlink("srv/links/dangling", "nowhere"),
    symlink(join("srv/links/", raw(0xe9)), join("target ", raw(0xe9))),
    symlink("srv/links/long", "t/".repeat(300)),
    file("srv/links/first", "content of three names", { mode: 0o640 }),
    hardlink("srv/links/second", "srv/links/first", { mode: 0o640 }),
    hardlink("srv/third", "srv/links/first", { mode: 0o640 }),
    hardlink("srv/links/same symlink", "srv/links/relative", { mode: 0o777 }),
    dir("srv/sparse"),
    sparse("srv/sparse/holes", 5_000_000, [
      [131_072, noise(4096, 1)],
      [2_097_152, Buffer.from(text(700))],
    ]),
    sparse("srv/sparse/all hole", 3_000_000, []),
    sparse("srv/sparse/data at the end", 1_052_672, [[1_048_576, noise(4096, 2)]]),
    sparse("srv/sparse/data at the beginning", 2_000_000, [[0, noise(4096, 3)]]),
    sparse(`srv/sparse/${"s".repeat(150)}`, 1_000_000, [[500_000, Buffer.from("in the middle")]]),
  ];
}

/** What the format can say and no file system takes. */
export function extremes(): Item[] {
  const longPath = `srv/${"a-directory/".repeat(420)}file`;
  return [
    dir("srv", { mtime: -62_135_596_800_000_000_001n }),
    file(`srv/${"c".repeat(5000)}`, "one name of 5,000 bytes"),
    file(longPath, "a path of more than 5,000 bytes", { mtime: 2n ** 60n * 1_000_000_000n + 1n }),
    hardlink("srv/twin", longPath),
    symlink("srv/symlink", "/".repeat(6000)),
    file("srv/owners", "large numbers and long names", {
      uid: 4_294_967_294,
      gid: 9_007_199_254_740_991,
      uname: "u".repeat(40),
      gname: "grüppe",
    }),
    sparse("srv/many runs", 4_000_000, runs(2000)),
  ];
}

function runs(count: number): [number, Buffer][] {
  return Array.from({ length: count }, (_, i) => [i * 2000 + 500, Buffer.from(`run ${i}`)]);
}

/** More than two blocks on storage and more than two frames: a tree of hashes that is not a complete one. */
export function large(): Item[] {
  return [
    dir("srv"),
    file("srv/text before", text(40_000)),
    file("srv/noise", noise(2_150_000, 4)),
    file("srv/text after", text(60_000)),
    ...Array.from({ length: 300 }, (_, i) => file(`srv/small-${i}`, text(i % 7))),
  ];
}

/** A run that could not read everything. */
export function partial(): Item[] {
  return [
    dir("srv"),
    file("srv/readable", "whole"),
    troubled("srv/shrank while it was read", 5000, noise(1200, 5), "changed"),
    troubled("srv/denied in the middle", 300, Buffer.from("up to here"), "denied"),
    file("srv/after", "whole again"),
  ];
}

const kept = (from?: string): Item[] =>
  [
    file("srv/kept.txt", "the same all along\n"),
    file(join("srv/kept ", raw(0xe9)), "the same, under a name that is not UTF-8"),
    file("srv/data/kept.bin", noise(120_000, 6)),
    sparse("srv/data/kept sparse", 1_500_000, [
      [65_536, noise(4096, 7)],
      [1_048_576, Buffer.from(text(50))],
    ]),
  ].map((item) => (from ? { ...item, from } : item));

const linked = (): Item[] => [
  file("srv/linked", "one content", { mode: 0o600 }),
  hardlink("srv/data/linked too", "srv/linked", { mode: 0o600 }),
  symlink("srv/current", "data"),
];

const DAY = 86_400_000_000_000n;
const later = (days: bigint) => 1_709_210_096_000_000_000n + days * DAY;

/** The first run of a chain: full. */
export function chainFull(): Item[] {
  return [
    dir("srv"),
    dir("srv/data"),
    ...kept(),
    ...linked(),
    file("srv/renewed.txt", "first content\n"),
    file("srv/chmod later", "same bytes, other mode", { mode: 0o644 }),
    file("srv/removed.txt", "not in the second run"),
    dir("srv/removed"),
    file("srv/removed/inside", "gone with its directory"),
    file("srv/file then directory", "a file at first"),
    dir("srv/directory then file"),
    file("srv/directory then file/inside", "below what becomes a file"),
    file("srv/file then symlink", "a file that becomes a link to kept.txt"),
  ];
}

/** The second: refers to the first; names vanish, and change their kind. */
export function chainSecond(first: string): Item[] {
  return [
    dir("srv", { mtime: later(1n) }),
    dir("srv/data"),
    ...kept(first),
    ...linked(),
    file("srv/renewed.txt", "second content, longer\n", { mtime: later(1n) }),
    { ...file("srv/chmod later", "same bytes, other mode", { mode: 0o600 }), from: first },
    dir("srv/file then directory", { mtime: later(1n) }),
    file("srv/file then directory/inside", "new in the second run", { mtime: later(1n) }),
    file("srv/directory then file", "now a file", { mtime: later(1n) }),
    symlink("srv/file then symlink", "kept.txt", { mtime: later(1n) }),
    file("srv/new in the second", noise(3000, 8), { mtime: later(1n) }),
  ];
}

/** The third: refers to both, and lines of unchanged files stand before those of their directories. */
export function chainThird(first: string, second: string): Item[] {
  const [text0, latin, bin, holes] = kept(first) as [Item, Item, Item, Item];
  return [
    text0,
    latin,
    { ...file("srv/new in the second", noise(3000, 8), { mtime: later(1n) }), from: second },
    { ...file("srv/file then directory/inside", "new in the second run", { mtime: later(1n) }), from: second },
    dir("srv", { mtime: later(2n) }),
    bin,
    dir("srv/data", { mode: 0o750 }),
    ...linked(),
    file("srv/renewed.txt", "third\n", { mtime: later(2n) }),
    { ...file("srv/chmod later", "same bytes, other mode", { mode: 0o640 }), from: first },
    dir("srv/file then directory", { mtime: later(1n) }),
    dir("srv/directory then file", { mtime: later(2n) }),
    file("srv/directory then file/other", "a directory again", { mtime: later(2n) }),
    file("srv/file then symlink", "and a file again", { mtime: later(2n) }),
    { ...holes, from: first },
    file("srv/new in the third", "only here", { mtime: later(2n) }),
  ];
}
