// A workspace with storages in tiers, and snapshots of chosen ages on them: rows as publication writes them, without a byte behind.
import type { Manifest, Tier } from "@xvault/contracts";
import { copies, jobs, packages, type SnapshotRow, snapshots, sources, storages, workers } from "@xvault/db";
import { newId } from "@xvault/kernel";
import type { ServiceWorld } from "../../test/services.ts";
import { DAY } from "../ages.ts";

export interface MadeSnapshot {
  days: number;
  sequence: number;
  tier?: Tier;
  needs?: string[];
  /** Whose disk its copy lies on; without it the world's one worker. */
  on?: string;
  partial?: boolean;
  columns?: Partial<SnapshotRow>;
}

/** A world of sources whose snapshots lie on storages named like their tiers. */
export async function tieredWorld(world: ServiceWorld) {
  const { db, tenantId } = world;
  const storageIds = new Map<Tier, string>();
  const worker = async (state: "active" | "revoked") => {
    const id = newId();
    const made = { id, state, name: state, publicKey: id, certificate: {} as Manifest["certificate"] };
    const facts = { version: "0", capabilities: {}, storageBasePath: "/nowhere", dataUrl: "http://127.0.0.1:9" };
    await db.withSystem((tx) =>
      tx.insert(workers).values({ ...made, ...facts, concurrency: 1, lastSeenAt: new Date() }),
    );
    return id;
  };
  const workerId = await worker("active");
  await db.withTenant(tenantId, async (tx) => {
    for (const tier of ["hot", "warm", "cold", "offsite"] as const) {
      const id = newId();
      storageIds.set(tier, id);
      await tx.insert(storages).values({ id, tenantId, name: tier, kind: "local_fs", tier, config: { folder: tier } });
    }
  });

  return {
    workerId,
    storageIds,
    worker,

    async source(columns: Partial<typeof sources.$inferInsert> = {}): Promise<string> {
      const id = newId();
      await db.withTenant(tenantId, (tx) =>
        tx
          .insert(sources)
          .values({ id, tenantId, name: `source ${id.slice(-4)}`, kind: "ssh", paths: ["/srv"], ...columns }),
      );
      return id;
    },

    async snapshot(sourceId: string, made: MadeSnapshot): Promise<string> {
      const { days, sequence, tier = "hot", needs = [], partial = false, on = workerId } = made;
      const [id, jobId] = [newId(), newId()];
      const createdAt = new Date(Date.now() - days * DAY);
      const references = needs.map((snapshot_id) => ({ snapshot_id, manifest_sha256: "0".repeat(64), live_bytes: 1 }));
      const artifact = { compressed_bytes: 400_000, tar_bytes: 1_000_000 };
      await db.withTenant(tenantId, async (tx) => {
        const ended = { state: "success" as const, createdAt, finishedAt: createdAt };
        await tx.insert(jobs).values({ id: jobId, tenantId, sourceId, type: "backup", trigger: "schedule", ...ended });
        await tx.insert(snapshots).values({
          id,
          tenantId,
          sourceId,
          jobId,
          attempt: 1,
          workerId,
          state: "complete",
          sequence,
          sizeBytes: 1000,
          plainBytes: 50_000_000,
          sha256: "x",
          files: 100,
          directories: 1,
          manifest: { references, artifact } as unknown as Manifest,
          manifestSha256: "0".repeat(64),
          keyFingerprints: [],
          partial,
          createdAt,
          ...made.columns,
        });
        const place = {
          tenantId,
          snapshotId: id,
          workerId: on,
          state: "complete" as const,
          location: "/x",
          sizeBytes: 1000,
        };
        await tx.insert(copies).values({ id: newId(), storageId: storageIds.get(tier) ?? "", createdAt, ...place });
        const about = { tenantId, sourceId, jobId, snapshotId: id, path: "/srv", packageType: "user_data" as const };
        await tx.insert(packages).values({ id: jobId, tier, sizeBytes: 1000, createdAt, ...about });
      });
      return id;
    },
  };
}
