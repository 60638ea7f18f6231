import { XVaultError } from "@xvault/kernel";
import { problem } from "./diagnostics.ts";
import type { Link } from "./link.ts";
import { type RemoteProcess, runRemote, splitNul } from "./remote-process.ts";
import { quietReadMs } from "./silence.ts";
import type { Capabilities, TargetOptions } from "./types.ts";

/** So many files may wait for being read back. */
const BACKLOG = 4096;
const AT_ONCE = 64;
const SCRIPT = `exec xargs -0 -r -n ${AT_ONCE} sha256sum -z`;

/**
 * Reads files back on the source, by its own sha256sum, and compares them with the hashes of the index. One command runs for the whole
 * restore; it reads behind the writing.
 */
export class WrittenCheck {
  readonly #link: Link;
  readonly #capabilities: Capabilities;
  readonly #options: TargetOptions;
  readonly #expected: { path: Buffer; sha256: string; bytes: number }[] = [];
  #head = 0;
  /** Read back last. */
  #last: Buffer | null = null;
  #process: Promise<RemoteProcess | null> | null = null;
  #reading: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  #wake: (() => void)[] = [];

  constructor(link: Link, capabilities: Capabilities, options: TargetOptions) {
    this.#link = link;
    this.#capabilities = capabilities;
    this.#options = options;
  }

  /**
   * Has a file of so many bytes read back that stands there now. Waits when many are waiting already.
   *
   * @throws STORAGE_FAILED for one that is wrong
   */
  async add(path: Buffer, sha256: string, bytes: number): Promise<void> {
    const process = await (this.#process ??= this.#start());
    if (!process) return;
    while (this.#expected.length - this.#head >= BACKLOG && !this.#failure) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    if (this.#failure) throw this.#failure;
    this.#expected.push({ path, sha256, bytes });
    await process.write(Buffer.concat([path, Buffer.from([0])]));
  }

  /** Waits until all are read. @throws STORAGE_FAILED, CONNECTION_LOST, CANCELLED */
  async finish(): Promise<void> {
    const process = await this.#process;
    if (!process) return;
    process.endInput();
    await this.#reading;
    if (this.#failure) throw this.#failure;
    const unread = this.#expected[this.#head];
    if (unread) throw wrong(unread.path, "cannot be read back");
  }

  abort(): void {
    void this.#process?.then((process) => process?.abort()).catch(() => {});
  }

  async #start(): Promise<RemoteProcess | null> {
    const { signal } = this.#options;
    if (!this.#capabilities.shell || !(await this.#hasTools())) {
      const message = "what was written could not be read back: the server has no shell with xargs and sha256sum";
      this.#options.onProblem?.(problem(Buffer.from("/"), "unreadable", message));
      return null;
    }
    const process = await runRemote(this.#link, SCRIPT, {
      does: "reads back what was restored (sha256sum)",
      // It says nothing of a file while it reads it, and what it says of small ones it keeps until it has read all that it was started for.
      limitMs: ({ read }) => read + quietReadMs(this.#nextBytes()),
      owes: () => this.#expected.length - this.#head >= AT_ONCE,
      last: () => this.#last,
      signal,
    });
    this.#reading = this.#read(process).catch((error: unknown) => {
      this.#failure ??= error;
      this.#release();
    });
    return process;
  }

  async #hasTools(): Promise<boolean> {
    const probe = await runRemote(this.#link, "printf x | sha256sum -z && printf x | xargs -0 -r -n 1 true", {
      does: "tells whether the server has sha256sum",
      limitMs: ({ answer }) => answer,
      signal: this.#options.signal,
    });
    probe.endInput();
    for await (const _ of probe.stdout);
    return (await probe.exit).code === 0;
  }

  async #read(process: RemoteProcess): Promise<void> {
    // Each record: 64 digits, two characters, the path.
    for await (const record of splitNul(process.stdout)) {
      const next = this.#expected[this.#head];
      if (!next) throw new XVaultError("REMOTE_FAILED", "The source's sha256sum said more than it was asked.");
      if (!record.subarray(66).equals(next.path)) throw wrong(next.path, "cannot be read back");
      if (record.toString("latin1", 0, 64) !== next.sha256) throw wrong(next.path, "has other bytes than were written");
      this.#last = next.path;
      this.#head += 1;
      if (this.#head === AT_ONCE * 16) {
        this.#expected.splice(0, this.#head);
        this.#head = 0;
      }
      this.#release();
    }
  }

  /** Of the files that sha256sum may be reading now. */
  #nextBytes(): number {
    return this.#expected.slice(this.#head, this.#head + AT_ONCE).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #release(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}

function wrong(path: Buffer, what: string): XVaultError {
  return new XVaultError("STORAGE_FAILED", `On the target, '${path.toString()}' ${what}.`, {
    fix: "Check the target's disk; the restore can be run again with the policy 'always'.",
    retry: false,
    data: { path: path.toString() },
  });
}
