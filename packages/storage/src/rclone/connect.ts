import type { ObjectStore } from "../object-store.ts";
import { type Calls, createCalls } from "./calls.ts";
import type { RemoteSettings } from "./check-remote.ts";
import { createDaemon, obscure } from "./daemon.ts";
import { rcloneError, scrubber } from "./failures.ts";
import { createStoreAt, type RemoteFeatures } from "./store.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface RcloneProcessOptions {
  /** The program, default 'rclone'. */
  program?: string | undefined;
  /**
   * What the process finds in its environment besides the remote: a proxy (HTTPS_PROXY), certificates (SSL_CERT_FILE), where providers that
   * take no streams have their uploads spooled (TMPDIR). Nothing is inherited.
   */
  environment?: Readonly<Record<string, string>> | undefined;
  /** The process ends after so long without a call, and is started again by the next. Default five minutes. */
  idleMs?: number | undefined;
  /** Ends the process; calls are CANCELLED from then on. */
  signal?: AbortSignal | undefined;
}

export interface RcloneStore extends ObjectStore {
  /** Ends rclone's process. Calls are CANCELLED from then on. */
  close(): Promise<void>;
}

/** Stores at several paths of one remote, served by one process. */
export interface RemoteConnection {
  at(path: string): ObjectStore;
  close(): Promise<void>;
}

/** Starts rclone for a remote that was checked before. Its `path` counts for nothing here. */
export async function connectRemote(remote: RemoteSettings, options: RcloneProcessOptions): Promise<RemoteConnection> {
  const program = options.program ?? "rclone";
  const secrets = [...Object.values(remote.secret), ...Object.values(remote.obscured)];
  const outside = { PATH, HOME: "/nonexistent", ...options.environment };
  const settings: Record<string, string> = { type: remote.type, ...remote.plain, ...remote.secret };
  for (const [name, password] of Object.entries(remote.obscured)) {
    const hidden = await obscure(program, outside, password);
    secrets.push(hidden);
    settings[name] = hidden;
  }
  const scrub = scrubber(secrets);
  const configured = Object.entries(settings).map(([name, value]) => [`RCLONE_CONFIG_XV_${name.toUpperCase()}`, value]);
  const daemon = createDaemon({
    program,
    environment: { ...outside, ...Object.fromEntries(configured) },
    idleMs: options.idleMs ?? 300_000,
    signal: options.signal,
    scrub,
  });
  const calls = createCalls(daemon, scrub);
  try {
    const features = await featuresOf(calls);
    return { at: (path) => createStoreAt(calls, path, features), close: () => daemon.close() };
  } catch (error) {
    const failure = calls.inWords(error, "open the remote", "");
    await daemon.close();
    throw failure;
  }
}

/** A store on a remote that was checked before. */
export async function openRemote(remote: RemoteSettings, options: RcloneProcessOptions): Promise<RcloneStore> {
  const connection = await connectRemote(remote, options);
  try {
    const store = connection.at(remote.path);
    // Not every provider is spoken to before something is asked of it.
    for await (const _ of store.folders("")) break;
    return { ...store, close: () => connection.close() };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** What the remote can do. One that cannot rename would carry every object through this machine once more, and show it while it comes. */
async function featuresOf(calls: Calls): Promise<RemoteFeatures> {
  const { Features: found } = await calls.ask("operations/fsinfo", {});
  const features = found as Record<string, boolean>;
  if (!features["Move"] && !features["Copy"])
    throw rcloneError("open the remote", "", "this provider can neither rename nor copy a file on its own");
  return { About: features["About"] === true };
}
