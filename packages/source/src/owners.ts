/** So many accounts are known at most: each is a test that find makes of a file. */
const KNOWN = 100;

/** Prints the accounts of the host's own files, as lines 'name:number', users' and groups' each ended by a NUL byte. Without single quotes. */
export const PRINT_OWNERS = ["passwd", "group"]
  .map((file) => `head -n ${KNOWN} /etc/${file} 2>/dev/null | cut -d : -f 1,3; printf "\\0"`)
  .join("; ");

/**
 * Names of owners that are known before a listing begins. GNU find looks each owner's name up anew for each file, which takes longer than
 * all the rest of listing it: of these it is not asked.
 */
export class Owners {
  readonly #users: ReadonlyMap<number, string>;
  readonly #groups: ReadonlyMap<number, string>;

  /** @param users lines 'name:number'; of several for a number the first counts, as it does for the host */
  constructor(users: string, groups: string) {
    this.#users = readNames(users);
    this.#groups = readNames(groups);
  }

  user(uid: number): string | undefined {
    return this.#users.get(uid);
  }

  group(gid: number): string | undefined {
    return this.#groups.get(gid);
  }

  /** An expression for find that prints `known` of a file whose user and group are both known, else `unknown`. */
  print(known: string, unknown: string): string {
    if (this.#users.size === 0 || this.#groups.size === 0) return `-printf "${unknown}"`;
    return `"(" ${anyOf("-uid", this.#users)} ${anyOf("-gid", this.#groups)} -printf "${known}" -o -printf "${unknown}" ")"`;
  }
}

function anyOf(test: string, names: ReadonlyMap<number, string>): string {
  return `"(" ${[...names.keys()].map((number) => `${test} ${number}`).join(" -o ")} ")"`;
}

function readNames(lines: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of lines.split("\n")) {
    const [, name, digits] = /^([^:]+):(\d{1,10})$/.exec(line) ?? [];
    if (name === undefined || digits === undefined || names.has(Number(digits))) continue;
    names.set(Number(digits), name);
  }
  return names;
}
