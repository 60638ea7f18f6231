import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Job } from "@xvault/contracts";
import { addSource } from "@xvault/test-kit/stack";
import { type Lab, onlyWorker } from "../lab.ts";
import { megabytesBelow, type Usage, watchProcess } from "../measure.ts";
import type { Subject } from "./subject.ts";

/** xVault as it is run: the API is asked, a worker in a process of its own does it, the snapshot is verified and published. */
export function xvault(transport: "tar" | "sftp"): Subject {
  return {
    name: `xvault-${transport}`,
    title: `xVault, ${transport === "tar" ? "remote tar" : "SFTP"}`,
    needs: [],
    async open({ lab, set, rttMs }) {
      const { tenant, sshd } = lab;
      await settle();
      const reach = {
        host: sshd.host,
        port: await lab.portFor(rttMs),
        username: sshd.username,
        privateKey: sshd.privateKey,
        hostKey: sshd.hostKey,
      };
      const source = await addSource(tenant, reach, { paths: [set.root], name: `${set.name} ${transport}`, transport });
      const folder = join(lab.dir, "store/backups", tenant.workspaceId, source.id);
      return {
        async run() {
          const { job, usage } = await measureJob(lab, () => tenant.api.post<Job>(`/sources/${source.id}/backup`));
          return { ...usage, output_mb: megabytesBelow(join(folder, job.snapshot_id ?? "")) };
        },
        async close() {
          await settle();
          await tenant.api.remove(`/sources/${source.id}`);
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Has the worker do a job; what it took from the hub's acceptance of the request to the job's end, by the hub's clock. */
export async function measureJob(lab: Lab, start: () => Promise<Job>): Promise<{ job: Job; usage: Usage }> {
  await settle();
  const watched = watchProcess(onlyWorker(lab.stack).pid);
  const job = await lab.tenant.api.ended(await start());
  if (job.state !== "success") throw new Error(`the job ended as ${job.state}: ${JSON.stringify(job.error)}`);
  const { cpu_s, peak_rss_mb } = watched.usage();
  const wall = Date.parse(job.finished_at ?? "") - Date.parse(job.created_at);
  return { job, usage: { wall_s: wall / 1000, cpu_s, peak_rss_mb } };
}

/**
 * Files are made and removed in long turns of the event loop. A connection that the hub has closed meanwhile is noticed here, not by the
 * next request.
 */
export async function settle(): Promise<void> {
  await sleep(100);
}
