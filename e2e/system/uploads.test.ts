// A package's bytes go from its client to a worker, under a ticket of the hub's, and become a snapshot like any other: requirement E15,
// promises 1 and 34. What is wrong is refused, and nothing of it stays.
import { execFile, execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AuditEntry, Job, Package, Snapshot, Ticket, UploadTicket } from "@xvault/contracts";
import {
  addMember,
  allRows,
  findSecrets,
  forgeToken,
  newCanary,
  queueContents,
  ROOT,
  type Stack,
  startStack,
  type Tenant,
  until,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MIB = 1024 * 1024;
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("sending packages", () => {
  let stack: Stack;
  let tenant: Tenant;
  const scratch = mkdtempSync(join(tmpdir(), "xvault-uploads-"));
  const canary = newCanary("package");
  /** Thirty MiB that do not compress, with words in them that would be found anywhere. */
  const content = Buffer.concat(
    Array.from({ length: 30 }, () => Buffer.concat([randomBytes(MIB - canary.length), Buffer.from(canary)])),
  );

  beforeAll(async () => {
    stack = await startStack({ queue: "postgres", workers: 2 });
    tenant = await stack.signUp();
  });
  afterAll(async () => {
    await stack?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  const announce = async (bytes: Buffer, more: Record<string, unknown> = {}, source_id = "laptop") =>
    (
      await tenant.api.post<{ job_id: string }>("/ingest", {
        source_id,
        path: "home/archive.bin",
        size_bytes: bytes.length,
        checksum: sha256(bytes),
        ...more,
      })
    ).job_id;
  const ask = (id: string) => tenant.api.post<UploadTicket>(`/packages/${id}/upload`);
  const packageOf = (id: string) => tenant.api.get<Package>(`/packages/${id}`);
  const headers = (ticket: string) => ({ authorization: `Bearer ${ticket}`, "tus-resumable": "1.0.0" });
  const offsetOf = async ({ upload_url, ticket }: Pick<UploadTicket, "upload_url" | "ticket">) => {
    const answer = await fetch(upload_url, { method: "HEAD", headers: headers(ticket) });
    return { status: answer.status, offset: Number(answer.headers.get("upload-offset")), head: answer.headers };
  };
  const send = async (to: Pick<UploadTicket, "upload_url" | "ticket">, from: number, bytes: Buffer) => {
    const answer = await fetch(to.upload_url, {
      method: "PATCH",
      headers: {
        ...headers(to.ticket),
        "upload-offset": String(from),
        "content-type": "application/offset+octet-stream",
      },
      body: new Uint8Array(bytes),
    });
    const body = await answer.text();
    const { code } = body === "" ? { code: null } : (JSON.parse(body) as { code: string });
    return { status: answer.status, code, offset: Number(answer.headers.get("upload-offset")) };
  };
  const workerOf = (url: string) => {
    const worker = stack.workers.find((one) => url.startsWith(one.dataUrl));
    if (!worker) throw new Error(`no worker listens at ${url}`);
    return worker;
  };
  const filesOf = (home: string) =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name));
  /** What lies on the workers' storages. */
  const stored = () =>
    stack.workers.flatMap(({ home }) => filesOf(home).filter((file) => file.startsWith(`${home}/backups/`)));
  /** All that is on the workers' disks, also what is being written. */
  const disks = () =>
    Buffer.concat(stack.workers.flatMap(({ home }) => filesOf(home).map((file) => readFileSync(file))));

  /** Sends the first bytes of a longer request, waits until the worker has some of them, and breaks the connection. */
  async function cut(to: UploadTicket, bytes: Buffer): Promise<void> {
    const { hostname, port } = new URL(to.upload_url);
    const sending = request({
      hostname,
      port,
      path: "/v1/upload",
      method: "PATCH",
      headers: {
        ...headers(to.ticket),
        "upload-offset": "0",
        "content-type": "application/offset+octet-stream",
        "content-length": bytes.length,
      },
    });
    sending.on("error", () => {});
    sending.write(bytes.subarray(0, bytes.length / 2));
    await until(async () => ((await tenant.api.get<Job>(`/jobs/${tenantJob}`)).progress?.bytes_done ?? 0) > 0);
    sending.destroy();
  }
  let tenantJob = "";

  it("refuses bytes that are not those announced, and keeps nothing of them", async () => {
    const wrong = Buffer.from(content.subarray(0, 3 * MIB));
    const id = await announce(wrong);
    const to = await ask(id);
    expect(to).toMatchObject({ offset: 0, size_bytes: wrong.length });
    wrong[5] = (wrong[5] ?? 0) ^ 1;
    expect(await send(to, 0, wrong)).toMatchObject({ status: 422, code: "UPLOAD_HASH_MISMATCH" });
    // A client that lost the answer hears it again; the package has failed for good.
    expect((await offsetOf(to)).status).toBe(422);
    const job = await tenant.api.ended({ id });
    expect(job).toMatchObject({ state: "failed", error: { code: "UPLOAD_HASH_MISMATCH" }, snapshot_id: null });
    expect(await packageOf(id)).toMatchObject({ status: "failed", snapshot_id: null, evidence: "reported" });
    expect(stored()).toEqual([]);
    await expect(ask(id)).rejects.toMatchObject({ code: "CONFLICT" });
    const more = await announce(Buffer.from("short"), {}, "other");
    expect(await send(await ask(more), 0, Buffer.from("too long"))).toMatchObject({ code: "BODY_TOO_LARGE" });
  });

  it("takes thirty MiB in pieces, through a connection that breaks, and writes none of it in clear", async () => {
    const id = await announce(content);
    tenantJob = id;
    const to = await ask(id);
    await cut(to, content.subarray(0, 16 * MIB));
    const resumed = await offsetOf(to);
    expect(resumed).toMatchObject({ status: 200 });
    expect(resumed.head.get("upload-length")).toBe(String(content.length));
    expect(resumed.head.get("tus-resumable")).toBe("1.0.0");
    expect(resumed.offset).toBeGreaterThan(0);
    expect(resumed.offset).toBeLessThanOrEqual(8 * MIB);

    // While a worker has it in hand, a client's own reports would only contradict, and another package of the source waits for its turn.
    expect(await packageOf(id)).toMatchObject({ status: "in_progress", evidence: "reported" });
    for (const body of [{ status: "completed" }, { status: "failed" }, { progress_percent: 99 }])
      await expect(tenant.api.patch(`/packages/${id}`, body)).rejects.toMatchObject({ code: "CONFLICT" });
    const next = await announce(Buffer.from("next"));
    expect((await offsetOf(await ask(next))).status).toBe(429);
    expect(await send(to, resumed.offset + 1, content.subarray(0, 10))).toMatchObject({
      status: 409,
      code: "CONFLICT",
    });

    let at = resumed.offset;
    while (at < content.length) {
      const end = Math.min(at + 8 * MIB, content.length);
      if (at > 8 * MIB) expect(findSecrets(disks(), { canary })).toEqual([]);
      // A ticket that is asked for anew leads to the same worker, which knows what is there.
      const again = await ask(id);
      expect(again.upload_url).toBe(to.upload_url);
      const answer = await send(again, at, content.subarray(at, end));
      expect(answer).toEqual({ status: 204, code: null, offset: end });
      at = end;
    }
    const job = await tenant.api.ended({ id });
    expect(job).toMatchObject({ state: "success", result: { type: "ingest", plain_bytes: content.length } });
    const shown = await packageOf(id);
    expect(shown).toMatchObject({ status: "completed", progress_percent: 100, evidence: "stored", tier: "hot" });
    expect(shown.snapshot_id).toBe(job.snapshot_id);
    expect((await offsetOf(to)).offset).toBe(content.length);

    // The one that waited has its turn now.
    expect(await send(await ask(next), 0, Buffer.from("next"))).toMatchObject({ status: 204 });
    expect(await tenant.api.ended({ id: next })).toMatchObject({ state: "success" });
    const of = (await tenant.api.get<{ items: AuditEntry[] }>("/audit?limit=200")).items;
    const actions = of.filter((one) => one.target_id === id || one.target_id === job.snapshot_id);
    const happened = [...new Set(actions.map((one) => one.action))].toSorted();
    expect(happened).toEqual([
      "package.completed",
      "package.ingested",
      "package.upload_requested",
      "snapshot.published",
    ]);

    const places = {
      tables: await allRows(stack.databases.main),
      queue: await queueContents(stack),
      logs: [stack.hub, ...stack.workers].map((part) => part.log()).join("\n"),
      files: disks(),
    };
    for (const [place, bytes] of Object.entries(places))
      expect({ place, found: findSecrets(bytes, { canary }) }).toEqual({ place, found: [] });
    // Control: the words are in what was sent, and something is stored.
    expect(findSecrets(content, { canary })).toEqual(["canary"]);
    expect(stored().some((file) => file.endsWith("backup.tar.zst.enc"))).toBe(true);
  });

  it("makes a snapshot that is browsed, downloaded, checked, and opened with stock programs", async () => {
    const { items } = await tenant.api.get<{ items: Package[] }>("/packages?source_id=laptop");
    const one = items.find((each) => each.size_bytes === content.length);
    const snapshot = await tenant.api.get<Snapshot>(`/snapshots/${one?.snapshot_id}`);
    expect(snapshot).toMatchObject({
      state: "complete",
      partial: false,
      files: 1,
      plain_bytes: content.length,
      sequence: 1,
    });
    const ticket = await tenant.api.post<Ticket & { url: string }>(`/snapshots/${snapshot.id}/download-ticket`, {
      format: "file",
      paths: ["/home/archive.bin"],
    });
    const got = Buffer.from(await (await fetch(ticket.url)).arrayBuffer());
    expect(sha256(got)).toBe(sha256(content));
    const checked = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${snapshot.id}/verify`));
    expect(checked).toMatchObject({ state: "success" });

    const kit = await tenant.web.mutate<{ content: string }>("keys.recoveryKit", {});
    const key = join(scratch, "identity");
    writeFileSync(key, `${/AGE-SECRET-KEY-1[A-Z0-9]+/.exec(kit.content)?.[0]}\n`, { mode: 0o600 });
    const out = join(scratch, "out");
    mkdirSync(out);
    const artifact = stored().find((file) => file.includes(snapshot.id) && file.endsWith("backup.tar.zst.enc")) ?? "";
    const script = 'set -o pipefail; age -d -i "$1" "$2" | zstd -d | tar -xpf - -C "$3"';
    execFileSync("bash", ["-c", script, "bash", key, artifact, out], { stdio: "pipe" });
    expect(sha256(readFileSync(join(out, "home/archive.bin")))).toBe(sha256(content));
  });

  it("lets nobody change or remove what is stored: an agent's token sends, and does nothing else", async () => {
    const before = Object.fromEntries(stored().map((file) => [file, sha256(readFileSync(file))]));
    const { items } = await tenant.api.get<{ items: Package[] }>("/packages?source_id=laptop");
    const done = items.find((each) => each.size_bytes === content.length);
    const { token } = await tenant.web.mutate<{ token: string }>("tokens.create", {
      name: "an agent",
      scopes: ["packages:write", "packages:read"],
    });
    const call = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${stack.url}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, string> };
    };
    expect(await call("POST", `/packages/${done?.id}/upload`, {})).toMatchObject({ status: 409 });
    expect(await call("PATCH", `/packages/${done?.id}`, { status: "failed" })).toMatchObject({ status: 409 });
    expect(await call("DELETE", `/snapshots/${done?.snapshot_id}`)).toMatchObject({ status: 403 });
    expect(await call("POST", `/snapshots/${done?.snapshot_id}/download-ticket`, { format: "raw" })).toMatchObject({
      status: 403,
    });
    // Under the same name it makes a new snapshot beside the old one.
    const bytes = Buffer.from("what a thief would put there\n");
    const made = await call("POST", "/ingest", {
      source_id: "laptop",
      path: "home/archive.bin",
      size_bytes: bytes.length,
      checksum: sha256(bytes),
    });
    const id = made.body["job_id"] ?? "";
    const to = (await call("POST", `/packages/${id}/upload`, {})).body as unknown as UploadTicket;
    expect(await send(to, 0, bytes)).toMatchObject({ status: 204 });
    const job = await tenant.api.ended({ id });
    expect(job.state).toBe("success");
    expect(job.snapshot_id).not.toBe(done?.snapshot_id);
    const after = Object.fromEntries(stored().map((file) => [file, sha256(readFileSync(file))]));
    expect(after).toMatchObject(before);
    expect(Object.keys(after).length).toBeGreaterThan(Object.keys(before).length);
  });

  it("takes only tickets of the hub, for this use, at the worker that they name, while their holder may", async () => {
    const bytes = Buffer.from("a few words");
    const id = await announce(bytes, {}, "guarded");
    const to = await ask(id);
    const other = stack.workers.find((one) => one !== workerOf(to.upload_url));
    const refused: [string, Pick<UploadTicket, "upload_url" | "ticket">][] = [
      ["at another worker", { ...to, upload_url: `${other?.dataUrl}/v1/upload` }],
      ["forged", { ...to, ticket: await forgeToken(to.ticket) }],
      ["an access token", { ...to, ticket: tenant.accessToken }],
    ];
    const { items } = await tenant.api.get<{ items: Snapshot[] }>("/snapshots");
    const browse = await tenant.api.post<Ticket>(`/snapshots/${items[0]?.id}/browse-ticket`);
    refused.push(["for browsing", { upload_url: `${browse.data_url}/v1/upload`, ticket: browse.ticket }]);
    for (const [what, bad] of refused) expect(await send(bad, 0, bytes), what).toMatchObject({ status: 401 });
    const tree = await fetch(to.upload_url.replace("/v1/upload", "/v1/tree"), { headers: headers(to.ticket) });
    expect(tree.status).toBe(401);
    const stranger = await stack.signUp();
    await expect(stranger.api.post(`/packages/${id}/upload`)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const viewer = await addMember(stack.url, tenant, await stack.signUp(), "viewer");
    await expect(viewer.post(`/packages/${id}/upload`)).rejects.toMatchObject({ code: "FORBIDDEN" });

    const passing = await tenant.web.mutate<{ token: string; api_token: { id: string } }>("tokens.create", {
      name: "passing",
      scopes: ["packages:write"],
    });
    const answer = await fetch(`${stack.url}/api/v1/packages/${id}/upload`, {
      method: "POST",
      headers: { authorization: `Bearer ${passing.token}`, "content-type": "application/json" },
      body: "{}",
    });
    const its = (await answer.json()) as UploadTicket;
    expect(await send(its, 0, bytes.subarray(0, 4))).toMatchObject({ status: 204, offset: 4 });
    await tenant.web.mutate("tokens.revoke", { id: passing.api_token.id });
    await until(async () => (await offsetOf(its)).status === 401);
    expect(await send(its, 4, bytes.subarray(4))).toMatchObject({ status: 401 });
    // Control: another who may goes on where it was.
    expect(await send(await ask(id), 4, bytes.subarray(4))).toMatchObject({ status: 204 });
    expect(await tenant.api.ended({ id })).toMatchObject({ state: "success" });
  });

  it("begins anew after its worker was stopped, and a person can cancel it; nothing of either stays", async () => {
    const bytes = content.subarray(0, 2 * MIB);
    const id = await announce(bytes, {}, "restarted");
    const first = await ask(id);
    await send(first, 0, bytes.subarray(0, MIB));
    const before = stored();
    const worker = workerOf(first.upload_url);
    await worker.stop();
    expect(await tenant.api.get<Job>(`/jobs/${id}`)).toMatchObject({ state: "queued", snapshot_id: null });
    await worker.start();
    expect(stored().filter((file) => !before.includes(file))).toEqual([]);
    const again = await ask(id);
    expect((await offsetOf(again)).offset).toBe(0);
    expect(await send(again, 0, bytes)).toMatchObject({ status: 204 });
    expect(await tenant.api.ended({ id })).toMatchObject({ state: "success", attempt: 2 });

    const kept = stored();
    const doomed = await announce(bytes, {}, "restarted");
    const to = await ask(doomed);
    await send(to, 0, bytes.subarray(0, MIB));
    await tenant.api.post(`/jobs/${doomed}/cancel`);
    expect(await tenant.api.ended({ id: doomed })).toMatchObject({ state: "cancelled" });
    expect(stored()).toEqual(kept);
    expect(await send(to, MIB, bytes.subarray(MIB))).toMatchObject({ status: 409 });
  });

  it("takes a package without a byte, and one whose size is said only when it is sent", async () => {
    const nothing = await announce(Buffer.alloc(0), { path: "../.." }, "small");
    expect(await send(await ask(nothing), 0, Buffer.alloc(0))).toMatchObject({ status: 204 });
    expect(await tenant.api.ended({ id: nothing })).toMatchObject({ state: "success" });
    const { job_id } = await tenant.api.post<{ job_id: string }>("/ingest", { source_id: "small", path: "later" });
    await expect(ask(job_id)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    const bytes = Buffer.from("later\n");
    const facts = { size_bytes: bytes.length, checksum: sha256(bytes) };
    const to = await tenant.api.post<UploadTicket>(`/packages/${job_id}/upload`, facts);
    expect(await send(to, 0, bytes)).toMatchObject({ status: 204 });
    expect(await tenant.api.ended({ id: job_id })).toMatchObject({ state: "success" });
    expect(await packageOf(job_id)).toMatchObject({ ...facts, evidence: "stored" });
  });

  it("is what the command line does: it hashes, announces, sends, goes on where another run stopped, and waits", async () => {
    const file = join(scratch, "dump.bin");
    const bytes = Buffer.concat([randomBytes(9 * MIB), Buffer.from("the end")]);
    writeFileSync(file, bytes);
    const cli = async (...args: string[]) => {
      const env = { ...process.env, XVAULT_URL: stack.url, XVAULT_TOKEN: tenant.token };
      const words = ["package", "send", file, "--source", "by-cli", "--json", ...args];
      const { stdout } = await promisify(execFile)("node", [join(ROOT, "apps/cli/src/main.ts"), ...words], { env });
      const lines = stdout.trim().split("\n");
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const whole = await cli("--path", "db/dump", "--type", "business_data", "--tier", "warm");
    const summary = whole.at(-1);
    expect(summary).toMatchObject({ message_type: "summary", state: "success", total_bytes: bytes.length });
    const first = await packageOf(String(summary?.["package_id"]));
    expect(first).toMatchObject({ path: "db/dump", package_type: "business_data", evidence: "stored" });
    expect(first.snapshot_id).toBe(summary?.["snapshot_id"]);

    const id = await announce(bytes, {}, "by-cli");
    expect(await send(await ask(id), 0, bytes.subarray(0, MIB))).toMatchObject({ offset: MIB });
    expect((await cli("--resume", id)).at(-1)).toMatchObject({ package_id: id, state: "success" });
    expect(await packageOf(id)).toMatchObject({ evidence: "stored", size_bytes: bytes.length });
    expect(await tenant.api.get<Job>(`/jobs/${id}`)).toMatchObject({ attempt: 1 });
  });
});
