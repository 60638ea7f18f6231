import type { BucketClock, DataRun, FileEntry, PathProblem, TreeTarget, TreeTargetOptions } from "@xvault/kernel";
import type { SilenceLimits } from "./silence.ts";
import type { RateLimit } from "./throttle.ts";

/** Decides which addresses may be connected to at all; built from the operator's ranges. */
export interface AddressPolicy {
  /** `ip` is a canonical IPv4 or IPv6 address; mapped IPv4 arrives as plain IPv4. */
  allow(ip: string): boolean;
}

/** The key by which a server proves who it is. */
export interface HostKey {
  /** The key's type as its blob names it: 'ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', … */
  algorithm: string;
  /** The public key blob, base64. */
  key: string;
  /** 'SHA256:' and the unpadded base64 of the blob's SHA-256, as `ssh-keygen -l` prints it. */
  fingerprint: string;
}

export type Credential =
  | { kind: "key"; privateKey: string; passphrase?: string | undefined }
  | { kind: "password"; password: string };

export interface ProbeOptions {
  host: string;
  port: number;
  policy: AddressPolicy;
  signal?: AbortSignal | undefined;
  /** The seam for name resolution: every address of a name. Default: the system's resolver. */
  resolve?: ((host: string) => Promise<string[]>) | undefined;
  /** How long connecting and the handshake may take each. Milliseconds, default 15,000. */
  timeoutMs?: number | undefined;
}

export interface ConnectOptions extends ProbeOptions {
  username: string;
  /** The confirmed key. Anything else is refused before a credential is sent. */
  hostKey: HostKey;
  credential: Credential;
  /** A link that answers nothing is given up after four of these. Milliseconds, default 15,000. */
  keepaliveMs?: number | undefined;
  /** What is silent for longer than this while it is waited for hangs, however well the link holds: it is given up with CONNECTION_LOST. */
  silence?: Partial<SilenceLimits> | undefined;
  onEvent?: ((event: SourceEvent) => void) | undefined;
  /** How fast the source may be read: all that it sends over the channels of this connection. Default: as fast as it goes. */
  bandwidth?: RateLimit | undefined;
  /** The seam for the limit's time. */
  throttleClock?: BucketClock | undefined;
}

/** What the host offers, found by asking it. */
export interface Capabilities {
  shell: boolean;
  gnuTar: boolean;
  gnuFind: boolean;
  sftp: boolean;
  /** What 'auto' means on this host. */
  transport: Transport;
}

export type Transport = "tar" | "sftp";

/** What a connection tells while it works. Texts are for people and never secret. */
export type SourceEvent =
  | {
      type: "connected";
      address: string;
      roundTripMs: number;
      /** By which what comes from the source is enciphered. */
      cipher: string;
      /** Whether packets are deciphered the fast way. */
      fast: boolean;
    }
  | { type: "capabilities"; capabilities: Capabilities }
  | { type: "pull"; transport: Transport }
  | { type: "skipped-specials"; count: number }
  | { type: "note"; message: string };

/** What is to be taken from a source. */
export interface PullPlan {
  /** Absolute paths: directories, single files, or symbolic links (taken as links together with what they lead to). */
  paths: readonly string[];
  /** Patterns in gitignore syntax, relative to each path, matched byte by byte as git does. */
  excludes: readonly string[];
  /** Stay on the file system of each path. Over SFTP this needs a server that knows statvfs. */
  oneFileSystem: boolean;
  /** Default 'auto'. */
  transport?: Transport | "auto" | undefined;
  /**
   * A directory that holds something of one of these names is taken as an empty directory. 'CACHEDIR.TAG' counts only where it is a file
   * that begins with the signature of the Cache Directory Tagging Specification.
   */
  excludeIfPresent?: readonly string[] | undefined;
  /** Limits for regular files by the size that the listing tells, both included; null or absent: none. */
  minFileBytes?: number | null | undefined;
  maxFileBytes?: number | null | undefined;
  /** Only regular files whose mtime is at most so many whole seconds before `agesFromNs`. One in the future counts as new. */
  newerThanSeconds?: number | null | undefined;
  /** Only regular files whose mtime is at least so many whole seconds before `agesFromNs`. */
  olderThanSeconds?: number | null | undefined;
  /** From when ages are counted. Default: the source's clock when the connection was made, or else ours. */
  agesFromNs?: bigint | undefined;
}

/** One thing as a listing sees it, before anything is opened. */
export interface ScanItem {
  /** As in `FileEntry`: the absolute path without its leading '/'. */
  path: Buffer;
  type: "file" | "dir" | "symlink";
  size: number;
  /** Nanoseconds since 1970; whole seconds over SFTP. */
  mtimeNs: bigint;
  /** Permission bits with set-id and sticky bits, as in `FileEntry`. */
  mode: number;
  uid: number;
  gid: number;
  /** Owner names where the source has them (GNU find). */
  uname?: string | undefined;
  gname?: string | undefined;
  /** How many names the file has, where the transport tells it (GNU find), as are these two. */
  nlink?: number | undefined;
  ctimeNs?: bigint | undefined;
  inode?: bigint | undefined;
}

/** A file of which a pull had begun to bring the content: its path and what it was then. */
export type BrokenFile = Pick<ScanItem, "path" | "size" | "mtimeNs" | "ctimeNs" | "inode">;

/** One entry on its way, with its content where it has any. */
export interface PulledEntry {
  entry: FileEntry;
  /** `bodyLength(entry)` bytes; null for what has no content. What is not consumed before the next entry is dropped. */
  body: AsyncIterable<Buffer> | null;
}

/** Reads a tar stream; given by the caller, so that tar has one home. */
export type TarParser = (
  bytes: AsyncIterable<Buffer>,
) => AsyncGenerator<{ entry: FileEntry; body: AsyncIterable<Buffer> | null }, void, undefined>;

export interface ScanOptions {
  signal?: AbortSignal | undefined;
  onProblem?: ((problem: PathProblem) => void) | undefined;
}

/**
 * How the listing that feeds a pull goes: it begins (again after a link dropped, without what was dealt with before), it has to wait until the
 * source takes what was let in (told whenever it does), it has come to its end.
 */
export type ListingState = "begun" | "waiting" | "ended";

export interface PullOptions extends ScanOptions {
  parseTar: TarParser;
  /**
   * Told, when the link breaks, of a file that had arrived whole and of which it was not compared yet whether it changed meanwhile. Without it
   * that is a problem.
   */
  onUncompared?: ((file: BrokenFile) => void) | undefined;
  /**
   * Leaves out what it says no to (an incremental run's plan). Directories that are left out are still descended into. Called for one
   * item after the other; a promise holds the listing up. It must not wait for an entry that it let in before: the source sends entries in
   * blocks and may owe the last ones until it is asked for more.
   */
  select?: ((item: ScanItem) => boolean | Promise<boolean>) | undefined;
  onListing?: ((state: ListingState) => void) | undefined;
}

/** Totals of a tree. Specials are FIFOs, sockets and devices, which are never taken. */
export interface Measure {
  files: number;
  dirs: number;
  symlinks: number;
  specials: number;
  bytes: number;
  problems: number;
}

export interface RemoteEntry {
  /** UTF-8, with U+FFFD for what is not. */
  name: string;
  /** The exact name in base64, where it is not UTF-8. */
  nameB64?: string | undefined;
  type: "file" | "dir" | "symlink" | "other";
  size: number;
  /** ISO 8601, or null where the server does not tell. */
  mtime: string | null;
}

export interface Listing {
  path: string;
  /** Directories first, then by name. At most 5,000. */
  entries: RemoteEntry[];
  truncated: boolean;
}

export interface PreflightCheck {
  id: string;
  label: string;
  status: "ok" | "warning" | "failed";
  message: string;
  fix?: string | undefined;
}

export interface TargetOptions extends TreeTargetOptions {
  /**
   * Names one restore over all its attempts (letters, digits, '-'): another attempt under this name goes on where the one before broke off.
   * Until the end a small file `.xvault-restore-{name}` lies in the target.
   */
  resume?: string | undefined;
  /** Write and make nothing: only tell of each entry what would become of it, and of the room that there is. */
  dryRun?: boolean | undefined;
  /** Read every written file back on the source and compare it with its hash. Needs a shell with sha256sum there. */
  verify?: boolean | undefined;
  /** Told of what was restored only in part: an owner that could not be set, a hard link that became a copy. */
  onProblem?: ((problem: PathProblem) => void) | undefined;
}

/** What a source's own clock said. File systems may stamp up to some ten milliseconds behind it, network ones by another clock altogether. */
export interface SourceClock {
  /** Nanoseconds since 1970. A file whose mtime or ctime is not older may have changed since the connection was made. */
  atNs: bigint;
  /** By how much it is ahead of ours (negative: behind), give or take `uncertaintyMs`. */
  skewMs: number;
  uncertaintyMs: number;
}

/** A source that is connected and authenticated. One pull, scan or restore at a time is meant; browsing beside it is fine. */
export interface SourceConnection {
  readonly capabilities: Capabilities;
  /** The address that was checked and connected to. */
  readonly address: string;
  readonly roundTripMs: number;
  /** The source's clock when the connection was made; null where it has no shell to ask. */
  readonly clock: SourceClock | null;
  /** Tools, each path, and a bounded estimate of the size. */
  preflight(options: { paths: readonly string[]; signal?: AbortSignal }): Promise<PreflightCheck[]>;
  /** The children of one directory. Throws PATH_INVALID, PATH_MISSING, PATH_DENIED. */
  browse(path: string | Buffer): Promise<Listing>;
  /** Everything that a pull of the plan would take, without opening a file: parents before children. */
  scan(plan: PullPlan, options?: ScanOptions): AsyncGenerator<ScanItem, void, undefined>;
  /** The totals of `scan`. `onProgress` is called every 1,000 items. */
  measure(plan: PullPlan, onProgress?: (sofar: Measure) => void, options?: ScanOptions): Promise<Measure>;
  /**
   * Streams the plan's tree. Ends normally only when everything that the source has was seen; what could not be read was told to
   * `onProblem` then.
   *
   * @throws CONNECTION_LOST, PATH_MISSING (every path), NOTHING_READABLE, REMOTE_FAILED, PATH_INVALID, CANCELLED
   */
  pull(plan: PullPlan, options: PullOptions): AsyncGenerator<PulledEntry, void, undefined>;
  /**
   * Reads ranges of one file, to go on where a pull broke off (`keepConnected` does). What is missing comes as zeros. Returns whether the file
   * was still the one that is meant, before and after.
   *
   * @throws CONNECTION_LOST, CANCELLED
   */
  reread(
    file: BrokenFile,
    ranges: readonly DataRun[],
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, boolean, undefined>;
  /** A directory on the source as a place to restore to. It is made when missing. */
  target(root: string, options?: TargetOptions): Promise<TreeTarget>;
  close(): void;
}
