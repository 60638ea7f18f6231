/** Files of a source that nobody has a reason to change, and what they were found to be. */
export class Canaries {
  readonly #paths: ReadonlySet<string>;
  readonly #found: Record<string, string> = {};

  /** `paths`: absolute, as the source's options name them. */
  constructor(paths: readonly string[] = []) {
    this.#paths = new Set(paths);
  }

  /** Notes a file that is part of the snapshot, pulled or as it was. */
  note(path: Buffer, sha256: string | undefined): void {
    if (this.#paths.size === 0 || sha256 === undefined) return;
    const name = `/${path.toString("utf8")}`;
    if (this.#paths.has(name)) this.#found[name] = sha256;
  }

  /** SHA-256 by path, of those that were there; undefined where the source names none. */
  result(): Record<string, string> | undefined {
    return this.#paths.size === 0 ? undefined : this.#found;
  }
}
