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

const NOBODY = "00000000-0000-4000-8000-000000000000";
const ANNOUNCED = { size_bytes: 6, checksum: HASH };

type Answer = [status: number, code?: string];
interface Rule {
  rule: string;
  method: string;
  path: string;
  body?: Record<string, unknown>;
  answer: Answer;
}
const TAKEN: Answer = [200];
const REFUSED: Answer = [400, "INPUT_INVALID"];

/** Rules for one call: in words, what is sent, what it is answered. */
const rulesOf = (
  method: string,
  path: string,
  rows: [rule: string, body: Record<string, unknown>, answer: Answer][],
): Rule[] => rows.map(([rule, body, answer]) => ({ rule: `${method} ${path}: ${rule}`, method, path, body, answer }));

/** The same for what is asked in a query. */
const rulesOfQuery = (path: string, rows: [query: string, answer: Answer][]): Rule[] =>
  rows.map(([query, answer]) => ({
    rule: `GET ${path}?${query.slice(0, 40)}`,
    method: "GET",
    path: `${path}?${query}`,
    answer,
  }));

const STATUSES = ["pending", "in_progress", "completed", "failed"];
const TIERS = ["hot", "warm", "cold", "offsite"];
const TYPES = ["user_data", "app_logs", "audit_logs", "business_data", "job_package", "cache"];
const announce = { source_id: "ruled", path: "home" };

/** Requirement E2, a rule a row. */
const RULES: Rule[] = [
  ...rulesOf("POST", "/ingest", [
    ["source_id and path are all that is needed", announce, TAKEN],
    ["source_id is needed", { path: "home" }, REFUSED],
    ["source_id is not empty", { ...announce, source_id: "" }, REFUSED],
    ["source_id has up to 256 characters", { ...announce, source_id: "x".repeat(256) }, TAKEN],
    ["source_id has no more", { ...announce, source_id: "x".repeat(257) }, REFUSED],
    ["source_id is a text", { ...announce, source_id: 7 }, REFUSED],
    ["path is needed", { source_id: "ruled" }, REFUSED],
    ["path is not empty", { ...announce, path: "" }, REFUSED],
    ["what is not known is ignored", { ...announce, colour: "blue" }, TAKEN],
    ["size_bytes may be 0 without a checksum", { ...announce, size_bytes: 0 }, TAKEN],
    ["size_bytes above 0 wants a checksum", { ...announce, size_bytes: 1 }, REFUSED],
    ["size_bytes with its checksum", { ...announce, ...ANNOUNCED }, TAKEN],
    ["size_bytes is not below 0", { ...announce, size_bytes: -1, checksum: HASH }, REFUSED],
    ["size_bytes is whole", { ...announce, size_bytes: 1.5, checksum: HASH }, REFUSED],
    ["checksum may come without a size", { ...announce, checksum: HASH }, TAKEN],
    ["checksum has 64 digits", { ...announce, checksum: HASH.slice(1) }, REFUSED],
    ["checksum may say what it is", { ...announce, checksum: `sha256:${HASH}` }, TAKEN],
    ["checksum is SHA-256", { ...announce, checksum: `md5:${HASH}` }, REFUSED],
    ...["hot", "warm", "cold"].map((tier): [string, Record<string, unknown>, Answer] => [
      `tier_hint may be ${tier}`,
      { ...announce, tier_hint: tier },
      TAKEN,
    ]),
    ["tier_hint is not offsite", { ...announce, tier_hint: "offsite" }, REFUSED],
    ["tier_hint is one of three", { ...announce, tier_hint: "lukewarm" }, REFUSED],
    ...TYPES.map((type): [string, Record<string, unknown>, Answer] => [
      `package_type may be ${type}`,
      { ...announce, package_type: type },
      TAKEN,
    ]),
    ["package_type is one of those", { ...announce, package_type: "other" }, REFUSED],
  ]),
  ...rulesOf("PATCH", "/packages/{id}", [
    ...STATUSES.map((status): [string, Record<string, unknown>, Answer] => [
      `status may be ${status}`,
      { status },
      TAKEN,
    ]),
    ["status is one of four", { status: "done" }, REFUSED],
    ["status is written as it is", { status: "COMPLETED" }, REFUSED],
    ["progress_percent may be 0", { progress_percent: 0 }, TAKEN],
    ["progress_percent may be 100", { progress_percent: 100 }, TAKEN],
    ["progress_percent is not below 0", { progress_percent: -1 }, REFUSED],
    ["progress_percent is not above 100", { progress_percent: 101 }, REFUSED],
    ["checksum may be said again", { checksum: HASH }, TAKEN],
    ["checksum is a SHA-256", { checksum: "x" }, REFUSED],
    ["checksum is the one that was announced", { checksum: OTHER }, [409, "CHECKSUM_MISMATCH"]],
  ]),
  ...rulesOf("PATCH", `/packages/${NOBODY}`, [["there must be such a package", {}, [404, "NOT_FOUND"]]]),
  ...rulesOf("POST", "/sources", [
    ["source_id is not empty", { source_id: "" }, REFUSED],
    ["source_id has at most 256 characters", { source_id: "y".repeat(257) }, REFUSED],
    ["label is not needed", { source_id: "y".repeat(256) }, TAKEN],
    ["source_id is new", { source_id: "y".repeat(256), label: "again" }, [409, "CONFLICT"]],
  ]),
  ...rulesOf("PUT", `/snapshots/${NOBODY}/hold`, [
    ["a time is ISO 8601", { until: "tomorrow" }, REFUSED],
    ["a time has a zone", { until: "2099-01-01T00:00:00" }, REFUSED],
    ["a time in UTC is one", { until: "2099-01-01T00:00:00Z" }, [404, "NOT_FOUND"]],
    ["a time of another zone is one", { until: "2099-01-01T00:00:00.5+02:00" }, [404, "NOT_FOUND"]],
  ]),
  ...rulesOfQuery("/packages", [
    ...STATUSES.map((status): [string, Answer] => [`status=${status}`, TAKEN]),
    ["status=done", REFUSED],
    ...TIERS.map((tier): [string, Answer] => [`bucket=${tier}`, TAKEN]),
    ["bucket=lukewarm", REFUSED],
    ["source_id=", REFUSED],
    [`source_id=${"x".repeat(257)}`, REFUSED],
    ["source_id=nobody's", [404, "NOT_FOUND"]],
    ["limit=0", REFUSED],
    ["limit=201", REFUSED],
  ]),
  ...rulesOfQuery("/jobs", [
    ...STATUSES.map((status): [string, Answer] => [`status=${status}`, TAKEN]),
    ["status=success", REFUSED],
    ["source_id=nobody's", [404, "NOT_FOUND"]],
  ]),
  ...rulesOfQuery("/projections", [
    ["days=1.5", TAKEN],
    ["seconds=3600", TAKEN],
    ["days=-1", REFUSED],
    ["seconds=soon", REFUSED],
  ]),
];

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

  it.each(RULES)("rule: $rule", async ({ method, path, body, answer: [status, code] }) => {
    // Where a rule is about a package, it is a fresh one.
    const target = path.includes("{id}")
      ? path.replace("{id}", await ingest({ source_id: "ruled", ...ANNOUNCED }))
      : path;
    const sent = await tenant.api.send(method, `/api/v1${target}`, body);
    expect([sent.status, (sent.body as { code?: string }).code], sent.text).toEqual([status, code]);
  });

  it("keeps a checksum as 64 lower-case digits, and says times with their zone", async () => {
    const id = await ingest({ checksum: `SHA256:${HASH.toUpperCase()}`, size_bytes: 1 });
    const shown = await tenant.api.get<Package>(`/packages/${id}`);
    expect(shown.checksum).toBe(HASH);
    expect([shown.created_at, shown.updated_at].map((at) => new Date(at).toISOString())).toEqual([
      shown.created_at,
      shown.updated_at,
    ]);
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
