import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Job, Ticket } from "@xvault/contracts";
import { addSource, backUp } from "@xvault/test-kit/stack";
import { type Lab, onlyWorker } from "./lab.ts";
import { rounded } from "./matrix.ts";
import { flushDisk, measureScript, watchProcess } from "./measure.ts";
import type { Program } from "./programs.ts";
import type { Extra } from "./results.ts";
import { type DataSet, makeManyFiles } from "./sets.ts";
import { measureJob, settle } from "./subjects/xvault.ts";

interface ExtraOptions {
  programs: Record<Program, string | null>;
  repeats: number;
  limitS: number;
  say(line: string): void;
}

/** What backups are for: the whole set put back onto the server, and one small file out of the artifact. At no delay. */
export async function measureReading(lab: Lab, set: DataSet, options: ExtraOptions): Promise<Extra[]> {
  const { tenant } = lab;
  await settle();
  const source = await addSource(tenant, lab.sshd, { paths: [set.root], name: `${set.name} to restore` });
  const snapshot = (await backUp(tenant, source)).snapshot_id;
  const folder = join(lab.dir, "reading");
  mkdirSync(folder);
  const extras: Extra[] = [];
  const add = (row: Extra) => {
    extras.push({ ...row, ...rounded({ wall_s: row.wall_s, cpu_s: row.cpu_s, peak_rss_mb: row.peak_rss_mb }) });
    options.say(`${row.what}, ${set.name}, ${row.subject}, run ${row.repeat}: ${row.wall_s.toFixed(3)} s`);
  };

  const scripts = await peerScripts(lab, set, folder, options);
  for (let repeat = 1; repeat <= options.repeats; repeat += 1) {
    add({ what: "one file", set: set.name, subject: "xvault", repeat, ...(await fetchOneFile(lab, snapshot, set)) });
    const target = join(lab.sshd.home, `restored-${repeat}`);
    const request = { snapshot_id: snapshot, target: { source_id: source.id, path: target } };
    await flushDisk();
    const { usage } = await measureJob(lab, () => tenant.api.post<Job>("/restores", request));
    checkSize(join(target, set.oneFile), set.oneFile);
    rmSync(target, { recursive: true });
    add({ what: "restore", set: set.name, subject: "xvault", repeat, ...usage });
    for (const { what, subject, script } of scripts) {
      mkdirSync(target);
      const env = { ...(await lab.env(0)), TREE: set.root, TARGET: target, FOLDER: folder, ONE: set.oneFile.slice(1) };
      await flushDisk();
      const { stdout: _, ...taken } = await measureScript(script, env, options.limitS);
      rmSync(target, { recursive: true });
      add({ what, set: set.name, subject, repeat, ...taken });
    }
  }
  await settle();
  await tenant.api.remove(`/sources/${source.id}`);
  rmSync(join(lab.dir, "store/backups", tenant.workspaceId, source.id), { recursive: true, force: true });
  rmSync(folder, { recursive: true });
  return extras;
}

/** The same with what xVault is compared with, from an artifact and a mirror that are made here. */
async function peerScripts(lab: Lab, set: DataSet, folder: string, { programs, limitS }: ExtraOptions) {
  const scripts: { what: "one file" | "restore"; subject: string; script: string }[] = [];
  const env = { ...(await lab.env(0)), TREE: set.root, FOLDER: folder };
  if (programs.age && programs.zstd) {
    const pack = `tar -C / -cf - "\${TREE#/}" | zstd -q -T0 -3 | age -r "$RECIPIENT" -o "$FOLDER/artifact"`;
    await measureScript(pack, env, limitS);
    const open = `age -d -i "$IDENTITY" "$FOLDER/artifact" | zstd -q -dc`;
    scripts.push(
      { what: "one file", subject: "pipe", script: `${open} | tar -xf - -O "$ONE" >"$FOLDER/one"` },
      { what: "restore", subject: "pipe", script: `${open} | $SSH "$DESTINATION" "tar -xf - -C '$TARGET'"` },
    );
  }
  if (programs.rsync) {
    await measureScript(`cp -a "$TREE" "$FOLDER/mirror"`, env, limitS);
    const push = `rsync --archive --rsh="$SSH" "$FOLDER/mirror/" "$DESTINATION:$TARGET/"`;
    scripts.push({ what: "restore", subject: "rsync", script: push });
  }
  return scripts;
}

/** From the request for a ticket to the file's last byte. */
async function fetchOneFile(lab: Lab, snapshot: string, set: DataSet) {
  await settle();
  const watched = watchProcess(onlyWorker(lab.stack).pid);
  const started = performance.now();
  const { url } = await lab.tenant.api.post<Ticket & { url: string }>(`/snapshots/${snapshot}/download-ticket`, {
    paths: [set.oneFile],
    format: "file",
  });
  const answer = await fetch(url);
  const { byteLength } = await answer.arrayBuffer();
  const wall_s = (performance.now() - started) / 1000;
  if (byteLength !== statSync(set.oneFile).size) throw new Error(`the download gave ${byteLength} bytes`);
  return { wall_s, ...watched.usage() };
}

function checkSize(restored: string, original: string): void {
  if (statSync(restored).size !== statSync(original).size) throw new Error(`${restored} was not restored as it was`);
}

/** The worker's peak memory while it backs up so many tiny files, each time in a worker that has done nothing before. */
export async function measureMemory(lab: Lab, counts: readonly number[], seed: string, say: ExtraOptions["say"]) {
  const extras: Extra[] = [];
  for (const count of counts) {
    const set = await makeManyFiles(count, lab.sshd.home, seed);
    for (const transport of ["tar", "sftp"] as const) {
      const worker = onlyWorker(lab.stack);
      await worker.stop();
      await worker.start();
      const source = await addSource(lab.tenant, lab.sshd, {
        paths: [set.root],
        name: `${set.name} ${transport}`,
        transport,
      });
      const { usage } = await measureJob(lab, () => lab.tenant.api.post<Job>(`/sources/${source.id}/backup`));
      extras.push({
        what: "memory",
        set: set.name,
        subject: `xvault-${transport}`,
        repeat: 1,
        ...rounded({ ...usage }),
      });
      say(`memory, ${set.title}, ${transport}: ${usage.peak_rss_mb?.toFixed(0)} MB, ${usage.wall_s.toFixed(1)} s`);
    }
    rmSync(set.root, { recursive: true });
  }
  return extras;
}

/** Removes a set; the disk need not hold all of them at once. */
export function removeSet(set: DataSet): void {
  for (const name of readdirSync(set.root)) rmSync(join(set.root, name), { recursive: true });
}
