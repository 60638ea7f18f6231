import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** Stands for npm: notes how it was called, makes node_modules, and ends as the test wants. */
const NPM = `
import { appendFileSync, mkdirSync } from "node:fs";
appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
mkdirSync("node_modules", { recursive: true });
if (process.env.NPM_SAYS) console.error(process.env.NPM_SAYS);
process.exit(Number(process.env.NPM_CODE ?? 0));
`;

describe("setup", () => {
  let clone: string;
  const calls = () =>
    existsSync(join(clone, "calls")) ? readFileSync(join(clone, "calls"), "utf8").trim().split("\n") : [];
  const setup = (env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [join(clone, "tooling/setup.mjs")], {
      cwd: tmpdir(),
      encoding: "utf8",
      env: { ...process.env, npm_execpath: join(clone, "npm.cjs.js"), ...env },
    });

  beforeEach(() => {
    clone = mkdtempSync(join(tmpdir(), "xvault-setup-"));
    mkdirSync(join(clone, "tooling"));
    copyFileSync(join(import.meta.dirname, "setup.mjs"), join(clone, "tooling/setup.mjs"));
    writeFileSync(join(clone, "package.json"), '{ "type": "module" }');
    writeFileSync(join(clone, "package-lock.json"), '{ "lockfileVersion": 3 }');
    writeFileSync(join(clone, "npm.cjs.js"), NPM);
  });
  afterEach(() => rmSync(clone, { recursive: true, force: true }));

  it("installs once on a fresh clone, with what building needs, and never again until the lock file changes", () => {
    const first = setup({ NODE_ENV: "production" });
    expect(first.stderr).toBe("");
    expect([first.status, calls()]).toEqual([
      0,
      ["install --no-save --no-audit --no-fund --include=dev --include=optional"],
    ]);
    expect(first.stdout).toMatch(/Installing xVault's packages[^]*Packages installed in \d+ s\./);

    expect(setup()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(calls()).toHaveLength(1);

    writeFileSync(join(clone, "package-lock.json"), '{ "lockfileVersion": 3, "packages": {} }');
    expect(setup().stdout).toContain("packages changed");
    expect(calls()).toHaveLength(2);
  });

  it.each([
    ["npm error code ENOTFOUND", "registry is not reachable", "Check the network"],
    ["npm error code ENOSPC", "disk is full", "Free about 2 GB"],
    ["npm error something new", "exit code 3", "npm install --no-save"],
  ])(
    "shows what npm said on failure (%s), the cause and what to do, and tries again the next time",
    (says, cause, fix) => {
      const failed = setup({ NPM_SAYS: says, NPM_CODE: "3" });
      expect(failed.status).toBe(1);
      for (const part of [says, cause, fix]) expect(failed.stderr).toContain(part);
      expect(setup().status).toBe(0);
      expect(calls()).toHaveLength(2);
    },
  );

  it.skipIf(process.platform === "win32")("says that Node 24 is needed where the one installed is older", () => {
    const bin = join(clone, "node_modules/.bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "node"), "#!/bin/sh\necho v20.20.2\n", { mode: 0o755 });
    const old = setup();
    expect(old.status).toBe(1);
    expect(old.stderr).toMatch(
      /needs Node 24 or later; this machine has 20\.20\.2\.\n {2}What to do: .*install it yourself/,
    );
  });
});
