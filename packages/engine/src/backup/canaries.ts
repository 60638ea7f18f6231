/** Files of a source that nobody has a reason to change, and what they were found to be. */
export class Canaries {
  /** By path; null for one that has not been seen. */
  readonly #found: Map<string, string | null>;

  /** `paths`: absolute, as the source's options name them. */
  constructor(paths: readonly string[] = []) {
    this.#found = new Map(paths.map((path) => [path, null]));
  }

  /** Notes a file that is part of the snapshot, pulled or as it was. */
  note(path: Buffer, sha256: string | undefined): void {
    if (this.#found.size === 0 || sha256 === undefined) return;
    const name = `/${path.toString("utf8")}`;
    if (this.#found.has(name)) this.#found.set(name, sha256);
  }

  /** SHA-256 by path, null for one that was not there; undefined where the source names none. */
  result(): Record<string, string | null> | undefined {
    return this.#found.size === 0 ? undefined : Object.fromEntries(this.#found);
  }
}
