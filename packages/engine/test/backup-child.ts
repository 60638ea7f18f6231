import { readFileSync } from "node:fs";
import { unwrapFileKey } from "@xvault/crypto";
import { type ConnectOptions, connectSource } from "@xvault/source";
import { openLocalStore } from "@xvault/storage";
import {
  type BackupRun,
  checkSnapshot,
  createReportLog,
  runBackup,
  runRestore,
  storedObjects,
  unsealSnapshot,
} from "../src/index.ts";

/** Where the process kills itself, at once and with no chance to clean up. */
export type Death =
  | { at: "step"; step: string }
  | { at: "bytes"; bytes: number }
  /** Before the n-th object is published, from 1; 6 is after the last one, before the hub is told. */
  | { at: "commit"; nth: number };

/** What is handed to the process on its standard input, as JSON. */
export interface ChildOrder {
  storeRoot: string;
  connect: Omit<ConnectOptions, "policy">;
  run: Pick<BackupRun, "jobId" | "attempt" | "workerId" | "payload" | "signer">;
  death: Death | null;
  /** Restore the snapshot to this path on the source when the backup is done. */
  restore: { to: string; identity: string; rootKey: string } | null;
}

/** What the process says, as JSON, when it lives to the end. */
export interface ChildReport {
  /** What it warned of. */
  warnings: string[];
  plainBytes: number;
  /** The most memory that it ever had, all of it. Bytes. */
  peakMemory: number;
}

/** A worker's backup in a process of its own, which can be killed. */
async function main(): Promise<void> {
  const order = JSON.parse(readFileSync(0, "utf8")) as ChildOrder;
  const { death } = order;
  const die = () => process.kill(process.pid, "SIGKILL");
  const { reporter } = createReportLog();
  const warnings: string[] = [];
  let bytes = 0;
  let commits = 0;
  const mayDieAtCommit = () => {
    commits += 1;
    if (death?.at === "commit" && death.nth === commits) die();
  };
  const store = await openLocalStore({ root: order.storeRoot });
  const { manifest } = await runBackup({
    ...order.run,
    planKey: async () => Buffer.alloc(32, 7),
    store: {
      ...store,
      create: async (key) => {
        const writer = await store.create(key);
        return {
          get sizeBytes() {
            return writer.sizeBytes;
          },
          write: (chunk) => writer.write(chunk),
          close: () => writer.close(),
          commit: () => {
            mayDieAtCommit();
            return writer.commit();
          },
          abort: () => writer.abort(),
        };
      },
    },
    connect: () => connectSource({ ...order.connect, policy: { allow: () => true } }),
    publish: async () => mayDieAtCommit(),
    reporter: {
      ...reporter,
      warning: (message) => void warnings.push(message),
      step: (name) => {
        if (death?.at === "step" && death.step === name) die();
      },
      advance: (done) => {
        bytes += done.bytes ?? 0;
        if (death?.at === "bytes" && bytes >= death.bytes) die();
      },
    },
    signal: new AbortController().signal,
  });
  if (order.restore) await restore(order, order.restore);
  const report: ChildReport = {
    warnings,
    plainBytes: manifest.contents.plain_bytes,
    peakMemory: process.resourceUsage().maxRSS * 1024,
  };
  process.stdout.write(JSON.stringify(report));
}

async function restore(
  order: ChildOrder,
  { to, identity, rootKey }: NonNullable<ChildOrder["restore"]>,
): Promise<void> {
  const store = await openLocalStore({ root: order.storeRoot });
  const checked = await checkSnapshot(storedObjects(store, order.run.payload), { rootKeys: [rootKey] });
  const artifact = await unsealSnapshot(checked, {
    artifact: await unwrapFileKey(checked.headers.artifact, [identity]),
    index: await unwrapFileKey(checked.headers.index, [identity]),
  });
  const connection = await connectSource({ ...order.connect, policy: { allow: () => true } });
  try {
    const target = await connection.target(to);
    const { reporter } = createReportLog();
    await runRestore({ artifact, paths: [], target, reporter, signal: new AbortController().signal });
  } finally {
    connection.close();
  }
}

if (import.meta.main) await main();
