// Who reads a snapshot that needs earlier artifacts gets their file keys, and those of nothing else (promise 12).
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import type { Credential, Job, Source, Ticket, WorkerInput } from "@xvault/contracts";
import { enrolVoice, type Stack, startStack, type Tenant, type WorkerVoice } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = installed("age") ? null : "age is not installed";
type Sealed = WorkerInput<"unwrap_earlier">["sealed"];
type References = Sealed["manifest"]["references"];

/** A snapshot that a voice published: what it would show to the hub to have it opened. */
interface Published {
  id: string;
  sealed: Sealed;
  reference: References[number];
}

describe.skipIf(missing !== null)(`keys of earlier artifacts${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let voice: WorkerVoice;
  let tenant: Tenant;
  let source: Source;
  let earlier: Published;
  let unrelated: Published;
  let elsewhere: Published;
  let theirs: Published;
  let newest: Published;

  beforeAll(async () => {
    stack = await startStack({ queue: "postgres", workers: 1 });
    voice = await enrolVoice(stack, "voice");
    tenant = await stack.signUp();
    source = await sourceOf(tenant);
    earlier = await publish(tenant, source);
    unrelated = await publish(tenant, source);
    elsewhere = await publish(tenant, await sourceOf(tenant));
    const stranger = await stack.signUp();
    theirs = await publish(stranger, await sourceOf(stranger));
    newest = await publish(tenant, source, [earlier.reference]);
  });
  afterAll(() => stack?.stop());

  it("are given to a job that reads the snapshot which names them, and to no other", async () => {
    const held = await verifying(newest);
    const ask = (sealed: Sealed) => outcome(voice.call("unwrap_earlier", { ...held, sealed }));
    const given = await voice.call("unwrap_earlier", { ...held, sealed: earlier.sealed });
    expect(Buffer.from(given.artifact, "base64")).toHaveLength(16);
    const audited = await stack.sql`
      select data from audit_log where action = 'snapshot.unsealed' and target_id = ${earlier.id}`;
    expect(audited).toEqual([{ data: { job_id: held.job_id } }]);

    for (const other of [unrelated, elsewhere, theirs, newest]) expect(await ask(other.sealed)).toBe("NOT_FOUND");
    const another = { ...earlier.sealed, artifact_header: unrelated.sealed.artifact_header };
    expect(await ask(another)).toBe("SIGNATURE_INVALID");
    const remade = { ...earlier.sealed.manifest, sequence: 9 };
    expect(await ask({ ...earlier.sealed, manifest: remade })).toBe("SIGNATURE_INVALID");
    // The one that is referred to is no way to it by itself, nor to what refers to it.
    const before = await verifying(earlier);
    expect(await outcome(voice.call("unwrap_earlier", { ...before, sealed: earlier.sealed }))).toBe("NOT_FOUND");
    expect(await outcome(voice.call("unwrap_earlier", { ...before, sealed: newest.sealed }))).toBe("NOT_FOUND");
    expect(await outcome(voice.call("unwrap_earlier", { ...held, attempt: 2, sealed: earlier.sealed }))).toBe(
      "LEASE_LOST",
    );
  });

  it("are given under a ticket to download, as long as it holds; a ticket to browse or for what is sealed has none", async () => {
    const download = (id: string, format: "tar" | "raw") =>
      tenant.web.post<Ticket>(`/snapshots/${id}/download-ticket`, { format });
    const { ticket } = await download(newest.id, "tar");
    const ask = (shown: string, sealed: Sealed) => outcome(voice.call("redeem_earlier", { ticket: shown, sealed }));
    const told = await voice.call("redeem", { ticket, sealed: null });
    expect(told.earlier).toEqual([earlier.id]);
    expect(await ask(ticket, earlier.sealed)).toBe("granted");
    for (const other of [unrelated, elsewhere, theirs]) expect(await ask(ticket, other.sealed)).toBe("NOT_FOUND");
    expect(await ask((await download(earlier.id, "tar")).ticket, earlier.sealed)).toBe("NOT_FOUND");
    expect(await ask((await download(newest.id, "raw")).ticket, earlier.sealed)).toBe("TOKEN_INVALID");
    const browse = await tenant.web.post<Ticket>(`/snapshots/${newest.id}/browse-ticket`);
    expect(await ask(browse.ticket, earlier.sealed)).toBe("TOKEN_INVALID");
    const other = await enrolVoice(stack, "another");
    await expect(other.call("redeem_earlier", { ticket, sealed: earlier.sealed })).rejects.toMatchObject({
      code: "TOKEN_INVALID",
    });
  });

  it("cannot be had by publishing a manifest that names what is not one's own", async () => {
    const named = (reference: References[number]) => publish(tenant, source, [reference]);
    for (const other of [elsewhere, theirs]) {
      await expect(named(other.reference)).rejects.toMatchObject({ code: "MANIFEST_TENANT_MISMATCH" });
    }
    const wrong = { ...earlier.reference, manifest_sha256: "0".repeat(64) };
    await expect(named(wrong)).rejects.toMatchObject({ code: "SIGNATURE_INVALID" });
    expect((await named(earlier.reference)).id).toBeTruthy();
  });

  it("are given for an earlier snapshot that has expired meanwhile: the artifact stays for those that need it", async () => {
    await stack.sql`update snapshots set state = 'expired' where id = ${earlier.id}`;
    const held = await verifying(newest);
    expect(await outcome(voice.call("unwrap_earlier", { ...held, sealed: earlier.sealed }))).toBe("granted");
  });

  async function sourceOf(who: Tenant): Promise<Source> {
    const credential = await who.api.post<Credential>("/credentials", {
      credential: { kind: "password", password: "of a server that is never asked" },
    });
    const host_key = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
    const connection = { host: "192.0.2.1", port: 22, username: "u", host_key, credential_id: credential.id };
    return who.api.post<Source>("/sources", { name: "server", connection, paths: ["/srv"] });
  }

  /** Backs up in name: leases, publishes and completes, with a header that stock age made for the workspace. */
  async function publish(who: Tenant, of: Source, references: References = []): Promise<Published> {
    await stack.sql`update sources set worker_id = ${voice.id} where id = ${of.id}`;
    const job = await who.api.post<Job>(`/sources/${of.id}/backup`);
    const lease = await voice.call("lease", { job_id: job.id });
    if (!lease.granted || lease.payload.type !== "backup") throw new Error("the lease was not granted");
    const held = { job_id: job.id, attempt: lease.attempt };
    try {
      const header = ageHeader(lease.payload.recipients[0] ?? "");
      const facts = { header_bytes: header.length, header_sha256: createHash("sha256").update(header).digest("hex") };
      const manifest = await voice.manifest({ ...lease, payload: lease.payload }, (body) => ({
        ...body,
        references,
        artifact: { ...body.artifact, ...facts },
      }));
      await voice.call("publish", {
        ...held,
        manifest,
        stored: [{ storage_id: null, location: "/x", locked_until: null }],
      });
      await voice.call("complete", { ...held, state: "success", result: null, error: null, events: [] });
      const { snapshot_id: id } = manifest;
      const [row] = await stack.sql<{
        manifest_sha256: string;
      }>`select manifest_sha256 from snapshots where id = ${id}`;
      return {
        id,
        sealed: { manifest, artifact_header: header.toString("base64") },
        reference: { snapshot_id: id, manifest_sha256: row?.manifest_sha256 ?? "", live_bytes: 1 },
      };
    } catch (error) {
      await voice.call("complete", { ...held, state: "failed", result: null, error: null, events: [] });
      throw error;
    }
  }

  /** A job of the voice that reads a snapshot. */
  async function verifying(which: Published): Promise<{ job_id: string; attempt: number }> {
    const job = await tenant.api.post<Job>(`/snapshots/${which.id}/verify`);
    // Of one source, one job runs at a time: the one before is over.
    await stack.sql`update jobs set state = 'cancelled' where state = 'running' and type = 'verify'`;
    const lease = await voice.call("lease", { job_id: job.id });
    if (!lease.granted) throw new Error("the lease was not granted");
    return { job_id: job.id, attempt: lease.attempt };
  }
});

function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "granted",
    (refusal: { code: string }) => refusal.code,
  );
}

/** The header of an age file: everything up to the end of its line that begins with '---'. */
function ageHeader(recipient: string): Buffer {
  const file = execFileSync("age", ["-r", recipient], { input: "x" });
  return file.subarray(0, file.indexOf("\n", file.indexOf("\n---") + 1) + 1);
}

function installed(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
