import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Copy, Job, Snapshot, Source, Storage } from "@xvault/contracts";
import { type Radosgw, radosgwAvailable, startRadosgw } from "@xvault/test-kit/s3";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, type Client, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { expect } from "vitest";

/** A snapshot as the API shows it by itself. */
export type Detail = Snapshot & { all_copies: Copy[] };

/** An installation whose lifecycle runs every second, an S3 server, and a workspace with a source of 20 files. */
export interface StorageLab {
  stack: Stack;
  sshd: Sshd;
  gateway: Radosgw;
  tenant: Tenant;
  admin: Client;
  /** The source's folder: `file-0` to `file-19`. */
  tree: string;
  source: Source;
  /** The workers' disks, which each workspace begins with. */
  disks: Storage;
  /** Place and secret of a bucket of the S3 server, for `POST /storages`; of the one that is there from the start unless told. */
  s3(over?: { secret?: string; bucket?: string }): {
    place: { kind: "s3"; config: { endpoint: string; region: string; bucket: string } };
    secret: { kind: "s3"; access_key_id: string; secret_access_key: string };
  };
  /** Places the source on these. */
  place(...storages: Storage[]): Promise<unknown>;
  detail(id: string): Promise<Detail>;
  /** Restores a snapshot of the source to a new folder of this name; what `file-7` holds there. */
  restored(id: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

/** Why there is no such lab here, or null. */
export const storageLabMissing = sshdAvailable() ?? radosgwAvailable();

const BUCKET = "backups-of-test";

export async function startStorageLab(): Promise<StorageLab> {
  const [stack, sshd, gateway] = await Promise.all([
    startStack({ queue: "postgres", workers: 1, env: { hub: { XVAULT_LIFECYCLE_SECONDS: "1" } } }),
    startSshd(),
    startRadosgw(),
  ]);
  await gateway.createBucket(BUCKET);
  const tree = join(sshd.home, "tree");
  mkdirSync(tree);
  // What is an hour old has settled: the next run builds on it, however soon it comes.
  const anHourAgo = new Date(Date.now() - 3_600_000);
  for (let at = 0; at < 20; at += 1) {
    writeFileSync(join(tree, `file-${at}`), `content ${at}\n`.repeat(3000));
    utimesSync(join(tree, `file-${at}`), anHourAgo, anHourAgo);
  }
  const tenant = await stack.signUp();
  const source = await addSource(tenant, sshd, { paths: [tree], transport: "sftp" });
  const { items } = await tenant.api.get<{ items: Storage[] }>("/storages");
  const [disks] = items;
  if (!disks) throw new Error("a new workspace has no storage");
  const [user] = gateway.users;
  return {
    stack,
    sshd,
    gateway,
    tenant,
    admin: await stack.admin(),
    tree,
    source,
    disks,
    s3: (over = {}) => ({
      place: {
        kind: "s3",
        config: { endpoint: gateway.endpoint, region: gateway.region, bucket: over.bucket ?? BUCKET },
      },
      secret: {
        kind: "s3",
        access_key_id: user.accessKeyId,
        secret_access_key: over.secret ?? user.secretAccessKey,
      },
    }),
    place: (...storages) =>
      tenant.api.send("PUT", `/api/v1/sources/${source.id}/placement`, { storage_ids: storages.map(({ id }) => id) }),
    detail: (id) => tenant.api.get<Detail>(`/snapshots/${id}`),
    async restored(id, name) {
      const path = join(sshd.home, name);
      const target = { source_id: source.id, path };
      const job = await tenant.api.ended(await tenant.api.post<Job>("/restores", { snapshot_id: id, target }));
      expect(job).toMatchObject({ state: "success", error: null });
      return readFileSync(join(path, tree, "file-7"), "utf8");
    },
    async stop() {
      await sshd.stop();
      await stack.stop();
      await gateway.stop();
    },
  };
}
