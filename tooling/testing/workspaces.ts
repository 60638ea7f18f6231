import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./run.ts";

/** A package, an app, the end-to-end tests or the benchmark. */
export interface Workspace {
  /** Its folder, relative to the repository's root: `packages/kernel`. */
  path: string;
  scripts: Record<string, string>;
}

/** Every workspace of the repository, by path. */
export function workspaces(): Workspace[] {
  const paths = ["packages", "apps"].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
  );
  return [...paths, "e2e", "bench"].flatMap((path) => {
    const manifest = join(ROOT, path, "package.json");
    if (!existsSync(manifest)) return [];
    const { scripts } = JSON.parse(readFileSync(manifest, "utf8")) as { scripts?: Record<string, string> };
    return [{ path, scripts: scripts ?? {} }];
  });
}

/** Whether the workspace has the npm script `name`. */
export function hasScript(path: string, name: string): boolean {
  return workspaces().some((workspace) => workspace.path === path && workspace.scripts[name] !== undefined);
}

/** Files below `folder` (relative to the root) whose name matches, without what is installed, built or a canary. */
export function filesBelow(folder: string, name: RegExp): string[] {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      return /^(node_modules|dist|coverage|canary|test-results|\..*)$/.test(entry.name) ? [] : filesBelow(path, name);
    }
    return name.test(entry.name) ? [path] : [];
  });
}
