// The command line against a running hub, as somebody uses it who never opens the dashboard: each command by itself, its words and its exit code.
import { spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Snapshot, Source, Storage } from "@xvault/contracts";
import { type Sshd, startSshd, unprivilegedSshdAvailable } from "@xvault/test-kit/ssh";
import { ROOT, type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const missing = unprivilegedSshdAvailable();

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

describe.skipIf(missing !== null)(`the command line${missing === null ? "" : ` (${missing})`}`, () => {
  let stack: Stack;
  let sshd: Sshd;
  let tenant: Tenant;
  let work: string;
  let tree: string;
  let key: string;

  beforeAll(async () => {
    [stack, sshd] = await Promise.all([
      startStack({ queue: "postgres", workers: 1 }),
      startSshd({ unprivileged: true }),
    ]);
    tenant = await stack.signUp({ workspace: "Acme" });
    // Beside the workers' own disks, a folder of them that the operator offers.
    const folder = { name: "second", tier: "cold", place: { kind: "local_fs", config: { folder: "second" } } };
    await (await stack.admin()).post("/platform/storages", { ...folder, offered: true });
    work = mkdtempSync(join(tmpdir(), "xvault-command-line-"));
    key = join(work, "key");
    writeFileSync(key, sshd.privateKey, { mode: 0o600 });
    tree = join(sshd.home, "tree");
    mkdirSync(join(tree, "etc"), { recursive: true });
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (const [name, text] of [
      ["etc/hosts", "127.0.0.1 localhost\n"],
      ["etc/notes", "first\n"],
      ["large.bin", "x".repeat(300_000)],
    ] as const) {
      writeFileSync(join(tree, name), text);
      utimesSync(join(tree, name), hourAgo, hourAgo);
    }
  });
  afterAll(async () => {
    await sshd?.stop();
    await stack?.stop();
    if (work) rmSync(work, { recursive: true });
  });

  /** Runs the program as a shell does, signed in as `login` has left it. */
  const xvault = (words: string[], input = ""): Promise<Ran> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, XDG_CONFIG_HOME: work, XVAULT_URL: "", XVAULT_TOKEN: "", NO_COLOR: "1" };
      const child = spawn(join(ROOT, "apps/cli/bin/xvault"), words, { env });
      const ran: Ran = { code: null, out: "", err: "" };
      child.stdout.on("data", (piece: Buffer) => (ran.out += piece.toString()));
      child.stderr.on("data", (piece: Buffer) => (ran.err += piece.toString()));
      child.on("error", reject);
      child.on("close", (code) => resolve({ ...ran, code }));
      child.stdin.end(input);
    });
  const messages = ({ out }: Ran) =>
    out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it("signs in with a password, and keeps the token where nobody else reads it", async () => {
    const login = ["login", "--url", stack.url, "--email", tenant.email, "--password-stdin"];
    const refused = await xvault(login, `${tenant.password}x`);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toMatch(/^error CREDENTIALS_INVALID: .*\nfix: .*\nrequest id: /);
    expect((await xvault(["whoami"])).err).toContain("error UNAUTHENTICATED");
    const done = await xvault(login, tenant.password);
    expect(done).toMatchObject({ code: 0, err: "" });
    expect(done.out).toBe(`Signed in to ${stack.url} as ${tenant.email}, workspace Acme.\n`);
    expect(statSync(join(work, "xvault/config.json")).mode & 0o777).toBe(0o600);
    expect((await xvault(["whoami"])).out).toContain("workspace Acme, role owner, restore key held by the platform");
  });

  it("adds a server only with a host key that somebody vouches for, once", async () => {
    const add = ["source", "add", "web-01", "--host", "127.0.0.1", "--port", String(sshd.port), "--user"];
    add.push(sshd.username, "--path", tree, "--key", key);
    const unasked = await xvault(add);
    expect(unasked).toMatchObject({ code: 1, out: "" });
    expect(unasked.err).toContain(`error HOST_KEY_UNCONFIRMED: Nobody confirmed the host key ${sshd.fingerprint}`);
    const other = await xvault([...add, "--fingerprint", "SHA256:AAAA"]);
    expect(other.err).toContain("error HOST_KEY_CHANGED");
    const known = [...add, "--fingerprint", sshd.fingerprint];
    expect(await xvault([...known, "--storage", "nowhere"])).toMatchObject({ code: 10, out: "" });
    expect((await tenant.api.get<{ items: unknown[] }>("/sources")).items).toEqual([]);
    expect(await stack.sql`select id from credentials where tenant_id = ${tenant.workspaceId}`).toEqual([]);

    const added = await xvault([...known, "--storage", "second", "--storage", "Worker disks"]);
    expect(added.code).toBe(0);
    expect(added.out).toContain(`ok       ${tree}: The directory is readable.`);
    expect(added.out).toMatch(/Source web-01 \([0-9a-f]{8}\) is added\.\n$/);
    const [source] = (await tenant.api.get<{ items: Source[] }>("/sources")).items;
    const { storages } = await tenant.api.get<{ storages: Storage[] }>(`/sources/${source?.id}/placement`);
    expect(storages.map(({ name }) => name)).toEqual(["second", "Worker disks"]);
    expect(await xvault(known)).toMatchObject({ code: 11, err: expect.stringContaining("There is a source 'web-01'") });
    expect((await xvault(["source", "ls"])).out).toMatch(/web-01 +\S+@127\.0\.0\.1:\d+ +unprotected +never +0/);
    expect(await xvault(["source", "test", "web-01"])).toMatchObject({ code: 0 });
    const placed = await xvault(["source", "place", "web-01", "Worker disks"]);
    expect(placed.out).toBe("web-01 writes to Worker disks from its next backup on.\n");
  });

  it("backs up, step by step in words or as JSON, and says by its exit code that something could not be read", async () => {
    const first = await xvault(["backup", "web-01"]);
    expect(first).toMatchObject({ code: 0, err: expect.stringContaining("pull: 3 files found.") });
    expect(first.out).toMatch(/^snapshot [0-9a-f]{8} saved: 3 files, 293 KiB, stored [\d.]+ \S+, \d+ s\n$/);
    writeFileSync(join(tree, "secret"), "nobody may read this", { mode: 0 });
    const second = await xvault(["backup", "web-01"]);
    expect(second).toMatchObject({ code: 3, out: expect.stringContaining("3 unchanged), 293 KiB") });
    expect(second.err).toContain(`${tree}/secret: The login user may not read it.`);
    const third = await xvault(["backup", "web-01", "--json"]);
    expect(third).toMatchObject({ code: 3, err: "" });
    expect(messages(third).at(-1)).toMatchObject({ message_type: "summary", state: "warning", files: 3, problems: 1 });
    expect(await xvault(["backup", "nowhere"])).toMatchObject({ code: 10 });
  });

  it("looks into snapshots, and lists them and the jobs", async () => {
    expect(await xvault(["ls", `latest@web-01:${tree}`])).toEqual({ code: 0, out: "etc/\nlarge.bin\n", err: "" });
    expect((await xvault(["ls", "-l", `latest@web-01:${tree}/etc`])).out).toMatch(/-rw-r--r-- +20 B +\S+Z +hosts\n/);
    expect(await xvault(["ls", "latest:/nowhere"])).toMatchObject({ code: 10, out: "" });
    expect((await xvault(["snapshots", "--source", "web-01"])).out.trim().split("\n")).toHaveLength(4);
    const jobs = messages(await xvault(["jobs", "--state", "warning", "--json"]));
    expect(jobs).toMatchObject([{ type: "backup" }, { type: "backup" }]);
    const shown = await xvault(["jobs", "show", String(jobs[0]?.["id"]).slice(-8)]);
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining("The login user may not read it.") });
  });

  it("restores to this machine and to the server, never over what is there unless told how", async () => {
    const out = join(work, "out");
    const one = ["restore", `latest@web-01:${tree}/etc/hosts`, "--target", out];
    expect((await xvault(one)).out).toBe(`1 entry, 20 B restored to ${out}.\n`);
    const [restored = ""] = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith("hosts"),
    );
    expect(readFileSync(join(out, restored), "utf8")).toBe("127.0.0.1 localhost\n");
    expect(await xvault(one)).toMatchObject({ code: 1, err: expect.stringContaining("error TARGET_NOT_EMPTY") });
    expect(await xvault([...one, "--overwrite", "always"])).toMatchObject({ code: 0 });
    const there = join(sshd.home, "back");
    const back = await xvault(["restore", `latest:${tree}`, "--to", "web-01", "--target", there, "--verify"]);
    expect(back).toMatchObject({ code: 0, out: expect.stringContaining("5 entries, 293 KiB restored to") });
    expect(readFileSync(join(there, tree, "etc/notes"), "utf8")).toBe("first\n");
  });

  it("checks, pins, copies and removes, and says what stands against it", async () => {
    const [newest, , oldest] = (await tenant.api.get<{ items: Snapshot[] }>("/snapshots")).items.map(({ id }) =>
      id.slice(-8),
    );
    expect((await xvault(["verify", "latest"])).out).toMatch(new RegExp(`^snapshot ${newest} is sound: 3 files`));
    expect((await xvault(["pin", newest ?? "", "--note", "before the move"])).code).toBe(0);
    const pinned = await xvault(["forget", newest ?? "", "--yes"]);
    expect(pinned).toMatchObject({
      code: 11,
      err: expect.stringContaining("error SNAPSHOT_NEEDED: This snapshot is pinned."),
    });
    expect(await xvault(["unpin", newest ?? ""])).toMatchObject({ code: 0 });
    const needed = await xvault(["forget", oldest ?? "", "--yes"]);
    expect(needed).toMatchObject({ code: 11, err: expect.stringContaining("2 later snapshots use data of this one.") });
    expect(await xvault(["copy", "latest", "--to", "Worker disks"])).toMatchObject({ code: 11 });
    expect(await xvault(["copy", "latest", "--to", "second", "--move"])).toMatchObject({ code: 0 });
    expect((await xvault(["storage", "ls"])).out).toMatch(/second +local_fs +cold .* 2 /);
    expect(await xvault(["ls", `latest:${tree}/etc`])).toMatchObject({ code: 0, out: "hosts\nnotes\n" });
  });

  it("removes a source without its snapshots, and signs out", async () => {
    expect(await xvault(["source", "rm", "web-01"])).toMatchObject({ code: 2, out: "" });
    expect((await xvault(["source", "rm", "web-01", "--yes"])).out).toBe(
      "web-01 is removed; 3 snapshots of it stay.\n",
    );
    expect((await xvault(["ls", `latest@web-01:${tree}/etc`])).out).toBe("hosts\nnotes\n");
    expect((await xvault(["logout"])).code).toBe(0);
    expect((await xvault(["jobs"])).err).toContain("error UNAUTHENTICATED");
  });
});
