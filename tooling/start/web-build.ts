import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Show, StartError } from "./show.ts";

const STAMP = "apps/web/dist/.stamp";

/** What the built web interface depends on, relative to the repository. */
const INPUTS = [
  "apps/web/src",
  "apps/web/public",
  "apps/web/index.html",
  "apps/web/package.json",
  "apps/web/vite.config.ts",
  "packages/contracts/src",
  "packages/kernel/src",
  "packages/storage/src/rclone/remotes.ts",
  "packages/crypto/src/identity",
  "packages/crypto/src/identity.ts",
  "package-lock.json",
];

/** Notes that what lies in `apps/web/dist` was built from the present sources. */
export async function markWebBuild(root: string): Promise<void> {
  await writeFile(join(root, STAMP), await hashOf(root, INPUTS));
}

/** Builds the web interface unless what lies in `apps/web/dist` was built from these very sources. Gives the directory. */
export async function ensureWebBuild(root: string, show: Show): Promise<string> {
  const dist = join(root, "apps/web/dist");
  const stamp = join(root, STAMP);
  const wanted = await hashOf(root, INPUTS);
  if (existsSync(join(dist, "index.html")) && (await readFile(stamp, "utf8").catch(() => "")) === wanted) return dist;
  const step = show.step("building the web interface");
  const output: Buffer[] = [];
  const child = spawn("npm", ["run", "build", "--silent", "-w", "@xvault/web"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) {
    step.fail();
    show.line(Buffer.concat(output).toString("utf8").split("\n").slice(-25).join("\n"));
    throw new StartError(
      "The web interface could not be built.",
      "See the lines above; 'npm run build -w @xvault/web' repeats it.",
    );
  }
  await markWebBuild(root);
  step.done("web interface built");
  return dist;
}

async function hashOf(root: string, paths: string[]): Promise<string> {
  const hash = createHash("sha256");
  const add = async (path: string): Promise<void> => {
    const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => null);
    if (entries) {
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) await add(join(path, entry.name));
      return;
    }
    const bytes = await readFile(join(root, path)).catch(() => null);
    if (bytes) hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  };
  for (const path of paths) await add(path);
  return hash.digest("hex");
}
