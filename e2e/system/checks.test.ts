// A bit that flips at rest is found by the next check that comes by itself, without a key, and somebody is told (promise 17), while what it did
// not touch is still restored; a restore drill leaves a proof that the command line checks offline.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type {
  Alert,
  CheckedCopy,
  Job,
  RestoreProof,
  RestoreQuote,
  Snapshot,
  Ticket,
  VerificationStatus,
} from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import { addSource, backUp, type Stack, startStack, type Tenant, until } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = sshdAvailable();
const CLI = fileURLToPath(new URL("../../apps/cli/bin/xvault", import.meta.url));
const LARGE = Array.from({ length: 6 }, (_, at) => `large-${at}`);

describe.skipIf(missing !== null)(`checks and drills${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let snapshot: Snapshot;
  let sourceId: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1 }), startSshd()]);
    mkdirSync(join(sshd.home, "tree"));
    for (let i = 0; i < 30; i += 1) writeFileSync(join(sshd.home, "tree", String(i)), Buffer.alloc(50_000, `${i} `));
    // Several blocks of the artifact: the one in its middle is damaged below, and what lies in others is not.
    for (const name of LARGE) writeFileSync(join(sshd.home, "tree", name), randomBytes(2 * 1024 * 1024));
    tenant = await stack.signUp();
    const source = await addSource(tenant, sshd, { paths: [join(sshd.home, "tree")], transport: "sftp" });
    sourceId = source.id;
    const job = await backUp(tenant, source);
    snapshot = await tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
  });

  const copy = async (): Promise<CheckedCopy> => {
    const { items } = await tenant.api.get<{ items: CheckedCopy[] }>("/verification/copies");
    return items.find((one) => one.snapshot_id === snapshot.id) as CheckedCopy;
  };
  /** As if so many days had gone by since the copy was looked at. */
  const age = (days: number) =>
    stack.sql`update copies set checked_at = checked_at - make_interval(days => ${days}),
      created_at = created_at - make_interval(days => ${days}),
      check_result = jsonb_build_object('outcome', 'ok', 'at', now() - make_interval(days => ${days}))
      where snapshot_id = ${snapshot.id}`;
  const run = async (path: string, body: object) => tenant.api.ended(await tenant.api.post<Job>(path, body));
  const xvault = (...args: string[]) =>
    promisify(execFile)(CLI, args, { env: { PATH: process.env["PATH"] ?? "", HOME: stack.folder } }).then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      (error: { code: number; stderr: string }) => ({ code: error.code, out: error.stderr }),
    );

  it("each depth passes, and says what it read", async () => {
    const check = (depth: string) => run(`/snapshots/${snapshot.id}/verification`, { depth });
    const presence = await check("presence");
    expect(presence).toMatchObject({ state: "success", result: { depth: "presence" } });
    const sample = await check("sample");
    expect(sample.result).toMatchObject({ depth: "sample", confidence: 1, lost_below: 0 });
    expect((await check("whole")).result).toMatchObject({ depth: "whole", bytes: snapshot.size_bytes });
    expect(await copy()).toMatchObject({ state: "complete", checked_depth: "whole", last: { outcome: "ok" } });
  });

  it("a drill leaves a proof, which is checked offline; a changed one is refused", async () => {
    const drill = await run(`/snapshots/${snapshot.id}/drill`, { mode: "all" });
    expect(drill).toMatchObject({ state: "success", result: { mode: "all", files: 36, of_files: 36 } });
    const proof = await tenant.api.get<RestoreProof>(`/proofs/${String(drill.result?.["proof_id"])}`);
    expect(proof).toMatchObject({ snapshot_id: snapshot.id, outcome: "passed", job_id: drill.id });
    const { root_keys: keys } = await stack.anyone.get<{ root_keys: string[] }>("/info");
    const file = join(stack.folder, "proof.json");
    writeFileSync(file, JSON.stringify(proof));
    const good = await xvault("proof", "verify", file, "--root-key", keys[0] ?? "");
    expect(good).toMatchObject({ code: 0 });
    expect(good.out).toContain("genuine: signed by worker");
    writeFileSync(file, JSON.stringify({ ...proof, seconds: proof.seconds + 1 }));
    const bad = await xvault("proof", "verify", file, "--root-key", keys[0] ?? "");
    expect(bad.code).toBe(1);
    expect(bad.out).toContain("SIGNATURE_INVALID");
    const status = await tenant.api.get<VerificationStatus>("/verification/status");
    expect(status.sources).toMatchObject([{ source_id: sourceId, drill: { passed: true } }]);
  });

  it("a bit that flips at rest is found within its days, without a key (promise 17)", async () => {
    const artifact = join(snapshot.locator.local_path ?? "", "backup.tar.zst.enc");
    const bytes = readFileSync(artifact);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    rmSync(artifact);
    writeFileSync(artifact, bytes);
    await tenant.web.mutate("checks.setPolicy", { presence_days: null, sample_days: 7, whole_days: null });
    await age(8);
    const damaged = await until(async () => {
      const found = await copy();
      return found.state === "corrupt" ? found : null;
    });
    expect(damaged).toMatchObject({ checked_depth: "sample", last: { outcome: "corrupt", code: "ARTIFACT_CORRUPT" } });
    // The worker was given no key for it.
    const [job] = await stack.sql<{ trigger: string; unsealed: string }>`
      select j.trigger, (select count(*) from audit_log a where a.data ->> 'job_id' = j.id::text) as unsealed
      from jobs j where j.id = ${damaged.last?.job_id ?? ""}`;
    expect(job).toMatchObject({ trigger: "schedule" });
    expect(Number(job?.unsealed)).toBe(0);
    const { items } = await tenant.api.get<{ items: Alert[] }>("/alerts");
    expect(items.find((one) => one.kind === "copy_corrupt")).toMatchObject({
      severity: "critical",
      subject: { kind: "copy", id: damaged.id },
      resolved_at: null,
    });
  });

  it("what is not damaged can still be had of the only copy: quoted, restored, browsed and downloaded", async () => {
    const input = (path: string, ...paths: string[]) => ({
      snapshot_id: snapshot.id,
      target: { source_id: sourceId, path: join(sshd.home, path) },
      paths,
    });
    // In which order the files lie there, nobody says: two frames are damaged at most, which are as long as two of these.
    const restored: string[] = [];
    for (const name of LARGE) {
      const file = join(sshd.home, "tree", name);
      const job = await run("/restores", input(name, file));
      if (job.state !== "success") expect(job.error).toMatchObject({ code: "ARTIFACT_CORRUPT" });
      else expect(readFileSync(join(sshd.home, name, file)).equals(readFileSync(file))).toBe(true);
      if (job.state === "success") restored.push(file);
    }
    expect(restored.length).toBeGreaterThanOrEqual(LARGE.length / 2);
    expect(restored.length).toBeLessThan(LARGE.length);
    const [whole = ""] = restored;
    const quote = await tenant.api.post<RestoreQuote>("/restores/quote", input("quoted", whole));
    expect(quote).toMatchObject({ files: 1, skipped: 0 });

    const browse = await tenant.api.post<Ticket>(`/snapshots/${snapshot.id}/browse-ticket`);
    const listed = await fetch(`${browse.data_url}/v1/tree?path=${encodeURIComponent(join(sshd.home, "tree"))}`, {
      headers: { authorization: `Bearer ${browse.ticket}` },
    });
    expect(listed.status).toBe(200);
    expect(await listed.text()).toContain("large-1");
    const ticket = { format: "file", paths: [whole] };
    const { url } = await tenant.api.post<{ url: string }>(`/snapshots/${snapshot.id}/download-ticket`, ticket);
    expect(readFileSync(whole).equals(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(true);

    // What is damaged is not passed off as whole; and to have met it changes nothing for the rest.
    const all = await run("/restores", input("all"));
    expect(all).toMatchObject({ state: "failed", error: { code: "ARTIFACT_CORRUPT" } });
    expect(await copy()).toMatchObject({ state: "corrupt", last: { job_id: all.id } });
    expect(await run("/restores", input("again", whole))).toMatchObject({ state: "success" });
  });

  it("a drill of what is damaged fails, is proved to have failed, and is told", async () => {
    const drill = await run(`/snapshots/${snapshot.id}/drill`, { mode: "all" });
    expect(drill).toMatchObject({ state: "failed", error: { code: "ARTIFACT_CORRUPT" } });
    const { items } = await tenant.api.get<{ items: { passed: boolean; statement: RestoreProof }[] }>("/proofs");
    expect(items[0]).toMatchObject({ passed: false, statement: { failure: { code: "ARTIFACT_CORRUPT" } } });
    const { items: told } = await tenant.api.get<{ items: Alert[] }>("/alerts");
    expect(told.find((one) => one.kind === "drill_failed")).toMatchObject({
      subject: { kind: "source", id: sourceId },
    });
  });
});
