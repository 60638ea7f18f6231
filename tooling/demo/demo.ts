import { formatBytes } from "@xvault/kernel";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, isFree } from "../start/ports.ts";
import type { Show } from "../start/show.ts";
import { type Api, createApi, signIn, signUp } from "./api.ts";
import { makeSampleTree } from "./sample-tree.ts";
import { authorize, type DemoSshServer, hostKeyOf, startDemoSsh } from "./ssh-server.ts";

interface Saved {
  email: string;
  password: string;
  port: number;
  /** Set once the first run went through. */
  done: boolean;
}
interface Job {
  id: string;
  state: string;
  snapshot_id: string | null;
  progress: { step: string; percent: number | null; files_done: number } | null;
  error: { message: string; fix: string } | null;
}
interface Snapshot {
  id: string;
  short_id: string;
  size_bytes: number;
  plain_bytes: number;
  files: number;
  locator: { local_path: string };
}

export interface DemoContext {
  root: string;
  home: string;
  hubUrl: string;
  show: Show;
  onStop(stop: () => Promise<void>): void;
}

/**
 * Does the main job in front of the newcomer, over the public API: a server on loopback is added as a source, backed up, and one file of it
 * restored. At later starts only the server comes up again.
 */
export async function runDemo(context: DemoContext): Promise<{ email: string; password: string } | null> {
  const { home, show } = context;
  const directory = join(home, "demo");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, "demo.json");
  const saved: Saved = existsSync(file)
    ? (JSON.parse(await readFile(file, "utf8")) as Saved)
    : {
        email: "demo@xvault.local",
        password: randomBytes(9).toString("base64url"),
        port: await freePort(2222),
        done: false,
      };
  const save = () => writeFile(file, JSON.stringify(saved, null, 2), { mode: 0o600 });

  if (!saved.done && !(await isFree(saved.port))) saved.port = await freePort(2222);
  if (saved.done && !(await isFree(saved.port))) {
    show.line(`  ! port ${saved.port} is taken: the demo's server is not started this time.`);
    return saved;
  }
  await save();
  try {
    let current = await startDemoSsh(join(directory, "ssh"), saved.port);
    context.onStop(() => current.stop());
    if (saved.done) return saved;
    await firstRun(context, saved, directory, current, async () => {
      await current.stop();
      current = await startDemoSsh(join(directory, "ssh"), saved.port);
    });
    saved.done = true;
    await save();
  } catch (error) {
    show.line(`  ✗ the demo did not go through: ${error instanceof Error ? error.message : String(error)}`);
    show.line("    xVault itself runs; the next start tries the demo again.");
  }
  return saved;
}

async function firstRun(
  context: DemoContext,
  saved: Saved,
  directory: string,
  ssh: DemoSshServer,
  restart: () => Promise<void>,
): Promise<void> {
  const { root, hubUrl, show } = context;
  const tree = join(directory, "server");
  await makeSampleTree(join(root, "e2e/fixtures/mock-data"), tree);

  const adding = show.step("demo: adding a server as a source");
  const token = await signIn(hubUrl, saved).catch(async () => {
    await signUp(hubUrl, { ...saved, name: "Demo", workspace: "Demo workspace" });
    return signIn(hubUrl, saved);
  });
  const api = createApi(hubUrl, token);
  const address = { host: "127.0.0.1", port: ssh.port };
  const hostKey = await api.post<{ fingerprint: string }>("/connections/host-key", address);
  const expected = await hostKeyOf(join(directory, "ssh"));
  if (hostKey.fingerprint !== expected) throw new Error(`another server answers on port ${ssh.port}`);
  const credential = await api.post<{ id: string; public_key: string }>("/credentials", {
    credential: { kind: "generated_key" },
  });
  await authorize(join(directory, "ssh"), credential.public_key);
  if (ssh.kind === "ssh2") await restart();
  const connection = { ...address, username: ssh.username, host_key: hostKey, credential_id: credential.id };
  const test = await api.post<{ ok: boolean; checks: { label: string; status: string; message: string }[] }>(
    "/connections/test",
    {
      connection,
      paths: [ssh.pathOf(tree)],
    },
  );
  if (!test.ok)
    throw new Error(
      test.checks
        .filter((check) => check.status === "failed")
        .map((check) => check.message)
        .join(" "),
    );
  const { items } = await api.get<{ items: { id: string; name: string }[] }>("/sources");
  const existing = items.find((one) => one.name === "demo-server");
  const source = existing
    ? await api.patch<{ id: string }>(`/sources/${existing.id}`, { connection })
    : await api.post<{ id: string }>("/sources", {
        name: "demo-server",
        connection,
        paths: [ssh.pathOf(tree)],
        schedule: { cron: "0 3 * * *", timezone: Intl.DateTimeFormat().resolvedOptions().timeZone },
      });
  adding.done(
    `demo: ${ssh.kind === "sshd" ? "an OpenSSH server" : "an SSH server"} on 127.0.0.1:${ssh.port} added, ${expected}`,
  );

  const backing = show.step("demo: backing it up");
  const backup = await follow(api, await api.post<Job>(`/sources/${source.id}/backup`), (job) =>
    backing.update(`demo: backing it up, ${job.progress?.step ?? job.state} ${job.progress?.percent ?? 0} %`),
  );
  const snapshot = await api.get<Snapshot>(`/snapshots/${backup.snapshot_id}`);
  backing.done(
    `demo: ${snapshot.files} files, ${formatBytes(snapshot.plain_bytes)} backed up as snapshot ${snapshot.short_id} (${formatBytes(snapshot.size_bytes)})`,
  );

  const restoring = show.step("demo: restoring one file");
  const original = join(tree, "mock-data/report.json");
  const wanted = ssh.pathOf(original);
  const target = join(directory, "restored");
  await follow(
    api,
    await api.post<Job>("/restores", {
      snapshot_id: snapshot.id,
      paths: [wanted],
      target: { source_id: source.id, path: ssh.pathOf(target) },
      overwrite: "always",
    }),
  );
  const [before, after] = await Promise.all(
    [original, join(target, wanted)].map(async (path) => sha256(await readFile(path))),
  );
  if (before !== after) throw new Error("the restored file is not the one that was backed up");
  restoring.done("demo: report.json restored, and it is the same, byte for byte");

  const kit = await api.post<{ content: string }>("/keys/recovery-kit");
  const kitFile = join(directory, "recovery-kit.txt");
  await writeFile(kitFile, kit.content, { mode: 0o600 });
  show.line();
  show.line(`  The artifact:   ${join(snapshot.locator.local_path, "backup.tar.zst.enc")}`);
  show.line("  Stock programs open it, without xVault:");
  show.line(`    age -d -i ${kitFile} \\`);
  show.line(`      ${join(snapshot.locator.local_path, "backup.tar.zst.enc")} \\`);
  show.line("      | zstd -d | tar -tvf -");
}

/** Waits for a job's end, showing how it goes. */
async function follow(api: Api, begun: Job, onProgress: (job: Job) => void = () => {}): Promise<Job> {
  for (let job = begun; ; job = await api.get<Job>(`/jobs/${job.id}`)) {
    if (job.state === "success") return job;
    if (job.state !== "queued" && job.state !== "running") {
      throw new Error(`the job ended as ${job.state}: ${job.error?.message ?? ""} ${job.error?.fix ?? ""}`);
    }
    onProgress(job);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
