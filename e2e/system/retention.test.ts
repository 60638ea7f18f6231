// Rules at work on real snapshots of a real server: they move from tier to tier by age, are read back before the old copy goes, and end; what is pinned stays.
import { execFile } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type {
  AuditArchives,
  AuditEntry,
  Buckets,
  Job,
  LifecyclePlan,
  Package,
  Snapshot,
  Source,
  SystemStatus,
} from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, ROOT, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = sshdAvailable();
const MOCK_DATA = join(dirname(fileURLToPath(import.meta.url)), "../fixtures/mock-data");
const PATIENCE = { timeout: 120_000, interval: 500 };
const SECOND = 1 / 86_400;

describe.skipIf(missing !== null)(`retention${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let source: Source;
  let tree: string;

  beforeAll(async () => {
    const env = { hub: { XVAULT_LIFECYCLE_SECONDS: "1" } };
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1, env }), startSshd()]);
    tree = join(sshd.home, "tree");
    mkdirSync(tree);
    for (let at = 0; at < 30; at += 1) writeFileSync(join(tree, `file-${at}`), `content ${at}\n`.repeat(5000));
    tenant = await stack.signUp();
    for (const tier of ["warm", "cold"]) {
      const config = JSON.stringify({ folder: tier });
      await stack.sql`
        insert into storages (id, tenant_id, name, kind, tier, config)
        values (${randomUUID()}, ${tenant.workspaceId}, ${`${tier} shelf`}, 'local_fs', ${tier}, ${config}::jsonb)`;
    }
    source = await addSource(tenant, sshd, { paths: [tree], transport: "sftp" });
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  const backUp = async () => {
    const job = await tenant.api.ended(await tenant.api.post<Job>(`/sources/${source.id}/backup`, { full: true }));
    expect(job).toMatchObject({ state: "success" });
    return tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
  };
  const shown = (id: string) => tenant.api.get<Snapshot>(`/snapshots/${id}`);
  const packageOf = async (id: string) => tenant.api.get<Package>(`/packages/${(await shown(id)).job_id}`);
  const rules = (changes: object) => tenant.api.send("PUT", "/api/v1/retention/user_data", { rules: changes });

  it("moves snapshots by age, shows them where they are, and ends all but the newest and what is pinned", async () => {
    await rules({ hot_days: null, warm_days: null, cold_days: null, offsite_days: null, min_keep: 1 });
    const [first, pinned, third] = [await backUp(), await backUp(), await backUp()];
    expect(await packageOf(first.id)).toMatchObject({ tier: "hot", evidence: "stored" });
    expect(first.locator.local_path).not.toContain("warm");
    await tenant.api.post(`/snapshots/${pinned.id}/pin`, { note: "before the migration" });

    // All are older than this already; nothing ends for a day.
    await rules({ hot_days: SECOND, warm_days: 1, cold_days: 2, offsite_days: 3, min_keep: 1 });
    for (const { id } of [first, pinned, third])
      await expect.poll(async () => (await packageOf(id)).tier, PATIENCE).toBe("warm");
    const moved = await shown(first.id);
    expect(moved.locator.local_path).toContain("warm");
    expect(existsSync(join(moved.locator.local_path ?? "", "manifest.json"))).toBe(true);
    expect(existsSync(join(first.locator.local_path ?? "", "manifest.json"))).toBe(false);
    const { buckets } = await tenant.api.get<Buckets>("/buckets");
    expect(buckets.map(({ tier, count }) => [tier, count])).toEqual([
      ["hot", 0],
      ["warm", 3],
      ["cold", 0],
      ["offsite", 0],
    ]);
    // What was moved can still be restored.
    const target = { source_id: source.id, path: join(sshd.home, "restored") };
    const restore = await tenant.api.ended(await tenant.api.post<Job>("/restores", { snapshot_id: first.id, target }));
    expect(restore).toMatchObject({ state: "success" });
    expect(readFileSync(join(sshd.home, "restored", tree, "file-7"), "utf8")).toContain("content 7");

    // A dry run of shorter rules names who is next; then they are real.
    const days = await tenant.api.get<LifecyclePlan>("/projections?days=4");
    expect(days.items.filter(({ kind }) => kind === "expire").map(({ snapshot_id }) => snapshot_id)).toEqual([
      first.id,
    ]);
    await rules({
      hot_days: SECOND,
      warm_days: 2 * SECOND,
      cold_days: 3 * SECOND,
      offsite_days: 4 * SECOND,
      min_keep: 1,
    });
    await expect.poll(async () => (await shown(first.id)).state, PATIENCE).toBe("expired");
    await expect.poll(async () => (await packageOf(third.id)).tier, PATIENCE).toBe("cold");
    await expect.poll(async () => (await packageOf(pinned.id)).tier, PATIENCE).toBe("cold");
    expect(await shown(pinned.id)).toMatchObject({ state: "complete", pinned: true, pin_note: "before the migration" });
    expect(await packageOf(first.id)).toMatchObject({ evidence: "removed" });
    await expect.poll(() => existsSync(join(moved.locator.local_path ?? "", "tombstone.json")), PATIENCE).toBe(true);

    const audit = (await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=200")).items;
    const actions = new Set(audit.map(({ action }) => action));
    for (const action of ["retention.rules_changed", "snapshot.pinned", "snapshot.move_queued", "snapshot.expired"]) {
      expect(actions).toContain(action);
    }
    expect(await tenant.web.query("audit.verify", {})).toMatchObject({ ok: true });
    expect((await tenant.api.get<SystemStatus>("/status")).state).toBe("ok");
  });

  it("stops where everything was encrypted at once, and goes on when somebody says that it is right", async () => {
    await rules({ hot_days: null, warm_days: null, cold_days: null, offsite_days: null, min_keep: 1 });
    const good = [await backUp(), await backUp(), await backUp()];
    for (let at = 0; at < 30; at += 1) writeFileSync(join(tree, `file-${at}`), randomBytes(60_000));
    await backUp();
    await rules({
      hot_days: SECOND,
      warm_days: 2 * SECOND,
      cold_days: 3 * SECOND,
      offsite_days: 4 * SECOND,
      min_keep: 1,
    });
    type Found = { items: { source_id: string; findings: { kind: string }[] }[] };
    const suspicions = await tenant.api.get<Found>("/retention/suspicions");
    expect(suspicions.items).toMatchObject([{ source_id: source.id, findings: [{ kind: "compressibility" }] }]);
    await expect
      .poll(
        async () => (await tenant.api.get<{ items: { kind: string }[] }>("/alerts")).items.map(({ kind }) => kind),
        PATIENCE,
      )
      .toContain("retention_stopped");
    const plan = await tenant.api.get<LifecyclePlan>("/retention/plan");
    const waiting = plan.items.filter(({ waits_for }) => waits_for?.kind === "acknowledgement");
    expect(waiting.length).toBeGreaterThanOrEqual(3);
    for (const { id } of good) expect(await shown(id)).toMatchObject({ state: "complete", tier: "hot" });
    await tenant.api.post(`/sources/${source.id}/acknowledge`, { note: "disk encryption was switched on" });
    for (const { id } of good) await expect.poll(async () => (await shown(id)).state, PATIENCE).toBe("expired");
  });

  it("archives old entries of the audit log in the cold tier before they leave the database (E8)", async () => {
    const archives = () => tenant.api.get<AuditArchives>("/audit/archives?limit=200");
    const keepFor = (days: number) => tenant.api.patch("/config", { retention: { audit_days: days } });
    // All but what was just written is older than this.
    await keepFor(SECOND);
    await expect.poll(async () => (await archives()).begins?.seq ?? 1, PATIENCE).toBeGreaterThan(1);
    await keepFor(365);
    const settled = async () => {
      const { items, begins } = await archives();
      const jobs = await tenant.api.get<{ items: Job[] }>("/jobs?type=audit_archive");
      const over = jobs.items.every(({ state }) => state === "success");
      return over && jobs.items.length === items.length && begins?.seq === (items[0]?.through_seq ?? 0) + 1;
    };
    await expect.poll(settled, PATIENCE).toBe(true);
    const { items, begins } = await archives();
    const left = await stack.sql<{ first: number }>`
      select min(seq)::int as first from audit_log where tenant_id = ${tenant.workspaceId}`;
    expect(left[0]?.first).toBe(begins?.seq);
    expect(await tenant.web.query("audit.verify", {})).toMatchObject({ ok: true });

    // Each is a package in the cold tier, on the shelf.
    for (const { snapshot_id, state, package_id, from_seq } of items) {
      expect(state).toBe("kept");
      expect(await tenant.api.get<Package>(`/packages/${package_id}`)).toMatchObject({
        tier: "cold",
        package_type: "audit_logs",
        evidence: "stored",
        path: expect.stringContaining(`audit-${String(from_seq).padStart(12, "0")}-`),
      });
      expect((await shown(snapshot_id)).locator.local_path).toContain("cold");
    }
    expect((await tenant.api.get<{ items: Source[] }>("/sources")).items.map(({ id }) => id)).toEqual([source.id]);

    // What a person gets back is a chain from the first entry on, which the log in the database continues.
    const out = mkdtempSync(join(tmpdir(), "xvault-audit-"));
    const env = { ...process.env, XVAULT_URL: stack.url, XVAULT_TOKEN: tenant.token, XDG_CONFIG_HOME: out };
    const cli = async (...words: string[]) =>
      (await promisify(execFile)("node", [join(ROOT, "apps/cli/src/main.ts"), ...words], { env })).stdout;
    const files: string[] = [];
    for (const { snapshot_id, package_id } of items.toReversed()) {
      await cli("restore", snapshot_id, "--target", join(out, snapshot_id));
      files.push(join(out, snapshot_id, (await tenant.api.get<Package>(`/packages/${package_id}`)).path));
    }
    const first = readFileSync(files[0] ?? "", "utf8").split("\n")[0] ?? "";
    expect(JSON.parse(first)).toMatchObject({ seq: 1, tenant_id: tenant.workspaceId, prev_hash: "0".repeat(64) });
    const checked = JSON.parse(await cli("audit", "verify", ...files, "--live", "--json")) as Record<string, unknown>;
    expect(checked).toMatchObject({
      whole: true,
      entries: (begins?.seq ?? 0) - 1,
      last: { hash: begins?.prev_hash },
      continued_by: "log",
    });
  });

  it("shows the mock data in the right tiers, both what a client reports and what is pulled (E13)", async () => {
    interface MockFile {
      path: string;
      size_bytes: number;
      checksum: string;
      tier_hint: string;
    }
    const { files } = JSON.parse(readFileSync(join(MOCK_DATA, "MANIFEST.json"), "utf8")) as { files: MockFile[] };
    const other = await stack.signUp();
    for (const { path, size_bytes, checksum, tier_hint } of files) {
      expect(
        createHash("sha256")
          .update(readFileSync(join(MOCK_DATA, path)))
          .digest("hex"),
      ).toBe(checksum);
      const said = { source_id: "edge-01", path, size_bytes, checksum, tier_hint };
      const { job_id } = await other.api.post<{ job_id: string }>("/ingest", said);
      await other.api.patch(`/packages/${job_id}`, { status: "completed", checksum });
    }
    mkdirSync(join(sshd.home, "mock-data/data"), { recursive: true });
    for (const { path } of files)
      writeFileSync(join(sshd.home, "mock-data", path), readFileSync(join(MOCK_DATA, path)));
    const pulled = await addSource(other, sshd, { paths: [join(sshd.home, "mock-data")], transport: "sftp" });
    await other.api.ended(await other.api.post<Job>(`/sources/${pulled.id}/backup`));
    const { items } = await other.api.get<{ items: Package[] }>("/packages");
    expect(items.map(({ path, tier, evidence }) => `${path} ${tier} ${evidence}`).toSorted()).toEqual(
      [
        ...files.map(({ path, tier_hint }) => `${path} ${tier_hint} reported`),
        `${join(sshd.home, "mock-data")} hot stored`,
      ].toSorted(),
    );
    const warm = await other.api.get<{ items: Package[] }>("/packages?bucket=warm");
    expect(warm.items.map(({ path }) => path).toSorted()).toEqual(["config.ini", "data/backup-001.log"]);
  });
});
