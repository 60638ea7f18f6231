/** One place of a glob: a byte, or one of what follows. */
type Token = number | typeof ANY | typeof RUN | Uint8Array;
/** '?': one byte, whichever. */
const ANY = -1;
/** '*': any number of bytes within a name. */
const RUN = -2;
/** What stands for a '/' while a pattern is taken apart. */
const SLASH = 0x2f;
/** '**' between slashes: any number of names. */
const NAMES = Symbol("any number of names");

type Part = readonly Token[] | typeof NAMES;

interface Pattern {
  keeps: boolean;
  directoriesOnly: boolean;
  /** Without a slash a pattern is about the last name of a path alone, at any depth. */
  anyDepth: boolean;
  /** A name without wildcards, or the end of one behind a single '*'; both are common, and quick. */
  name: string | null;
  ending: string | null;
  parts: readonly Part[];
}

/**
 * Patterns in gitignore syntax. They are matched as git matches them (`git check-ignore`): byte by byte, so that names which are no UTF-8
 * work and '?' stands for one byte; the last pattern that matches decides; '!' takes back. A pattern that cannot match, as one with an open
 * bracket, matches nothing.
 */
export class Patterns {
  readonly #patterns: readonly Pattern[];

  constructor(lines: readonly string[]) {
    this.#patterns = lines
      .flatMap((text) => Buffer.from(text).toString("latin1").split("\n"))
      .flatMap((line) => parse(line.replace(/\r$/, "")) ?? [])
      .reverse();
  }

  /**
   * Whether a path is left out by itself; one below a directory that is left out is, too, which is the caller's to see to.
   *
   * @param path its bytes as latin1, relative, without a slash at either end
   */
  excludes(path: string, isDirectory: boolean): boolean {
    if (this.#patterns.length === 0) return false;
    const name = path.slice(path.lastIndexOf("/") + 1);
    for (const pattern of this.#patterns) {
      if (pattern.directoriesOnly && !isDirectory) continue;
      if (matches(pattern, path, name)) return !pattern.keeps;
    }
    return false;
  }
}

function matches(pattern: Pattern, path: string, name: string): boolean {
  if (pattern.name !== null) return pattern.name === (pattern.anyDepth ? name : path);
  if (pattern.ending !== null) return name.endsWith(pattern.ending);
  const [first] = pattern.parts;
  if (pattern.anyDepth) return first === NAMES || (first !== undefined && matchName(first, name));
  return matchPath(pattern.parts, path.split("/"));
}

/** Goes back to the last wildcard only, which is enough: what stands before it has matched as early as it can. */
function matchName(tokens: readonly Token[], name: string): boolean {
  let at = 0;
  let next = 0;
  let run = -1;
  let resume = 0;
  for (;;) {
    const token = tokens[next];
    if (token === RUN) {
      run = next++;
      resume = at;
    } else if (token === undefined ? at === name.length : at < name.length && fits(token, name.charCodeAt(at))) {
      if (token === undefined) return true;
      next += 1;
      at += 1;
    } else {
      if (run < 0 || resume >= name.length) return false;
      next = run + 1;
      at = ++resume;
    }
  }
}

/** The same with names for bytes and '**' for '*'. */
function matchPath(parts: readonly Part[], names: readonly string[]): boolean {
  let at = 0;
  let next = 0;
  let run = -1;
  let resume = 0;
  for (;;) {
    const part = parts[next];
    if (part === NAMES) {
      run = next++;
      resume = at;
    } else if (part === undefined ? at === names.length : at < names.length && matchName(part, names[at] ?? "")) {
      if (part === undefined) return true;
      next += 1;
      at += 1;
    } else {
      if (run < 0 || resume >= names.length) return false;
      next = run + 1;
      at = ++resume;
    }
  }
}

function fits(token: Token, byte: number): boolean {
  if (typeof token === "number") return token === ANY || token === byte;
  return token[byte] === 1;
}

function parse(line: string): Pattern | null {
  let text = withoutTrailingSpaces(line);
  if (text === "" || text.startsWith("#")) return null;
  const keeps = text.startsWith("!");
  if (keeps) text = text.slice(1);
  const directoriesOnly = text.endsWith("/");
  if (directoriesOnly) text = text.slice(0, -1);
  const anyDepth = !text.includes("/");
  const anchored = text.startsWith("/") ? text.slice(1) : text;
  const tokens = tokenize(anchored);
  if (!tokens || text === "") return null;
  const literal = tokens.every((token) => typeof token === "number" && token >= 0);
  const rest = tokens.slice(1);
  const single = anyDepth && tokens[0] === RUN && rest.every((token) => typeof token === "number" && token >= 0);
  const asText = (some: readonly Token[]) => String.fromCharCode(...(some as number[]));
  return {
    keeps,
    directoriesOnly,
    anyDepth,
    name: literal ? asText(tokens) : null,
    ending: single ? asText(rest) : null,
    parts: anyDepth ? [tokens] : split(tokens),
  };
}

/** Spaces at the end do not count unless a backslash stands before them. */
function withoutTrailingSpaces(line: string): string {
  let end = 0;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === " ") continue;
    if (line[at] === "\\") at += 1;
    end = at + 1;
  }
  return line.slice(0, end);
}

/** Null for what can never match. */
function tokenize(text: string): Token[] | null {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "?") tokens.push(ANY);
    else if (char === "*") tokens.push(RUN);
    else if (char === "[") {
      const set = readSet(text, at + 1);
      if (!set) return null;
      tokens.push(set.bytes);
      at = set.end;
    } else {
      if (char === "\\") at += 1;
      if (at >= text.length) return null;
      tokens.push(text.charCodeAt(at));
    }
  }
  return tokens;
}

/** Takes a pattern apart at its slashes. A part of nothing but two or more '*' stands for any number of names, at the end for at least one. */
function split(tokens: readonly Token[]): Part[] {
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (token === SLASH) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.flatMap((part, index): Part[] => {
    if (part.length < 2 || !part.every((token) => token === RUN)) return [part];
    return index === parts.length - 1 ? [NAMES, [RUN]] : [NAMES];
  });
}

const CLASSES: Record<string, RegExp> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[^ -~\x80-\xff]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t-\r ]/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};

/** The bytes of a '[…]' whose inside begins at `from`, and where its ']' stands; null when it is malformed. */
function readSet(text: string, from: number): { bytes: Uint8Array; end: number } | null {
  const bytes = new Uint8Array(256);
  let at = from;
  const negated = text[at] === "!" || text[at] === "^";
  if (negated) at += 1;
  /** What a '-' would begin a range with; none at the start and behind a range or a class. */
  let low: number | null = null;
  for (let first = true; ; first = false, at++) {
    if (at >= text.length) return null;
    const char = text[at];
    if (char === "]" && !first) break;
    if (char === "-" && low !== null && at + 1 < text.length && text[at + 1] !== "]") {
      at += text[at + 1] === "\\" ? 2 : 1;
      if (at >= text.length) return null;
      bytes.fill(1, low, Math.max(low, text.charCodeAt(at) + 1));
      low = null;
      continue;
    }
    if (char === "[" && text[at + 1] === ":") {
      const close = text.indexOf("]", at + 2);
      if (close < 0) return null;
      if (close > at + 2 && text[close - 1] === ":") {
        const known = CLASSES[text.slice(at + 2, close - 1)];
        if (!known) return null;
        for (let byte = 0; byte < 256; byte++) if (known.test(String.fromCharCode(byte))) bytes[byte] = 1;
        at = close;
        low = null;
        continue;
      }
    }
    if (char === "\\") at += 1;
    if (at >= text.length) return null;
    low = text.charCodeAt(at);
    bytes[low] = 1;
  }
  if (negated) for (let byte = 0; byte < 256; byte++) bytes[byte] = bytes[byte] ? 0 : 1;
  // A slash is matched by a slash alone; as names hold none, no set sees one.
  return { bytes, end: at };
}
