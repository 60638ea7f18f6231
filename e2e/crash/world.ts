// An installation to be broken: hub, one worker, PostgreSQL, queue, sshd; with a proxy on every link of the worker and small disks.
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Source } from "@xvault/contracts";
import { startWire, type Wire } from "@xvault/test-kit/proxy";
import { type Sshd, startSshd } from "@xvault/test-kit/ssh";
import { addSource, type Stack, type StackWorker, startStack, type Tenant } from "@xvault/test-kit/stack";
import { type Calls, startCalls } from "./calls.ts";
import { mountSmallDisk, type SmallDisk } from "./disks.ts";
import { openOrders, type Orders } from "./file-order.ts";

export interface World {
  queue: "redis" | "postgres";
  stack: Stack;
  worker: StackWorker;
  sshd: Sshd;
  /** Between worker and sshd. */
  wire: Wire;
  /** Between worker and hub. */
  calls: Calls;
  /** To the worker's file calls. */
  orders: Orders;
  tenant: Tenant;
  /** The workspace's recovery kit. */
  kit: string;
  /** The worker's storage, where it could be made small. */
  storageDisk: SmallDisk | null;
  /** A place on the source to restore to, where it could be made small. */
  targetDisk: SmallDisk | null;
  storage: string;
  /** The worker's place for temporary files. */
  scratch: string;
  /** What is backed up. */
  tree: string;
  /** Where restores go; each takes a directory of its own. */
  restores: string;
  /** A new source with the same tree, over the wire. */
  newSource(): Promise<Source>;
  /** Changes the tree as the days do: a little is changed, a little comes and goes, most stays. */
  edit(): void;
  stop(): Promise<void>;
}

export async function startWorld(queue: World["queue"]): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "xvault-crash-"));
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    const storageDisk = mountSmallDisk(join(folder, "storage"), 512);
    if (storageDisk) ends.push(storageDisk.unmount);
    const [stack, sshd] = await Promise.all([startStack({ queue, workers: 0, durable: true }), startSshd()]);
    ends.push(stack.stop, sshd.stop);
    const targetDisk = mountSmallDisk(join(sshd.home, "small"), 16);
    if (targetDisk) ends.push(targetDisk.unmount);
    const wire = await startWire(sshd.port);
    const calls = await startCalls(stack.url);
    // Before the stack: what stands still at a proxy must not keep its parts from ending.
    ends.push(wire.stop, calls.stop);
    const scratch = join(folder, "scratch");
    mkdirSync(scratch);
    const orders = openOrders(join(folder, "orders.json"));
    const storage = join(folder, "storage/vault");
    const worker = await stack.addWorker("worker", {
      XVAULT_HUB_URL: calls.url,
      XVAULT_STORAGE_PATH: storage,
      TMPDIR: scratch,
      NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, "file-faults.ts")).href}`,
      XVAULT_CRASH_ORDERS: orders.path,
    });
    const tree = join(sshd.home, "tree");
    plant(tree);
    const tenant = await stack.signUp();
    const kit = await tenant.web.mutate<{ content: string }>("keys.recoveryKit", {});
    let sources = 0;
    let edits = 0;
    return {
      queue,
      stack,
      worker,
      sshd,
      wire,
      calls,
      orders,
      tenant,
      kit: kit.content,
      storageDisk,
      targetDisk,
      storage,
      scratch,
      tree,
      restores: join(sshd.home, "restores"),
      newSource: () => addSource(tenant, { ...sshd, port: wire.port }, { paths: [tree], name: `source ${++sources}` }),
      edit() {
        edits += 1;
        appendFileSync(join(tree, "site/log.txt"), `${edits}: ${randomBytes(2000).toString("hex")}\n`);
        writeFileSync(join(tree, `site/new-${edits}.bin`), randomBytes(20_000));
        rmSync(join(tree, `site/new-${edits - 3}.bin`), { force: true });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Some hundred small files and a few that take a moment. */
function plant(tree: string): void {
  for (const folder of ["site", "site/pages", "site/assets", "empty"])
    mkdirSync(join(tree, folder), { recursive: true });
  for (let n = 0; n < 150; n += 1)
    writeFileSync(join(tree, `site/pages/${n}.html`), `<title>${n}</title>\n`.repeat(20 + n));
  for (let n = 0; n < 3; n += 1) writeFileSync(join(tree, `site/assets/${n}.bin`), randomBytes(400_000));
  writeFileSync(join(tree, "site/log.txt"), "");
  utimesSync(join(tree, "empty"), 1_700_000_000, 1_700_000_000);
}
