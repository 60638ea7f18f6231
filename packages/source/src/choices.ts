import type { PathSet } from "./path-set.ts";
import type { BrokenFile, PullOptions, ScanItem } from "./types.ts";

/** The caller's choices during one connection, and what of them is under way. */
export class Choices {
  readonly #done: PathSet;
  readonly #resumed: boolean;
  readonly #select: PullOptions["select"];
  readonly #coming = new Coming();
  #pending: Promise<unknown> | null = null;
  #ended = false;

  constructor(done: PathSet, resumed: boolean, select: PullOptions["select"]) {
    this.#done = done;
    this.#resumed = resumed;
    this.#select = select;
  }

  choose(item: ScanItem): boolean | Promise<boolean> {
    if (this.#ended || (this.#resumed && this.#done.has(item.path))) return false;
    const answer = this.#select?.(item) ?? true;
    if (typeof answer === "boolean") return this.#chosen(item, answer);
    const chosen = answer.then((yes) => this.#chosen(item, yes));
    this.#pending = chosen;
    return chosen;
  }

  #chosen(item: ScanItem, yes: boolean): boolean {
    if (!yes) this.#done.add(item.path);
    else if (item.type === "file") this.#coming.push(item);
    return yes;
  }

  /** What the listing said of an entry. Entries come in the order of the listing; those that fell out before it will not come. */
  delivered(path: Buffer): Pick<BrokenFile, "ctimeNs" | "inode"> | undefined {
    return this.#coming.take(path);
  }

  /** Asks nothing more. */
  end(): void {
    this.#ended = true;
  }

  /** Resolves when the last answer is known, so that nothing is asked about twice at a time. */
  async settled(): Promise<void> {
    this.end();
    await this.#pending?.catch(() => {});
  }
}

/**
 * Files that were let in and not yet delivered, in order: as many as the source holds names of, which are tens of thousands. So each is kept as
 * a text and two numbers and not as the item that the listing gave.
 */
class Coming {
  #paths: string[] = [];
  /** Change times and inodes, in turn; 0 where the source does not tell them. */
  #numbers = new BigInt64Array(2 * 1024);
  #head = 0;

  push({ path, ctimeNs = 0n, inode = 0n }: ScanItem): void {
    const at = 2 * this.#paths.length;
    if (at === this.#numbers.length) {
      const more = new BigInt64Array(2 * at);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#numbers[at] = ctimeNs;
    this.#numbers[at + 1] = inode;
    this.#paths.push(path.toString("latin1"));
  }

  take(path: Buffer): Pick<BrokenFile, "ctimeNs" | "inode"> | undefined {
    const at = this.#paths.indexOf(path.toString("latin1"), this.#head);
    if (at < 0) return undefined;
    this.#head = at + 1;
    const ctimeNs = this.#numbers[2 * at];
    const inode = this.#numbers[2 * at + 1];
    if (this.#head > 1024 && this.#head * 2 > this.#paths.length) {
      this.#numbers.copyWithin(0, 2 * this.#head, 2 * this.#paths.length);
      this.#paths = this.#paths.slice(this.#head);
      this.#head = 0;
    }
    return {
      ctimeNs: ctimeNs || undefined,
      inode: inode === undefined || inode === 0n ? undefined : BigInt.asUintN(64, inode),
    };
  }
}
