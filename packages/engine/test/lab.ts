import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ArtifactReader, createLocalTarget } from "@xvault/archive";
import type { JobPayloadOf, JobResult, Manifest, StorageRef } from "@xvault/contracts";
import {
  type AgeKeyPair,
  generateIdentity,
  generateSigningKey,
  issueCertificate,
  manifestSha256,
  type SigningKey,
} from "@xvault/crypto";
import { isXVaultError, newId, randomBytes, type SnapshotId, type TreeTargetOptions } from "@xvault/kernel";
import { type ConnectOptions, connectSource, type SourceConnection } from "@xvault/source";
import { type ObjectStore, openLocalStore } from "@xvault/storage";
import { sshdAvailable, startSshd, type Sshd, type SshdOptions } from "@xvault/test-kit/ssh";
import {
  type BackupOutcome,
  type BackupRun,
  type CheckedSnapshot,
  checkSnapshot,
  createReportLog,
  keysOf,
  type ReportLog,
  runBackup,
  runRestore,
  type SnapshotObjects,
  type SnapshotPlace,
  storedObjects,
  unsealWithIdentities,
} from "../src/index.ts";

export const TRANSPORTS = ["tar", "sftp"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Which of the programs that a test needs are not here; null when all are. */
export function toolsMissing(...tools: string[]): string | null {
  const missing = tools.filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
  return missing.length > 0 ? `not installed: ${missing.join(", ")}` : null;
}

/** Why integration tests of the engine cannot run here, as a title's end; '' when they can. */
export function because(reason: string | null): string {
  return reason ? ` (skipped: ${reason})` : "";
}

export const noSshd = sshdAvailable();

const freshId = (): string => newId<SnapshotId>();

/** What one backup of the lab ended with. */
export interface LabBackup extends BackupOutcome {
  place: SnapshotPlace;
  published: Manifest[];
  log: ReportLog;
}

export interface BackupChanges {
  /** Default 'sftp': starting the remote shells that tar needs takes most of a small run's time. */
  transport?: Transport;
  place?: Partial<SnapshotPlace>;
  recipients?: string[];
  excludes?: string[];
  canaries?: string[];
  store?: ObjectStore;
  signer?: BackupRun["signer"];
  connect?: Partial<ConnectOptions>;
  signal?: AbortSignal;
  reporter?: BackupRun["reporter"];
  publish?: BackupRun["publish"];
  /** The snapshot to plan from: the run is an incremental one. */
  base?: Pick<LabBackup, "manifest">;
  /** A connection to use instead of one of the run's own. It stays open. */
  over?: SourceConnection;
}

/** A worker with a store on a directory, a hub's root key, a tenant's key pair, and a source behind a real sshd. */
export interface Lab {
  /** Everything temporary lies here. */
  dir: string;
  storeRoot: string;
  store: ObjectStore;
  sshd: Sshd;
  root: SigningKey;
  workerId: string;
  signer: BackupRun["signer"];
  keys: AgeKeyPair;
  place: Pick<SnapshotPlace, "tenant_id" | "source_id">;
  connectOptions(more?: Partial<ConnectOptions>): ConnectOptions;
  /** What `runBackup` is given for these paths, with a snapshot id of its own. */
  run(paths: string[], changes?: BackupChanges): BackupRun & { place: SnapshotPlace; published: Manifest[] };
  backup(paths: string[], changes?: BackupChanges): Promise<LabBackup>;
  check(place: SnapshotPlace, objects?: SnapshotObjects, heldIndexBytes?: number): Promise<CheckedSnapshot>;
  open(place: SnapshotPlace, options?: OpenOptions): Promise<ArtifactReader>;
  /** Restores to a directory on this machine. */
  restore(place: SnapshotPlace, to: string, options?: RestoreOptions): Promise<Extract<JobResult, { type: "restore" }>>;
  /** Everything that lies in the store's directory, also what no reader of the store would see. */
  leftovers(place?: SnapshotPlace): string[];
  stop(): Promise<void>;
}

export interface OpenOptions {
  identities?: string[];
  objects?: SnapshotObjects;
  /** As `checkSnapshot` has it. */
  heldIndexBytes?: number;
}

export interface RestoreOptions extends OpenOptions, TreeTargetOptions {
  paths?: string[];
}

export async function openLab(options: { sshd?: SshdOptions } = {}): Promise<Lab> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "xvault-engine-")));
  const storeRoot = join(dir, "store");
  const store = await openLocalStore({ root: storeRoot });
  const sshd = await startSshd(options.sshd);
  const root = generateSigningKey();
  const workerId = freshId();
  const signer = newSigner(root, workerId);
  const keys = await generateIdentity();
  const planKey = randomBytes(32);
  const place = { tenant_id: freshId(), source_id: freshId() };

  const connectOptions: Lab["connectOptions"] = (more) => ({
    host: sshd.host,
    port: sshd.port,
    username: sshd.username,
    hostKey: sshd.hostKey,
    credential: { kind: "key", privateKey: sshd.privateKey },
    policy: { allow: () => true },
    ...more,
  });

  const run: Lab["run"] = (paths, changes = {}) => {
    const full = { ...place, snapshot_id: freshId(), ...changes.place };
    const published: Manifest[] = [];
    const signal = changes.signal ?? new AbortController().signal;
    return {
      place: full,
      published,
      jobId: freshId(),
      attempt: 1,
      workerId,
      payload: payloadFor(full, paths, {
        host: sshd.host,
        port: sshd.port,
        username: sshd.username,
        hostKey: sshd.hostKey,
        transport: changes.transport ?? "sftp",
        recipients: changes.recipients ?? [keys.recipient],
        excludes: changes.excludes ?? [],
        ...(changes.canaries ? { canaries: changes.canaries } : {}),
        ...(changes.base ? { base: changes.base.manifest } : {}),
      }),
      planKey: async () => Buffer.from(planKey),
      store: changes.store ?? store,
      connect: async () =>
        changes.over ? keptOpen(changes.over) : connectSource(connectOptions({ signal, ...changes.connect })),
      signer: changes.signer ?? signer,
      publish:
        changes.publish ??
        (async (manifest) => {
          published.push(manifest);
        }),
      reporter: changes.reporter ?? createReportLog().reporter,
      signal,
    };
  };

  const lab: Lab = {
    dir,
    storeRoot,
    store,
    sshd,
    root,
    workerId,
    signer,
    keys,
    place,
    connectOptions,
    run,
    async backup(paths, changes = {}) {
      const log = createReportLog();
      const prepared = run(paths, { reporter: log.reporter, ...changes });
      const outcome = await runBackup(prepared);
      return { ...outcome, place: prepared.place, published: prepared.published, log };
    },
    check: (wanted, objects = storedObjects(store, wanted), heldIndexBytes) =>
      checkSnapshot(objects, {
        rootKeys: [root.publicKey],
        expect: wanted,
        ...(heldIndexBytes === undefined ? {} : { heldIndexBytes }),
      }),
    async open(wanted, { identities = [keys.identity], objects, heldIndexBytes } = {}) {
      return unsealWithIdentities(await lab.check(wanted, objects, heldIndexBytes), identities);
    },
    async restore(wanted, to, { paths = [], identities, objects, heldIndexBytes, ...target } = {}) {
      const artifact = await lab.open(wanted, {
        ...(identities ? { identities } : {}),
        ...(heldIndexBytes === undefined ? {} : { heldIndexBytes }),
        ...(objects ? { objects } : {}),
      });
      return restoreTo(artifact, await createLocalTarget(to, target), paths);
    },
    leftovers: (wanted) => filesBelow(wanted ? join(storeRoot, keysOf(wanted).dir) : storeRoot),
    async stop() {
      await sshd.stop();
      // Restored directories may forbid their owner to remove what is in them.
      spawnSync("chmod", ["-R", "u+rwX", dir]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return lab;
}

/** A connection that whoever uses it cannot close. */
function keptOpen(connection: SourceConnection): SourceConnection {
  return new Proxy(connection, {
    get: (target, name) => {
      if (name === "close") return () => {};
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export function restoreTo(
  artifact: ArtifactReader,
  target: Parameters<typeof runRestore>[0]["target"],
  paths: string[] = [],
): ReturnType<typeof runRestore> {
  const { reporter } = createReportLog();
  return runRestore({ artifact, paths, target, reporter, signal: new AbortController().signal });
}

export function newSigner(root: SigningKey, workerId: string): BackupRun["signer"] {
  const key = generateSigningKey();
  const hour = 3_600_000;
  const certificate = issueCertificate(
    {
      workerId,
      publicKey: key.publicKey,
      notBefore: new Date(Date.now() - hour),
      notAfter: new Date(Date.now() + hour),
    },
    root.privateKey,
  );
  return { certificate, privateKey: key.privateKey };
}

export interface PayloadFacts {
  host: string;
  port: number;
  username: string;
  hostKey: Sshd["hostKey"];
  transport: Transport;
  recipients: string[];
  excludes?: string[];
  canaries?: string[];
  /** Manifest of the snapshot to plan from. */
  base?: Manifest;
}

/** The storage that payloads name; the tests open their stores themselves. */
export const DISKS: StorageRef = {
  id: "00000000-0000-7000-8000-000000000000",
  name: "disks",
  place: { kind: "local_fs", config: { folder: "" } },
};

export function payloadFor(place: SnapshotPlace, paths: string[], facts: PayloadFacts): JobPayloadOf<"backup"> {
  const { host, port, username, hostKey, transport, recipients, excludes = [], canaries, base } = facts;
  return {
    type: "backup",
    ...place,
    connection: { host, port, username, host_key: hostKey },
    paths,
    excludes,
    options: { one_file_system: false, transport, ...(canaries ? { canaries } : {}) },
    recipients,
    sequence: base ? base.sequence + 1 : 1,
    previous: base ? { snapshot_id: base.snapshot_id, manifest_sha256: manifestSha256(base) } : null,
    base: base?.snapshot_id ?? null,
    retention: null,
    storages: [DISKS],
  };
}

/** Paths of all files below a directory, relative to it; none when it is not there. */
export function filesBelow(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
      .sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** The code of the error that work ends with, 'none' when it ends well; what is not an error of ours is thrown on. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isXVaultError(error)) return error.code;
    throw error;
  }
  return "none";
}

/** Runs a pipeline of programs in a shell, with arguments `$1`, `$2`…; fails unless every part of it ended well and said nothing. */
export function shell(script: string, args: string[], input?: Buffer): Buffer {
  const done = spawnSync("bash", ["--norc", "-c", `set -eu -o pipefail; ${script}`, "bash", ...args], {
    maxBuffer: 512 * 1024 * 1024,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" },
    ...(input ? { input } : {}),
  });
  const said = done.stderr.toString();
  if (done.status !== 0 || said !== "") throw new Error(`'${script}' ended with ${done.status}: ${said}`);
  return done.stdout;
}

/** A file that age reads an identity from. */
export function identityFile(lab: Lab, identity: string = lab.keys.identity): string {
  const path = join(lab.dir, `identity-${freshId()}.txt`);
  writeFileSync(path, `${identity}\n`, { mode: 0o600 });
  return path;
}
