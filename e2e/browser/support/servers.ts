import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Sshd, type SshdOptions, startSshd } from "@xvault/test-kit/ssh";
import { makeTree } from "../../system/trees.ts";
import { ROOT, runningStack } from "./stack.ts";
import { test as base } from "./test.ts";

/** A real OpenSSH server with files to back up. */
export interface Server extends Sshd {
  /** The sample tree's absolute path. */
  tree: string;
  /** The five mock files of the requirements, below `tree`. */
  mockData: string;
}

export { expect } from "./test.ts";

/** `test` with a server of the test's own. */
export const test = base.extend<{
  server: Server;
  newServer: (name: string, options?: SshdOptions) => Promise<Server>;
}>({
  newServer: async ({}, use) => {
    const started: Sshd[] = [];
    await use(async (name, options = {}) => {
      const sshd = await startSshd({ dir: folderFor(name), ...options });
      started.push(sshd);
      const tree = join(sshd.home, "www");
      makeSampleTree(tree);
      return Object.defineProperties({ ...sshd, tree, mockData: join(tree, "mock-data") }, live(sshd));
    });
    for (const sshd of started) await sshd.stop();
  },
  server: async ({ newServer }, use) => use(await newServer("server")),
});

let serial = 0;

function folderFor(name: string): string {
  const folder = join(runningStack().folder, `${name}-${process.pid}-${(serial += 1)}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Getters do not survive a spread: these are read from the server each time. */
function live(sshd: Sshd): PropertyDescriptorMap {
  const keys = ["hostKey", "fingerprint", "pid"] as const;
  return Object.fromEntries(keys.map((key) => [key, { get: () => sshd[key], enumerable: true }]));
}

function makeSampleTree(root: string): void {
  makeTree(root, { "settings.ini": "[site]\nname = sample\n" });
  const logs = join(root, "logs");
  mkdirSync(logs);
  writeFileSync(join(logs, "access.log"), "127.0.0.1 GET /\n".repeat(100));
  writeFileSync(join(logs, "readme.txt"), "Logs are kept for a week.\n");
  cpSync(join(ROOT, "e2e/fixtures/mock-data"), join(root, "mock-data"), { recursive: true });
}
