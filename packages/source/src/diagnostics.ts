import type { PathProblem } from "@xvault/kernel";

/** Undoes the C-style escapes in which GNU tools print names. */
export function unescapeName(text: Buffer): Buffer {
  const raw = text.toString("latin1");
  const plain = raw.replace(/\\([0-7]{3}|.)/gs, (_all, code: string) => {
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code, 8));
    return { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07" }[code] ?? code;
  });
  return Buffer.from(plain, "latin1");
}

function kindOf(reason: string): PathProblem["kind"] {
  if (/permission denied|not permitted/i.test(reason)) return "denied";
  if (/no such file|not a directory|stale/i.test(reason)) return "vanished";
  return "unreadable";
}

const SENTENCES: Record<PathProblem["kind"], string> = {
  denied: "The login user may not read it.",
  vanished: "It is not there (any more).",
  changed: "It changed while it was read; what was stored may mix old and new content.",
  unreadable: "It could not be read.",
  name: "Its name cannot be stored.",
};

/** A problem with the sentence that people read; `detail` is what the source said. */
export function problem(path: Buffer, kind: PathProblem["kind"], detail?: string): PathProblem {
  return { path, kind, message: detail ? `${SENTENCES[kind]} (${detail})` : SENTENCES[kind] };
}

/** What a line of GNU find's standard error (LC_ALL=C) says of a path, or null. */
export function readFindLine(line: Buffer): PathProblem | null {
  const found = /^find: '(.*)': ([^:]*)$/s.exec(line.toString("latin1"));
  if (!found) return null;
  const reason = found[2] ?? "";
  return problem(unescapeName(Buffer.from(found[1] ?? "", "latin1")), kindOf(reason), reason);
}

const TAR_LINES: [RegExp, PathProblem["kind"] | null][] = [
  [/^tar: (.*?): (?:Warning: )?Cannot [a-z ]+: ([^:]*)$/s, null],
  [/^tar: (.*?): (?:Warning: )?Read error at byte [^:]*: ([^:]*)$/s, null],
  [/^tar: (.*): (File removed before we read it)$/s, "vanished"],
  [/^tar: (.*): (file changed as we read it)$/s, "changed"],
  [/^tar: (.*): (File shrank by \d+ bytes?; padding with zeros)$/s, "changed"],
];

/**
 * What a line of GNU tar's standard error (LC_ALL=C, --quoting-style=escape, run from '/') says: a problem with a path, 'noise', or
 * 'unknown'.
 */
export function readTarLine(line: Buffer): PathProblem | "noise" | "unknown" {
  const text = line.toString("latin1");
  for (const [pattern, kind] of TAR_LINES) {
    const found = pattern.exec(text);
    if (!found) continue;
    const reason = found[2] ?? "";
    const name = unescapeName(Buffer.from(found[1] ?? "", "latin1"));
    return problem(Buffer.concat([Buffer.from("/"), name]), kind ?? kindOf(reason), reason);
  }
  if (/Exiting with failure status|: socket ignored$|: door ignored$|Removing leading/.test(text)) return "noise";
  return "unknown";
}
