import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Manifest } from "@xvault/contracts";
import {
  formatRecoveryKit,
  generateIdentity,
  generateSigningKey,
  issueCertificate,
  manifestSha256,
} from "@xvault/crypto";
import { type BackupRun, createReportLog, runBackup } from "@xvault/engine";
import { type FileEntry, newId } from "@xvault/kernel";
import { openLocalStore } from "@xvault/storage";
import { writeFile } from "node:fs/promises";

/** Files of the tree that is backed up: path → content. One name is not UTF-8. */
export const FILES: [Buffer, Buffer][] = [
  [Buffer.from("srv/app/hello.txt"), Buffer.from("hello, recovered world\n")],
  [Buffer.from("srv/app/empty"), Buffer.alloc(0)],
  [Buffer.from("srv/app/größe ' quote.txt"), Buffer.from("names survive")],
  [Buffer.concat([Buffer.from("srv/app/latin-"), Buffer.from([0xe9])]), Buffer.from("not UTF-8")],
  // Three blocks of 1 MiB, so that damage can be put into a later one.
  [Buffer.from("srv/big.bin"), randomBytes(3 * 1024 * 1024)],
];

export interface MadeStorage {
  /** The storage's base directory. */
  base: string;
  rootKey: string;
  identity: { identity: string; recipient: string };
  /** A recovery kit's file. */
  kit: string;
  /** Backs the tree up once more; with `incremental` it takes from the previous snapshot what has not changed. */
  backUp(options?: {
    files?: [Buffer, Buffer][];
    createdAt?: Date;
    previous?: Manifest;
    incremental?: boolean;
  }): Promise<{
    manifest: Manifest;
    directory: string;
  }>;
}

/** A storage with the platform's keys around it, filled by the engine's own backup. */
export async function makeStorage(directory: string): Promise<MadeStorage> {
  const base = join(directory, "storage");
  const root = generateSigningKey();
  const signing = generateSigningKey();
  const identity = await generateIdentity();
  const workerId = newId();
  const certificate = issueCertificate(
    {
      workerId,
      publicKey: signing.publicKey,
      notBefore: new Date(Date.now() - 86_400_000),
      notAfter: new Date(Date.now() + 86_400_000),
    },
    root.privateKey,
  );
  const kit = join(directory, "kit.txt");
  const text = formatRecoveryKit({
    ...identity,
    workspace: "Test",
    hubRootPublicKey: root.publicKey,
    createdAt: new Date(),
    url: "http://localhost:8420",
  });
  await writeFile(kit, text, { mode: 0o600 });
  const tenantId = newId();
  const sourceId = newId();
  const planKey = randomBytes(32);
  let sequence = 0;

  return {
    base,
    rootKey: root.publicKey,
    identity,
    kit,
    async backUp({ files = FILES, createdAt = new Date(), previous, incremental = false } = {}) {
      const snapshotId = newId();
      sequence += 1;
      const run: BackupRun = {
        jobId: newId(),
        attempt: 1,
        workerId,
        payload: {
          type: "backup",
          tenant_id: tenantId,
          source_id: sourceId,
          snapshot_id: snapshotId,
          connection: {
            host: "localhost",
            port: 22,
            username: "test",
            host_key: { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" },
          },
          paths: ["/srv"],
          excludes: [],
          options: { one_file_system: false, transport: "auto" },
          recipients: [identity.recipient],
          sequence,
          previous: previous ? { snapshot_id: previous.snapshot_id, manifest_sha256: manifestSha256(previous) } : null,
          base: incremental ? (previous?.snapshot_id ?? null) : null,
          retention: null,
          storages: [{ id: tenantId, name: "disks", place: { kind: "local_fs", config: { folder: "" } } }],
        },
        store: await openLocalStore({ root: base }),
        connect: async () => treeOf(files),
        planKey: async () => Buffer.from(planKey),
        signer: { certificate, privateKey: signing.privateKey },
        publish: async () => {},
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
        clock: { now: () => createdAt },
      };
      const { manifest } = await runBackup(run);
      return { manifest, directory: join(base, "backups", tenantId, sourceId, snapshotId) };
    },
  };
}

/** The files as a connection to a source gives them: the parts of it that a backup asks for. */
function treeOf(files: [Buffer, Buffer][]): Awaited<ReturnType<BackupRun["connect"]>> {
  const entries: { entry: FileEntry; body: Buffer | null }[] = [
    { entry: entryOf("dir", Buffer.from("srv"), 0o755), body: null },
    { entry: entryOf("dir", Buffer.from("srv/app"), 0o750), body: null },
    ...files.map(([path, content]) => ({
      entry: { ...entryOf("file", path, 0o640), size: content.length },
      body: content,
    })),
    {
      entry: { ...entryOf("symlink", Buffer.from("srv/link"), 0o777), linkTarget: Buffer.from("app/hello.txt") },
      body: null,
    },
    {
      entry: { ...entryOf("hardlink", Buffer.from("srv/twin"), 0o640), linkTarget: Buffer.from("srv/app/hello.txt") },
      body: null,
    },
  ];
  const connection = {
    capabilities: { transport: "tar" },
    measure: async () => ({ files: files.length, bytes: files.reduce((sum, [, content]) => sum + content.length, 0) }),
    async *scan() {
      for (const { entry } of entries) if (isListed(entry)) yield entry;
    },
    async *pull(_plan: unknown, { select }: { select?: (item: FileEntry) => boolean | Promise<boolean> }) {
      for (const { entry, body } of entries) {
        if (isListed(entry) && select && !(await select(entry))) continue;
        yield { entry, body: body && once(body) };
      }
    },
    close: () => {},
  };
  return connection as unknown as Awaited<ReturnType<BackupRun["connect"]>>;
}

/** A file with two names is never asked about. */
function isListed({ type, path }: FileEntry): boolean {
  return type !== "hardlink" && path.toString() !== "srv/app/hello.txt";
}

function entryOf(type: FileEntry["type"], path: Buffer, mode: number): FileEntry {
  return {
    path,
    type,
    size: 0,
    mode,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    mtimeNs: 1_700_000_000_123_456_000n,
  };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes;
}
