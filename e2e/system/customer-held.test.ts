// A workspace that holds its own key: the platform stores what it cannot read. The identity exists in this file alone.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Job, Manifest, Snapshot, Source, Ticket } from "@xvault/contracts";
import { type Sshd, sshdAvailable, startSshd } from "@xvault/test-kit/ssh";
import {
  addMember,
  addSource,
  allRows,
  backUp,
  findSecrets,
  newCanary,
  queueContents,
  ROOT,
  type Stack,
  startStack,
  type Tenant,
} from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTree, treeFacts } from "./trees.ts";

const missing = [
  sshdAvailable(),
  ...["age", "age-keygen", "zstd"].map((program) => (installed(program) ? null : `${program} is not installed`)),
]
  .filter((reason) => reason !== null)
  .join(", ");

describe.skipIf(missing !== "")(`customer-held keys${missing === "" ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let source: Source;
  let snapshot: Snapshot;
  let tree: string;
  const canary = newCanary("content");
  const keyFolder = mkdtempSync(join(tmpdir(), "xvault-keys-"));
  let keys: readonly [CustomerKey, CustomerKey];

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([startStack({ queue: "postgres", workers: 1 }), startSshd()]);
    tree = join(sshd.home, "tree");
    makeTree(tree, { "secret.txt": `${canary}\n` });
    keys = [makeKey("first"), makeKey("second")];
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
    rmSync(keyFolder, { recursive: true, force: true });
  });

  it("are made by the customer: an identity given in place of a recipient is refused and not kept", async () => {
    const { identity } = makeKey("by mistake");
    await expect(stack.signUp({ recipient: identity })).rejects.toThrow("RECIPIENT_IS_PRIVATE");
    expect(findSecrets(await allRows(stack.databases.main), { identity })).toEqual([]);
    tenant = await stack.signUp({ recipient: keys[0].recipient });
    const { key_mode, keys: list } = await tenant.api.get<{ key_mode: string; keys: { recipient: string }[] }>("/keys");
    expect({ key_mode, list }).toMatchObject({ key_mode: "customer", list: [{ recipient: keys[0].recipient }] });
  });

  it("back up like any others", async () => {
    source = await addSource(tenant, sshd, { paths: [tree] });
    const job = await backUp(tenant, source);
    snapshot = await tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
    expect(snapshot).toMatchObject({ key_holder: "customer", partial: false });
    const verified = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${snapshot.id}/verify`));
    expect(verified).toMatchObject({ state: "success", result: { depth: "whole" } });
  });

  it("keep the platform from browsing, from downloading in the clear and from restoring", async () => {
    const held = { code: "KEY_CUSTOMER_HELD" };
    const { api, web } = tenant;
    const at = `/snapshots/${snapshot.id}`;
    await expect(api.post(`${at}/browse-ticket`)).rejects.toMatchObject(held);
    await expect(api.post(`${at}/download-ticket`, { format: "tar" })).rejects.toMatchObject(held);
    await expect(
      api.post(`${at}/download-ticket`, { format: "file", paths: [join(tree, "secret.txt")] }),
    ).rejects.toMatchObject(held);
    const restore = { snapshot_id: snapshot.id, target: { source_id: source.id, path: join(sshd.home, "never") } };
    await expect(api.post("/restores", restore)).rejects.toMatchObject(held);
    await expect(web.mutate("keys.recoveryKit", {})).rejects.toMatchObject(held);
    const admin = await stack.admin();
    await expect(
      admin.mutate("admin.restore", { ...restore, tenant_id: tenant.workspaceId, reason: "the admin cannot either" }),
    ).rejects.toMatchObject(held);
  });

  it("let the customer fetch what is stored and open it with stock age, zstd and tar", async () => {
    const folder = await fetchRaw(tenant, snapshot);
    expect(openWith(keys[0].file, folder, "out")).toEqual(treeFacts(tree));
    // The other key opens nothing, and who may not restore gets no ticket.
    expect(() => openWith(keys[1].file, folder, "none")).toThrow();
    const operator = await addMember(stack.url, tenant, await stack.signUp(), "operator");
    await expect(operator.post(`/snapshots/${snapshot.id}/download-ticket`, { format: "raw" })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
  });

  it("can be changed: new snapshots go to the new recipient, the old ones still open with the old key", async () => {
    await expect(tenant.web.mutate("keys.change", { recipients: [keys[1].identity] })).rejects.toMatchObject({
      code: "RECIPIENT_IS_PRIVATE",
    });
    await tenant.web.mutate("keys.change", { recipients: [keys[1].recipient] });
    const job = await backUp(tenant, source);
    const next = await tenant.api.get<Snapshot>(`/snapshots/${job.snapshot_id}`);
    expect(next.key_fingerprints).not.toEqual(snapshot.key_fingerprints);
    expect(next).toMatchObject({ key_holder: "customer", sequence: 2 });
    const folder = await fetchRaw(tenant, next);
    expect(openWith(keys[1].file, folder, "new")).toEqual(treeFacts(tree));
    expect(() => openWith(keys[0].file, folder, "not-with-the-old")).toThrow();
    const old = await fetchRaw(tenant, snapshot);
    expect(openWith(keys[0].file, old, "old")).toEqual(treeFacts(tree));
    expect(await tenant.api.get(`/snapshots/${snapshot.id}`)).toMatchObject({ key_holder: "customer" });
  });

  it("open a snapshot that needs earlier artifacts, through the worker, where the identity is", async () => {
    // SFTP tells whole seconds and no change times: what is an hour old is settled.
    execFileSync("find", [tree, "-exec", "touch", "-h", "-d", "1 hour ago", "{}", "+"]);
    const bySftp = await addSource(tenant, sshd, { paths: [tree], transport: "sftp", name: "by sftp" });
    await backUp(tenant, bySftp);
    writeFileSync(join(tree, "added.txt"), "in the second run\n");
    const made = await backUp(tenant, bySftp);
    const next = await tenant.api.get<SnapshotDetail>(`/snapshots/${made.snapshot_id}`);
    const earlier = next.manifest.references.map((one) => one.snapshot_id);
    expect(earlier).toHaveLength(1);

    const out = join(sshd.dir, "by-the-cli");
    // Not by a call that stops this process: the hub closes connections that stay silent.
    const cli = async (...args: string[]) =>
      promisify(execFile)("node", [join(ROOT, "apps/cli/src/main.ts"), ...args, "--identity", keys[1].file], {
        env: { ...process.env, XVAULT_URL: stack.url, XVAULT_TOKEN: tenant.token },
      });
    expect((await cli("ls", `${next.id}:${tree}`)).stdout).toContain("secret.txt");
    await cli("restore", next.id, "--target", out);
    expect(treeFacts(join(out, tree))).toEqual(treeFacts(tree));
    expect((await cli("verify", next.id)).stdout).toContain("decrypted and compared with their hashes");
    const stored = await tenant.api.ended(await tenant.api.post<Job>(`/snapshots/${next.id}/verify`));
    const sizes = await Promise.all(
      [next.id, ...earlier].map(async (id) => (await tenant.api.get<Snapshot>(`/snapshots/${id}`)).size_bytes),
    );
    expect(stored.result).toMatchObject({ depth: "whole", bytes: sizes.reduce((sum, size) => sum + size, 0) });

    // The ticket opens what the snapshot refers to, but for the index, and nothing else.
    const { ticket, data_url } = await tenant.api.post<Ticket>(`/snapshots/${next.id}/download-ticket`, {
      format: "raw",
    });
    const status = async (path: string) =>
      (await fetch(`${data_url}/v1/raw/${path}`, { headers: { authorization: `Bearer ${ticket}` } })).status;
    expect(await status(`${earlier[0]}/manifest.json`)).toBe(200);
    expect(await status(`${earlier[0]}/blocks.bin`)).toBe(200);
    expect(await status(`${earlier[0]}/index.zst.enc`)).toBe(404);
    expect(await status(`${snapshot.id}/manifest.json`)).toBe(404);
    expect(await status(`${earlier[0]}/../${snapshot.id}/manifest.json`)).toBe(404);
  });

  it("never are anywhere on the platform, nor is anything that they protect", async () => {
    const places = {
      tables: await allRows(stack.databases.main),
      queue: await queueContents(stack),
      logs: [stack.hub, ...stack.workers].map((part) => part.log()).join("\n"),
      files: execFileSync("tar", ["-cf", "-", "-C", stack.folder, "worker-1"], { maxBuffer: 512 * 1024 * 1024 }),
    };
    const secrets = { first: keys[0].identity, second: keys[1].identity, content: canary };
    for (const [place, bytes] of Object.entries(places)) {
      expect({ place, found: findSecrets(bytes, secrets) }).toEqual({ place, found: [] });
    }
    // Control: the public half, and the id of the snapshot, are where they belong.
    expect(findSecrets(places.tables, { recipient: keys[0].recipient })).toEqual(["recipient"]);
    expect(findSecrets(places.files, { snapshot: snapshot.id })).toEqual(["snapshot"]);
  });

  /** Downloads a snapshot's objects with a raw ticket, the artifact in two ranges. */
  async function fetchRaw(who: Tenant, which: Snapshot): Promise<string> {
    const ticket = await who.api.post<Ticket & { url: string | null }>(`/snapshots/${which.id}/download-ticket`, {
      format: "raw",
    });
    expect(ticket.url).toBeNull();
    const folder = join(sshd.dir, `raw-${which.id}`);
    mkdirSync(folder, { recursive: true });
    const part = async (name: string, range?: string) => {
      const headers = { authorization: `Bearer ${ticket.ticket}`, ...(range ? { range } : {}) };
      const answer = await fetch(`${ticket.data_url}/v1/raw/${name}`, { headers });
      expect(answer.status).toBe(range ? 206 : 200);
      return Buffer.from(await answer.arrayBuffer());
    };
    const artifact = Buffer.concat([
      await part("backup.tar.zst.enc", "bytes=0-99999"),
      await part("backup.tar.zst.enc", "bytes=100000-"),
    ]);
    expect(artifact.length).toBe(which.size_bytes);
    writeFileSync(join(folder, "backup.tar.zst.enc"), artifact);
    for (const name of ["manifest.json", "index.zst.enc", "blocks.bin"])
      writeFileSync(join(folder, name), await part(name));
    const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as { snapshot_id: string };
    expect(manifest.snapshot_id).toBe(which.id);
    return folder;
  }

  /** What stock programs make of an artifact: the tree's facts. Throws when one of them fails. */
  function openWith(keyFile: string, folder: string, name: string): Map<string, string> {
    const out = join(folder, name);
    mkdirSync(out);
    const script = 'set -o pipefail; age -d -i "$1" "$2/backup.tar.zst.enc" | zstd -d | tar -xpf - -C "$3"';
    execFileSync("bash", ["-c", script, "bash", keyFile, folder, out], { stdio: "pipe" });
    return treeFacts(join(out, tree));
  }

  function makeKey(name: string): CustomerKey {
    const text = execFileSync("age-keygen", { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const file = join(keyFolder, name);
    writeFileSync(file, text, { mode: 0o600 });
    const find = (pattern: RegExp) => pattern.exec(text)?.[0] ?? "";
    return { file, identity: find(/AGE-SECRET-KEY-1[A-Z0-9]+/), recipient: find(/age1[a-z0-9]+/) };
  }
});

type SnapshotDetail = Snapshot & { manifest: Manifest };

interface CustomerKey {
  file: string;
  identity: string;
  recipient: string;
}

function installed(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
