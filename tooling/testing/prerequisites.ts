import { existsSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./run.ts";

/** Programs that the tests use for real, and the Debian package that has each. */
const PROGRAMS = [
  ["sshd", "openssh-server"],
  ["age", "age"],
  ["zstd", "zstd"],
  ["redis-server", "redis-server"],
  ["rclone", "rclone"],
  ["chromium", "chromium"],
  ["caddy", "caddy"],
  ["python3", "python3"],
  ["openssl", "openssl"],
  ["radosgw", "radosgw"],
  ["ceph-mon", "ceph-mon"],
  ["ceph-osd", "ceph-osd"],
] as const;

const POLICY = "/usr/sbin/policy-rc.d";

function installed(program: string): boolean {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Installs Debian packages without starting the services that come with them. */
async function aptInstall(packages: string[]): Promise<string | null> {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const update = await run("apt-get", ["update", "-q"], { env });
    const install = await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages], { env });
    if (install.code === 0) return null;
    return (update.code === 0 ? install : update).output.trim().split("\n").slice(-5).join("\n");
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

/**
 * Installs what the tests need and the machine lacks, where that is permitted (root, apt-get, not in CI, XVAULT_NO_APT unset).
 * Says through `say` what it does, and what will be skipped where it may not.
 */
export async function prepare(say: (line: string) => void): Promise<void> {
  const lacking = PROGRAMS.filter(([program]) => !installed(program));
  if (lacking.length === 0) return;
  const packages = lacking.map(([, name]) => name);
  const names = lacking.map(([program]) => program).join(", ");
  const root = process.getuid?.() === 0;
  if (process.env["CI"] !== "true" && !process.env["XVAULT_NO_APT"] && root && existsSync("/usr/bin/apt-get")) {
    say(
      `Installing ${packages.join(", ")} from Debian for the tests (XVAULT_NO_APT=1 forbids it; no service is started) …`,
    );
    const problem = await aptInstall(packages);
    if (problem === null) return;
    say(`apt-get could not: ${problem}`);
  }
  say(`Not installed here: ${names}. The tests that need them will be skipped.`);
  say(`  To run them too, as root: apt-get install --no-install-recommends ${packages.join(" ")}`);
}
