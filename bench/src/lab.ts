import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FaultyProxy, startProxy } from "@xvault/test-kit/proxy";
import { type Sshd, startSshd } from "@xvault/test-kit/ssh";
import { type Stack, startStack, type Tenant } from "@xvault/test-kit/stack";

/** Everything that the runs share: an SSH server with the data sets, one way to it for each round trip, an xVault, keys. */
export interface Lab {
  /** For whatever the runs write; data sets lie below `sshd.home`. */
  dir: string;
  sshd: Sshd;
  stack: Stack;
  tenant: Tenant;
  /** Port by which the server is reached with this round trip, in milliseconds. */
  portFor(rttMs: number): Promise<number>;
  /** What every peer's script is given: SSH and SSHFLAGS to reach the server, RECIPIENT and IDENTITY of age. */
  env(rttMs: number): Promise<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts it all below a fresh folder in `parent`. `cpuProfiles` is a folder that the worker writes a profile to when it ends. */
export async function openLab(options: {
  parent?: string | undefined;
  cpuProfiles?: string | undefined;
}): Promise<Lab> {
  const dir = realpathSync(mkdtempSync(join(options.parent ?? tmpdir(), "xvault-bench-")));
  const ends: (() => Promise<unknown>)[] = [async () => rmSync(dir, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    const server = join(dir, "server");
    mkdirSync(server);
    const sshd = await startSshd({ dir: server });
    ends.push(() => sshd.stop());
    const worker: Record<string, string> = options.cpuProfiles
      ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.cpuProfiles}` }
      : {};
    worker["XVAULT_STORAGE_PATH"] = join(dir, "store");
    // As in its image and in `npm start`: from its second start on, a worker finds its code compiled.
    worker["NODE_COMPILE_CACHE"] = join(dir, "compiled");
    const stack = await startStack({ queue: "postgres", env: { worker } });
    ends.push(() => stack.stop());
    await onlyWorker(stack).stop();
    await onlyWorker(stack).start();
    const keys = makeKeys(dir, sshd);
    const proxies = new Map<number, FaultyProxy>();
    const portFor = async (rttMs: number) => {
      if (rttMs === 0) return sshd.port;
      let proxy = proxies.get(rttMs);
      if (!proxy) {
        const started = await startProxy({ port: sshd.port, delayMs: rttMs / 2 });
        ends.push(() => started.stop());
        proxies.set(rttMs, started);
        proxy = started;
      }
      return proxy.port;
    };
    return {
      dir,
      sshd,
      stack,
      tenant: await stack.signUp(),
      portFor,
      env: async (rttMs) => {
        const flags = ["-F", "none", "-i", join(sshd.dir, "user_key"), "-p", String(await portFor(rttMs))];
        const options = [
          `UserKnownHostsFile=${keys.knownHosts}`,
          "HostKeyAlias=bench",
          "BatchMode=yes",
          "LogLevel=ERROR",
        ];
        const sshFlags = [...flags, ...options.flatMap((option) => ["-o", option])].join(" ");
        return {
          HOME: dir,
          SSH: `ssh ${sshFlags}`,
          DESTINATION: `${sshd.username}@127.0.0.1`,
          RECIPIENT: keys.recipient,
          IDENTITY: keys.identity,
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The worker that does everything here. */
export function onlyWorker(stack: Stack) {
  const [worker] = stack.workers;
  if (!worker) throw new Error("no worker runs");
  return worker;
}

function makeKeys(dir: string, sshd: Sshd) {
  const knownHosts = join(dir, "known_hosts");
  writeFileSync(knownHosts, `bench ${sshd.hostKey.algorithm} ${sshd.hostKey.key}\n`);
  const identity = join(dir, "identity.txt");
  execFileSync("age-keygen", ["-o", identity], { stdio: "ignore" });
  const recipient = /public key: (age1\w+)/.exec(readFileSync(identity, "utf8"))?.[1] ?? "";
  return { knownHosts, identity, recipient };
}
