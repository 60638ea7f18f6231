import { type DataRun, XVaultError, type PathProblem, type TreeTarget } from "@xvault/kernel";
import { browseBySftp } from "./browse.ts";
import { probeShell } from "./capabilities.ts";
import { type ListOptions, type Listed, listWithFind, resolveRoots } from "./find-list.ts";
import { type Link, openLink } from "./link.ts";
import { checkPaths } from "./path-checks.ts";
import { reread } from "./reread.ts";
import { cleanPath } from "./selection.ts";
import { pullBySftp } from "./sftp/pull.ts";
import { SftpSession } from "./sftp/session.ts";
import { openTarget } from "./sftp/target.ts";
import { resolveRootsBySftp, walk } from "./sftp/walk.ts";
import { pullByTar } from "./tar-transport.ts";
import type {
  BrokenFile,
  Capabilities,
  ConnectOptions,
  Listing,
  Measure,
  PreflightCheck,
  PulledEntry,
  PullOptions,
  PullPlan,
  ScanItem,
  ScanOptions,
  SourceClock,
  SourceConnection,
  TargetOptions,
  Transport,
} from "./types.ts";
import { WrittenCheck } from "./written-check.ts";

/** So many problems of a pull are remembered, to tell each once. */
const REMEMBERED = 10_000;

/**
 * Connects to a source. The host key is compared, whole, before anything of a credential is sent.
 *
 * @throws HOST_UNRESOLVED, TARGET_FORBIDDEN, HOST_UNREACHABLE, HOST_KEY_CHANGED, LOGIN_REFUSED, USERNAME_INVALID, KEY_INVALID,
 * KEY_PASSPHRASE_REQUIRED, CONNECTION_LOST, CANCELLED
 */
export async function connectSource(options: ConnectOptions): Promise<SourceConnection> {
  const link = await openLink(options);
  const cancel = () => link.close();
  options.signal?.addEventListener("abort", cancel, { once: true });
  try {
    // Side by side: each takes several round trips.
    const [sftp, shell] = await Promise.all([
      SftpSession.open(link).catch((error: unknown) => {
        if (link.lost) throw error;
        return null;
      }),
      probeShell(link, options.signal),
    ]);
    const { address, roundTripMs, cipher, keyObjects } = link;
    options.onEvent?.({ type: "connected", address, roundTripMs, cipher, fast: keyObjects });
    const capabilities: Capabilities = { ...shell.capabilities, sftp: sftp !== null };
    const { clock } = shell;
    options.onEvent?.({ type: "capabilities", capabilities });
    if (!sftp && capabilities.transport === "sftp") {
      throw new XVaultError("REMOTE_FAILED", "The server offers neither SFTP nor a shell with GNU tar and find.", {
        fix: "Enable the SFTP subsystem in sshd_config, or install GNU tar and findutils.",
        retry: false,
      });
    }
    return new Connection(link, sftp, { capabilities, clock }, options.onEvent ?? (() => {}));
  } catch (error) {
    link.close();
    throw options.signal?.aborted ? new XVaultError("CANCELLED", undefined, { cause: error }) : error;
  }
}

class Connection implements SourceConnection {
  readonly capabilities: Capabilities;
  readonly clock: SourceClock | null;
  readonly #link: Link;
  readonly #sftp: SftpSession | null;
  readonly #since: bigint;
  readonly #onEvent: NonNullable<ConnectOptions["onEvent"]>;

  constructor(
    link: Link,
    sftp: SftpSession | null,
    found: { capabilities: Capabilities; clock: SourceClock | null },
    onEvent: NonNullable<ConnectOptions["onEvent"]>,
  ) {
    this.#link = link;
    this.#sftp = sftp;
    this.capabilities = found.capabilities;
    this.clock = found.clock;
    this.#since = found.clock?.atNs ?? BigInt(Date.now()) * 1_000_000n;
    this.#onEvent = onEvent;
  }

  get address(): string {
    return this.#link.address;
  }

  get roundTripMs(): number {
    return this.#link.roundTripMs;
  }

  preflight(options: { paths: readonly string[]; signal?: AbortSignal }): Promise<PreflightCheck[]> {
    return checkPaths(this, this.#sftp, options.paths, options.signal);
  }

  async browse(path: string | Buffer): Promise<Listing> {
    return browseBySftp(this.#needSftp(), path);
  }

  async *scan(plan: PullPlan, options: ScanOptions = {}): AsyncGenerator<ScanItem, void, undefined> {
    yield* this.#list(plan, {
      onProblem: options.onProblem ?? (() => {}),
      onSpecial: () => {},
      signal: options.signal,
    });
  }

  async measure(plan: PullPlan, onProgress?: (sofar: Measure) => void, options: ScanOptions = {}): Promise<Measure> {
    const sum: Measure = { files: 0, dirs: 0, symlinks: 0, specials: 0, bytes: 0, problems: 0 };
    let seen = 0;
    const list = this.#list(plan, {
      signal: options.signal,
      onSpecial: () => {
        sum.specials += 1;
      },
      onProblem: (problem) => {
        sum.problems += 1;
        options.onProblem?.(problem);
      },
    });
    for await (const item of list) {
      if (item.type === "file") sum.files += 1;
      else if (item.type === "dir") sum.dirs += 1;
      else sum.symlinks += 1;
      sum.bytes += item.size;
      if (++seen % 1000 === 0) onProgress?.({ ...sum });
    }
    return sum;
  }

  async *pull(given: PullPlan, options: PullOptions): AsyncGenerator<PulledEntry, void, undefined> {
    if (given.paths.length === 0) throw new XVaultError("PATH_INVALID", "No path was named.");
    const plan = this.#dated(given);
    const transport = this.#transport(plan);
    this.#onEvent({ type: "pull", transport });
    const paths = new Set(plan.paths.map((path) => cleanPath(path).toString("latin1")));
    const failedPaths = new Map<string, PathProblem["kind"]>();
    const told = new Set<string>();
    let specials = 0;
    const hooks = {
      ...options,
      onSpecial: () => {
        specials += 1;
      },
      onNote: (message: string) => this.#onEvent({ type: "note", message }),
      onProblem: (problem: PathProblem) => {
        const path = problem.path.toString("latin1");
        // find and tar both tell of a directory that neither can open.
        const id = `${problem.kind} ${path}`;
        if (told.has(id)) return;
        if (told.size < REMEMBERED) told.add(id);
        if (paths.has(path) && problem.kind !== "changed") failedPaths.set(path, problem.kind);
        options.onProblem?.(problem);
      },
    };
    yield* transport === "tar" ? pullByTar(this.#link, plan, hooks) : pullBySftp(this.#needSftp(), plan, hooks);
    if (specials > 0) this.#onEvent({ type: "skipped-specials", count: specials });
    if (failedPaths.size < paths.size) return;
    const missing = [...failedPaths.values()].every((kind) => kind === "vanished");
    throw new XVaultError(missing ? "PATH_MISSING" : "NOTHING_READABLE", undefined, {
      data: { path: plan.paths[0] ?? null },
    });
  }

  reread(
    file: BrokenFile,
    ranges: readonly DataRun[],
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, boolean, undefined> {
    const { shell, gnuFind } = this.capabilities;
    return reread({ link: this.#link, session: this.#sftp, find: shell && gnuFind }, file, ranges, signal);
  }

  target(root: string, options: TargetOptions = {}): Promise<TreeTarget> {
    const check = options.verify ? new WrittenCheck(this.#link, this.capabilities, options) : null;
    const all = { owner: this.#link.username === "root", ...options };
    return openTarget(this.#needSftp(), cleanPath(root), all, check);
  }

  close(): void {
    this.#sftp?.close();
    this.#link.close();
  }

  /** Ages are counted from one moment for all that a connection is asked. */
  #dated(plan: PullPlan): PullPlan {
    return { ...plan, agesFromNs: plan.agesFromNs ?? this.#since };
  }

  async *#list(given: PullPlan, options: ListOptions): AsyncGenerator<Listed, void, undefined> {
    const plan = this.#dated(given);
    if (this.#transport(plan) === "tar") {
      const ground = await resolveRoots(this.#link, plan, options.signal);
      yield* listWithFind(this.#link, ground, plan.oneFileSystem, options);
    } else {
      const session = this.#needSftp();
      const selection = await resolveRootsBySftp(session, plan);
      yield* walk(session, selection, plan.oneFileSystem, { ...options, readLinks: false });
    }
  }

  #transport(plan: PullPlan): Transport {
    const wanted = plan.transport ?? "auto";
    const { gnuTar, gnuFind, transport } = this.capabilities;
    if (wanted === "auto") return transport;
    if (wanted === "tar" && !(gnuTar && gnuFind)) {
      throw new XVaultError("REMOTE_FAILED", "The source has no shell with GNU tar and find.", {
        fix: "Set the source's transport to 'auto' or 'sftp'.",
        retry: false,
      });
    }
    return wanted;
  }

  #needSftp(): SftpSession {
    if (this.#sftp) return this.#sftp;
    throw new XVaultError("REMOTE_FAILED", "The server offers no SFTP.", {
      fix: "Enable the SFTP subsystem in sshd_config.",
      retry: false,
    });
  }
}
