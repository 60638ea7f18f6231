import type { Manifest } from "@xvault/contracts";
import { newId, type TenantId } from "@xvault/kernel";
import { freshDatabase } from "@xvault/test-kit/postgres";
import { inject } from "vitest";
import { connect } from "../src/connection.ts";
import * as db from "../src/index.ts";

const manifest = {
  format: 1,
  note: "stands for a manifest; the database does not look into it",
} as unknown as Manifest;

export interface Workspace {
  id: TenantId;
  userId: string;
  sourceId: string;
  jobId: string;
  /** A storage that no source is placed on. */
  otherStorageId: string;
  /** A snapshot that holds no piece of the audit log. */
  otherSnapshotId: string;
}

/** A database with two workspaces that have a row in every tenant table. */
export async function twoWorkspaces() {
  const { ownerUrl, drop } = await freshDatabase(inject("postgresUrl"));
  const handle = db.openDatabase(ownerUrl, { max: 4 });
  const a = await makeWorkspace(handle, "a");
  const b = await makeWorkspace(handle, "b");
  return {
    ownerUrl,
    db: handle,
    /** Passes every lock: a superuser with the same interface. */
    owner: db.openDatabase({ appUrl: ownerUrl, systemUrl: ownerUrl }, { max: 2 }),
    /** Raw connections of the role that acts for workspaces, without any setting. */
    app: connect(db.roleUrl(ownerUrl, db.ROLES.app), { max: 1, name: "test" }),
    a,
    b,
    drop,
  };
}

export async function makeWorkspace(handle: db.Database, name: string): Promise<Workspace> {
  const id = newId<TenantId>();
  const [userId, workerId, sourceId, jobId, credentialId] = [newId(), newId(), newId(), newId(), newId()];
  const [snapshotId, storageId, otherStorageId, webhookId] = [newId(), newId(), newId(), newId()];
  const otherSnapshotId = newId();
  await handle.withSystem(async (tx) => {
    await tx.insert(db.users).values({ id: userId, email: `${userId}@${name}.test`, name, passwordHash: "x" });
    await tx.insert(db.workers).values({
      id: workerId,
      name: `worker of ${name}`,
      publicKey: "x",
      certificate: manifest.certificate ?? ({} as Manifest["certificate"]),
      version: "0",
      capabilities: {},
      storageBasePath: "/srv",
      dataUrl: "http://127.0.0.1:1",
      concurrency: 1,
    });
  });
  await handle.withTenant(id, async (tx) => {
    await tx.insert(db.tenants).values({ id, name, keyMode: "platform" });
    await tx.insert(db.memberships).values({ tenantId: id, userId, role: "owner" });
    await tx.insert(db.tenantDataKeys).values({ tenantId: id, version: 1, wrapped: "x", kekId: "k" });
    await tx
      .insert(db.tenantKeys)
      .values({ id: newId(), tenantId: id, recipient: "age1x", fingerprint: name, holder: "platform" });
    await tx
      .insert(db.apiTokens)
      .values({ id: newId(), tenantId: id, userId, name, prefix: "xv", tokenHash: newId(), scopes: [] });
    await tx
      .insert(db.credentials)
      .values({ id: credentialId, tenantId: id, kind: "password", sealed: "x", keyVersion: 1 });
    await tx.insert(db.sources).values({ id: sourceId, tenantId: id, name, kind: "ssh", credentialId });
    await tx.insert(db.schedules).values({ id: newId(), tenantId: id, sourceId, cron: "0 3 * * *", timezone: "UTC" });
    await tx.insert(db.jobs).values({ id: jobId, tenantId: id, sourceId, type: "backup", trigger: "manual" });
    await tx
      .insert(db.jobEvents)
      .values({ tenantId: id, jobId, attempt: 1, step: "pull", level: "info", message: "x" });
    await tx
      .insert(db.packages)
      .values({ id: newId(), tenantId: id, sourceId, jobId, path: "x", packageType: "cache", tier: "hot" });
    const published = {
      tenantId: id,
      sourceId,
      jobId,
      attempt: 1,
      workerId,
      state: "complete" as const,
      sizeBytes: 5_000_000_000,
      plainBytes: 1,
      sha256: "x",
      files: 1,
      directories: 1,
      manifest,
      manifestSha256: "x",
      keyFingerprints: [],
    };
    await tx.insert(db.snapshots).values([
      { ...published, id: snapshotId, sequence: 1 },
      { ...published, id: otherSnapshotId, sequence: 2 },
    ]);
    const storage = { tenantId: id, kind: "local_fs", tier: "hot", config: {} } as const;
    await tx.insert(db.storages).values({ ...storage, id: storageId, name: "disks" });
    await tx.insert(db.storages).values({ ...storage, id: otherStorageId, name: "more disks" });
    await tx.insert(db.placements).values({ tenantId: id, sourceId, storageId, position: 0 });
    await tx.insert(db.copies).values({
      id: newId(),
      tenantId: id,
      snapshotId,
      storageId,
      workerId,
      state: "complete",
      location: "/srv",
      sizeBytes: 5_000_000_000,
    });
    await tx.insert(db.retentionRules).values({ tenantId: id, packageType: "user_data", rules: {} });
    await tx.insert(db.workspaceSettings).values({ tenantId: id, settings: {} });
    await tx
      .insert(db.proofs)
      .values({ id: newId(), tenantId: id, sourceId, snapshotId, jobId, passed: true, statement: {} });
    const archived = { fromSeq: 1, throughSeq: 2, prevHash: "x", hash: "y", firstAt: new Date(), lastAt: new Date() };
    await tx.insert(db.auditArchives).values({ tenantId: id, snapshotId, ...archived });
    const subject = { subjectKind: "source", subjectId: sourceId, message: "x", fix: "x" };
    await tx.insert(db.alerts).values({ id: newId(), tenantId: id, kind: "rot", severity: "critical", ...subject });
    const sealed = { sealed: "x", keyVersion: 1 };
    await tx
      .insert(db.webhooks)
      .values({ id: webhookId, tenantId: id, name, url: "https://x.test", events: [], ...sealed });
    await tx
      .insert(db.webhookDeliveries)
      .values({ id: newId(), tenantId: id, webhookId, event: "backup.succeeded", payload: {} });
    await tx.insert(db.idempotencyKeys).values({ tenantId: id, callerId: userId, key: "x", requestHash: "x" });
    await db.appendAudit(tx, {
      tenantId: id,
      actor: { kind: "user", id: userId, label: name },
      action: "workspace.created",
      target: { kind: "workspace", id },
      data: { name },
      requestId: null,
    });
  });
  return { id, userId, sourceId, jobId, otherStorageId, otherSnapshotId };
}
