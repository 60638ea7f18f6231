import { createHash, randomBytes } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** Makes a small tree as servers have them, with some megabytes that do not compress, and the files given. */
export function makeTree(root: string, files: Readonly<Record<string, string>> = {}): void {
  mkdirSync(join(root, "site/assets"), { recursive: true });
  mkdirSync(join(root, "empty"));
  writeFileSync(join(root, "site/index.html"), "<!doctype html>\n<title>A site</title>\n");
  writeFileSync(join(root, "site/naïve café ☕.txt"), "Names keep their bytes.\n", { mode: 0o640 });
  writeFileSync(join(root, "site/empty.txt"), "");
  symlinkSync("index.html", join(root, "site/home.html"));
  // Beyond what the buffers on the way take in at once: a gate can stop a pull in its middle.
  writeFileSync(join(root, "site/assets/noise.bin"), randomBytes(6 * 1024 * 1024));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
  for (const path of ["site/index.html", "site", "empty", "."])
    utimesSync(join(root, path), 1_700_000_000, 1_700_000_000);
}

/** Path → kind, mode, time and content of all below `root`: equal facts, equal trees. */
export function treeFacts(root: string): Map<string, string> {
  const facts = new Map<string, string>();
  const walk = (path: string, name: string) => {
    const stat = lstatSync(path);
    const mode = (stat.mode & 0o7777).toString(8);
    const seconds = Math.floor(stat.mtimeMs / 1000);
    if (stat.isSymbolicLink()) facts.set(name, `link to ${readlinkSync(path)}`);
    else if (stat.isDirectory()) {
      facts.set(name, `directory ${mode} ${seconds}`);
      for (const child of readdirSync(path)) walk(join(path, child), `${name}/${child}`);
    } else facts.set(name, `file ${mode} ${seconds} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`);
  };
  walk(root, ".");
  return facts;
}
