// The edge seeds' way: a client announces packages, reports on them, and sees them (requirements E1, E2, E13).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditEntry, Job, JobEvent, Package, Source } from "@xvault/contracts";
import { enrolVoice, ROOT, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Page<T> {
  items: T[];
}
const HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const OTHER = "2cd3453c9f9b3d38aa342baeaab1ea337ea8cf6597cd452126d925975f9c108e";

describe("packages of edge clients", () => {
  let stack: Stack;
  let tenant: Tenant;
  const ingest = async (body: Record<string, unknown>) =>
    (await tenant.api.post<{ job_id: string }>("/ingest", { source_id: "laptop", path: "home", ...body })).job_id;
  const report = (id: string, body: Record<string, unknown>) => tenant.api.patch<Package>(`/packages/${id}`, body);

  beforeAll(async () => {
    stack = await startStack({ queue: "postgres", workers: 0 });
    tenant = await stack.signUp();
  });
  afterAll(async () => stack?.stop());

  it("the mock data set goes in, is reported on, and is listed as reported, not as protected", async () => {
    const { files } = JSON.parse(readFileSync(join(ROOT, "e2e/fixtures/mock-data/MANIFEST.json"), "utf8")) as {
      files: { path: string; size_bytes: number; checksum: string; tier_hint: "hot" | "warm" | "cold" }[];
    };
    expect(files).toHaveLength(5);
    for (const file of files) {
      const id = await ingest({ source_id: "edge-1", ...file });
      expect(await tenant.api.get<Package>(`/packages/${id}`)).toMatchObject({ id, job_id: id, status: "pending" });
      expect(await report(id, { progress_percent: 75, status: "in_progress" })).toMatchObject({
        status: "in_progress",
        progress_percent: 75,
      });
      const done = await report(id, { progress_percent: 100, checksum: file.checksum, status: "completed" });
      expect(done).toMatchObject({
        source_id: "edge-1",
        path: file.path,
        package_type: "user_data",
        status: "completed",
        progress_percent: 100,
        size_bytes: file.size_bytes,
        checksum: file.checksum,
        tier: file.tier_hint,
        bucket: file.tier_hint,
        evidence: "reported",
      });
      const job = await tenant.api.get<Job>(`/jobs/${id}`);
      expect(job).toMatchObject({ job_id: id, source_id: "edge-1", path: file.path, status: "completed" });
      expect(job).toMatchObject({ type: "ingest", state: "success", tier: file.tier_hint, progress_percent: 100 });
    }
    const paths = async (query: string) =>
      (await tenant.api.get<Page<Package>>(`/packages?${query}`)).items.map((one) => one.path).toSorted();
    expect(await paths("source_id=edge-1")).toEqual(files.map((file) => file.path).toSorted());
    expect(await paths("bucket=warm")).toEqual(["config.ini", "data/backup-001.log"]);
    expect(await paths("bucket=offsite")).toEqual([]);
    expect(await paths("status=pending")).toEqual([]);
    expect(await paths("status=completed&bucket=cold")).toEqual(["empty.bin"]);
    const { items } = await tenant.api.get<Page<Source>>("/sources");
    const source = items.find((one) => one.source_id === "edge-1");
    expect(source).toMatchObject({ kind: "edge", health: "unprotected", last_snapshot: null });
    expect(source?.last_seen_at).not.toBeNull();
  });

  it("pages through a list without losing or repeating one", async () => {
    const ids = [];
    for (const path of ["1", "2", "3", "4", "5"]) ids.push(await ingest({ source_id: "paged", path }));
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: { items: Package[]; next_cursor: string | null } = await tenant.api.get(
        `/packages?source_id=paged&limit=2${cursor ? `&cursor=${cursor}` : ""}`,
      );
      seen.push(...page.items.map((one) => one.id));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(ids.toReversed());
  });

  it("refuses what the seeds refuse", async () => {
    const refused: [string, Record<string, unknown>][] = [
      ["an empty source_id", { source_id: "" }],
      ["a source_id of 257 characters", { source_id: "x".repeat(257) }],
      ["no path", { path: undefined }],
      ["a size without a checksum", { size_bytes: 1 }],
      ["a checksum that is none", { size_bytes: 1, checksum: "abc" }],
      ["a negative size", { size_bytes: -1 }],
      ["a tier that is not to be hinted at", { tier_hint: "offsite" }],
      ["an unknown tier", { tier_hint: "lukewarm" }],
      ["an unknown type", { package_type: "other" }],
    ];
    for (const [what, body] of refused) {
      await expect(ingest(body), what).rejects.toMatchObject({ code: "INPUT_INVALID", status: 400 });
    }
    const id = await ingest({ source_id: "x".repeat(256), checksum: `SHA256:${HASH.toUpperCase()}`, size_bytes: 1 });
    expect(await tenant.api.get<Package>(`/packages/${id}`)).toMatchObject({ checksum: HASH });
    for (const body of [{ status: "done" }, { progress_percent: 101 }, { progress_percent: -1 }, { checksum: "x" }]) {
      await expect(report(id, body)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    }
    await expect(report("00000000-0000-4000-8000-000000000000", {})).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("what ended stays as it ended, and the same report twice is no error", async () => {
    const id = await ingest({ size_bytes: 6, checksum: HASH });
    await expect(report(id, { checksum: OTHER })).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
    await report(id, { progress_percent: 10 });
    await expect(report(id, { status: "pending" })).rejects.toMatchObject({ code: "CONFLICT" });
    const done = await report(id, { status: "completed", checksum: HASH });
    expect(await report(id, { status: "completed", checksum: HASH })).toEqual(done);
    for (const body of [{ status: "failed" }, { status: "in_progress" }, { progress_percent: 50 }]) {
      await expect(report(id, body)).rejects.toMatchObject({ code: "CONFLICT" });
    }
    const failed = await ingest({});
    expect(await report(failed, { status: "failed" })).toMatchObject({ status: "failed" });
    expect(await tenant.api.get<Job>(`/jobs/${failed}`)).toMatchObject({ error: { code: "EDGE_FAILED" } });

    const { items: log } = await tenant.api.get<Page<JobEvent>>(`/jobs/${id}/events`);
    expect(log.map((event) => event.message)).toEqual([
      "The client has begun.",
      "The client says that it is complete.",
    ]);
    const { items: audit } = await tenant.api.get<Page<AuditEntry>>("/audit?limit=200");
    const of = (target: string) => audit.filter((one) => one.target_id === target).map((one) => one.action);
    expect(of(id)).toEqual(["package.completed", "package.ingested"]);
    expect(of(failed)).toEqual(["package.failed", "package.ingested"]);
  });

  it("no worker takes an edge client's job, whoever asks; a person can cancel it", async () => {
    const id = await ingest({});
    const worker = await enrolVoice(stack, "eager");
    expect(await worker.call("lease", { job_id: id })).toEqual({ granted: false });
    expect(await tenant.api.get<Job>(`/jobs/${id}`)).toMatchObject({ state: "queued", worker_id: null, attempt: 0 });
    await report(id, { progress_percent: 5 });
    expect(await tenant.api.post<Job>(`/jobs/${id}/cancel`)).toMatchObject({ state: "cancelled", status: "failed" });
    await expect(report(id, { status: "completed" })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("a client may go by the id of its source; a pulled source takes no packages; a paused one says so", async () => {
    const source = await tenant.api.post<Source>("/sources", { source_id: "registered", label: "A laptop" });
    const id = await ingest({ source_id: source.id });
    expect(await tenant.api.get<Package>(`/packages/${id}`)).toMatchObject({ source_id: "registered" });
    await tenant.api.post(`/sources/${source.id}/pause`);
    await expect(ingest({ source_id: "registered" })).rejects.toMatchObject({ code: "SOURCE_PAUSED" });
  });

  it("a name means the caller's own source, and many first packages at once make one source", async () => {
    const stranger = await stack.signUp();
    const own = await tenant.api.post<Source>("/sources", { source_id: "shared-name" });
    const before = await tenant.api.get<Page<Package>>("/packages?source_id=shared-name");
    await Promise.all(
      ["shared-name", own.id].flatMap((source_id) =>
        ["a", "b", "c", "d"].map((path) => stranger.api.post("/ingest", { source_id, path })),
      ),
    );
    const { items } = await stranger.api.get<Page<Source>>("/sources");
    expect(items.map((one) => one.source_id).toSorted()).toEqual(["shared-name", own.id].toSorted());
    expect(await tenant.api.get<Page<Package>>("/packages?source_id=shared-name")).toEqual(before);
    expect(await tenant.api.get<Source>(`/sources/${own.id}`)).toMatchObject({ last_seen_at: null });
  });
});
