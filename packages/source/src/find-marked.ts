import { XVaultError } from "@xvault/kernel";
import type { Link } from "./link.ts";
import { runRemote, splitNul, throughXargs } from "./remote-process.ts";
import type { Selection } from "./selection.ts";

/** The one marker that counts by what it holds (Cache Directory Tagging Specification). */
export const CACHE_TAG = "CACHEDIR.TAG";
export const CACHE_SIGNATURE = Buffer.from("Signature: 8a477f597d28d172789f06886806bc55");

/**
 * The directories below a selection's roots that hold a marker, as latin1 paths. find passes on a directory before it knows what the directory
 * holds, so this takes a walk of its own, which brings the marked directories' names alone. What it cannot read the listing tells of.
 *
 * @throws CONNECTION_LOST, REMOTE_FAILED, CANCELLED
 */
export async function findMarked(
  link: Link,
  selection: Selection,
  oneFileSystem: boolean,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const { markers, roots } = selection;
  const marked = new Set<string>();
  if (markers.length === 0) return marked;
  const tests = markers.map((marker, index) => `-name "\${${index + 1}}"${marker === CACHE_TAG ? IS_CACHE_TAG : ""}`);
  const start = `"\${${markers.length + 1}}"`;
  const found = `"(" ${tests.join(" -o ")} ")" -printf "%h\\0"`;
  const inner = `exec find -P ${start} ${oneFileSystem ? "-xdev " : ""}-mindepth 1 ${found} -o ${SIGN_OF_LIFE}`;
  const process = await runRemote(link, throughXargs(inner, markers.length + 1), {
    does: "looks for what exclude_if_present names (find)",
    limitMs: ({ list }) => list,
    signal,
  });
  try {
    // A marker's name stands for itself alone.
    const names = markers.map((marker) => marker.replace(/[[\]*?\\]/g, "\\$&"));
    const words = roots.flatMap((root) => [...names.map((name) => Buffer.from(name)), root]);
    await process.write(Buffer.concat(words.flatMap((word) => [word, Buffer.from([0])])));
    process.endInput();
    for await (const record of splitNul(process.stdout)) {
      if (record[0] !== SPACE) marked.add(record.toString("latin1") || "/");
    }
    const { code } = await process.exit;
    // 123: one of the finds met something that it could not read.
    if (code !== 0 && code !== 123) {
      throw new XVaultError("REMOTE_FAILED", `Listing the source failed: ${process.lastWords() || `exit ${code}`}`);
    }
  } finally {
    process.abort();
  }
  return marked;
}

/**
 * Without it find would say nothing of a tree without markers. It holds back 4 KiB of what it prints: with 17 bytes for each, some 240 directories.
 */
const SIGN_OF_LIFE = '-type d -printf "%16d\\0"';
/** What the sign begins with, and no path. */
const SPACE = 0x20;
const HEAD = `head -c ${CACHE_SIGNATURE.length} \\"\\$1\\"`;
const IS_CACHE_TAG = ` -type f -exec sh -c "test \\"\\$(${HEAD})\\" = \\"${CACHE_SIGNATURE.toString()}\\"" find "{}" ";"`;
