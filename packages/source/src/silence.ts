import { isXVaultError, XVaultError } from "@xvault/kernel";

/** How long the source may send nothing while it is waited for, by what it was asked. Milliseconds. */
export interface SilenceLimits {
  /** A question about single paths, each of which costs it next to nothing; by SFTP as well. An automounter may need a minute to give up. */
  answer: number;
  /** A listing. find tells of all that it comes by, some forty things at a time, but first reads up to 100,000 names of a directory. */
  list: number;
  /** Reading files. An NFS server that is started anew is back within this. */
  read: number;
}

export const USUAL_SILENCE: SilenceLimits = { answer: 120_000, list: 600_000, read: 900_000 };

/** Half of what a network disk behind a line of 100 Mbit/s gives. Bytes per second. */
const SLOWEST = 5_000_000;

/** What a slow disk may need for bytes of which nothing is heard while they are read. Milliseconds. */
export function quietReadMs(bytes: number): number {
  return (bytes / SLOWEST) * 1000;
}

const LONGEST_TICK_MS = 5000;

export interface Watched {
  /** The longest silence. Milliseconds; asked for anew as time passes. */
  limitMs: () => number;
  /** Whether the other side is to send something, and may. */
  waiting: () => boolean;
  /** Called once, with the silence in milliseconds. */
  onStall: (silentMs: number) => void;
}

/**
 * Notices that somebody who owes something sends nothing at all. Counts ticks and not time: a process of ours that is held up itself (by its
 * own work, by a machine that sleeps) must not take its own pause for the other's.
 */
export class SilenceWatch {
  readonly #timer: NodeJS.Timeout;
  #heard = true;
  #silentMs = 0;

  constructor({ limitMs, waiting, onStall }: Watched) {
    const tickMs = Math.max(1, Math.min(LONGEST_TICK_MS, limitMs() / 10));
    this.#timer = setInterval(() => {
      // A wait that began within this tick counts from the next one.
      if (!waiting()) this.#heard = true;
      else if (this.#heard) {
        this.#heard = false;
        this.#silentMs = 0;
      } else if ((this.#silentMs += tickMs) >= limitMs()) {
        this.stop();
        onStall(this.#silentMs);
      }
    }, tickMs).unref();
  }

  /** Something has come. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

// Held against a FUSE mount that answers nothing: find hangs on its mount point with -xdev and with -prune, too.
const FIX =
  "On the source, look for a mount that hangs ('df' hangs on it, too), and bring it back, unmount it, or name paths that do not hold it: " +
  "excludes and one_file_system do not help where the mount point itself gives no answer.";

/**
 * @param who begins the message: 'The command that lists the source's files (find)'
 * @param last the absolute path that was heard of last, from which a person can tell where it hangs
 */
export function stallError(who: string, silentMs: number, last: Buffer | null = null): XVaultError {
  const after = last ? ` after '${last.toString()}'` : "";
  return new XVaultError("CONNECTION_LOST", `${who} sent nothing for ${span(silentMs)}${after}.`, {
    fix: FIX,
    data: { silent_seconds: Math.round(silentMs / 1000) },
  });
}

/** Tells a source that answers nothing from a link that broke, which has the same code. */
export function isStall(error: unknown): error is XVaultError {
  return isXVaultError(error, "CONNECTION_LOST") && error.data?.["silent_seconds"] !== undefined;
}

function span(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const [count, unit] = seconds < 120 ? [seconds, "second"] : [Math.round(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
