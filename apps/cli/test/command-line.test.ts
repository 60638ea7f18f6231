import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseRecoveryKit } from "@xvault/crypto";
import { describe, expect, it } from "vitest";
import { runHere } from "./run-cli.ts";

const bin = fileURLToPath(new URL("../bin/xvault", import.meta.url));
const noHub = { environment: { url: "http://127.0.0.1:9", token: "xv_token" } };

describe("the command line", () => {
  it("helps with everything, and tells the exit codes", async () => {
    const help = await runHere(["--help"]);
    expect(help.code).toBe(0);
    expect(help.out).toContain("Exit codes: 0 ok");
    for (const name of [
      "login",
      "source add",
      "backup",
      "jobs show",
      "restore",
      "verify",
      "forget",
      "copy",
      "storage add-s3",
      "source place",
      "key export",
      "recover",
    ]) {
      const ran = await runHere([...name.split(" "), "--help"]);
      expect(ran.code).toBe(0);
      expect(ran.out).toContain(`xvault ${name}`);
      expect(ran.out).toMatch(/OPTIONS|COMMANDS/);
    }
    expect((await runHere(["help", "recover"])).out).toContain("xvault recover");
    expect((await runHere(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [["nothing"], "There is no command 'nothing'"],
    [["backup"], "SOURCE is missing"],
    [["backup", "a", "b"], "'b' is one argument too many"],
    [["backup", "a", "--nope"], "Unknown option '--nope'"],
    [["restore", "latest"], "--target is missing"],
    [["restore", "latest", "--target", "x", "--overwrite", "maybe"], "--overwrite is one of"],
    [["restore", "web-01", "--target", "x"], "names no snapshot"],
    [["jobs", "--limit", "many"], "--limit is a whole number"],
    [["jobs", "--state", "sleeping"], "--state is one of"],
    [["source", "add", "x", "--host", "h", "--user", "u", "--path", "/", "--port", "0"], "--port is a whole number"],
    [["recover", "--target", "x"], "--from is missing"],
    [["source", "place", "web-01"], "STORAGE is missing"],
    [["copy", "latest"], "--to is missing"],
    [["copy", "latest", "--to", "x", "--from", "y"], "--from needs --move"],
    [["storage", "add-s3", "x", "--bucket", "b", "--access-key-id", "k"], "--secret-key-file is missing"],
    [["toString"], "There is no command 'toString'"],
  ])("refuses %j as wrong usage", async (argv, message) => {
    const ran = await runHere(argv, noHub);
    expect(ran.err).toContain(`error USAGE: `);
    expect(ran.err).toContain(message);
    expect(ran.code).toBe(2);
    expect(ran.out).toBe("");
  });

  it("says that it is not signed in, and that a hub cannot be reached", async () => {
    const anonymous = await runHere(["source", "ls"]);
    expect(anonymous.code).toBe(1);
    expect(anonymous.err).toContain("error UNAUTHENTICATED");
    const away = await runHere(["source", "ls", "--json"], noHub);
    expect(away.code).toBe(1);
    expect(away.messages()).toMatchObject([{ message_type: "error", code: "UNAVAILABLE", retry: true }]);
    expect(away.out + away.err).not.toContain("xv_token");
  });

  it("makes a restore key that only its owner can read, and never replaces one", async () => {
    const out = join(mkdtempSync(join(tmpdir(), "xvault-key-")), "key.txt");
    const made = await runHere(["key", "generate", "--out", out]);
    expect(made.code, made.err).toBe(0);
    expect(made.out).toMatch(/^age1[a-z0-9]+\n$/);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const before = readFileSync(out, "utf8");
    const [identity = ""] = parseRecoveryKit(before).identities;
    expect(made.out + made.err).not.toContain(identity);

    const again = await runHere(["key", "generate", "--out", out]);
    expect(again.code).toBe(1);
    expect(again.err).toContain("error ENTRY_CONFLICT");
    expect(readFileSync(out, "utf8")).toBe(before);

    const shown = await runHere(["key", "show", out]);
    expect(shown.code).toBe(0);
    expect(shown.out).toContain(made.out.trim());
    expect(shown.out + shown.err).not.toContain(identity);
  });

  it("runs as a program, with the exit code of what happened", () => {
    const run = (...argv: string[]) =>
      spawnSync(process.execPath, [bin, ...argv], { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } });
    expect(run("--version").stdout).toMatch(/^\d/);
    const lost = run("recover", "--from", "/nonexistent", "--list");
    expect(lost.status).toBe(10);
    expect(lost.stderr).toMatch(/^error NOT_FOUND: .*\nfix: .*\n$/);
  });

  const oldNode = "/usr/bin/node";
  const isOld =
    existsSync(oldNode) && /^v2[0-3]\./.test(spawnSync(oldNode, ["--version"], { encoding: "utf8" }).stdout);
  // Where the system has no older Node there is nothing to start under.
  if (isOld)
    it("starts under an older Node too, through the repository's own", () => {
      const ran = spawnSync(oldNode, [bin, "recover", "--from", "/nonexistent", "--list"], { encoding: "utf8" });
      expect(ran.stderr).toContain("error NOT_FOUND");
      expect(ran.status).toBe(10);
    });
});
