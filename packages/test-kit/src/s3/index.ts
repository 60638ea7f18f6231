import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../stack/child.ts";
import { type ClusterFiles, writeCluster } from "./cluster.ts";
import { type S3Answer, type S3Place, s3Request, type S3User } from "./request.ts";

export { type S3Answer, type S3Place, s3Request, type S3User } from "./request.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The radosgw that `@xvault/test-kit/s3/setup` started for this run; `missing`: why it could not, and the rest means nothing. */
    radosgw: { missing: string | null; place: S3Place; users: readonly [S3User, S3User, S3User] };
  }
}

const START_MS = 60_000;
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const command = promisify(execFile);

/** A Ceph of the test's own on loopback with an S3 gateway, keeping everything in memory. */
export interface Radosgw extends S3Place {
  readonly port: number;
  readonly users: readonly [S3User, S3User];
  /** One more user, who owns nothing; with a quota, whose buckets together hold no more. */
  addUser(options?: { quotaBytes?: number }): Promise<S3User>;
  /** Makes a bucket that belongs to `user` (the first one unless told). With `lock` it can hold objects locked, and has versions. */
  createBucket(name: string, options?: { lock?: boolean; user?: S3User }): Promise<void>;
  /** A request signed by `user`. */
  request(
    user: S3User,
    method: string,
    path: string,
    options?: { body?: string | Buffer; headers?: Record<string, string> },
  ): Promise<S3Answer>;
  /** Ends the three processes and removes their directory. */
  stop(): Promise<void>;
}

/** Why no radosgw can be started here, or null when one can. */
export function radosgwAvailable(): string | null {
  for (const program of ["ceph-mon", "ceph-osd", "radosgw"]) {
    try {
      execFileSync(program, ["--version"], { stdio: "ignore", env: { PATH } });
    } catch {
      return `${program} is not installed (Debian: radosgw, ceph-mon, ceph-osd)`;
    }
  }
  return null;
}

/** Makes a bucket that belongs to `user`. */
export async function createBucket(
  place: S3Place,
  user: S3User,
  name: string,
  options: { lock?: boolean } = {},
): Promise<void> {
  const headers: Record<string, string> = options.lock ? { "x-amz-bucket-object-lock-enabled": "true" } : {};
  const { status, body } = await s3Request(place, user, "PUT", `/${name}`, { headers });
  if (status !== 200) throw new Error(`the bucket ${name} could not be made: ${status} ${body}`);
}

/** Starts Ceph's monitor, one OSD and its S3 gateway as ordinary processes, root or not, and waits until the gateway answers. */
export async function startRadosgw(options: { tls?: boolean } = {}): Promise<Radosgw> {
  const missing = radosgwAvailable();
  if (missing) throw new Error(missing);
  const dir = mkdtempSync(join(tmpdir(), "xvault-ceph-"));
  const running: ChildProcess[] = [];
  // It holds nothing that outlives it, so that there is nothing to end in order.
  const kill = () => running.forEach((child) => child.kill("SIGKILL"));
  process.once("exit", kill);
  const stop = async () => {
    const ends = running.filter((child) => !gone(child)).map((child) => once(child, "exit"));
    kill();
    await Promise.all(ends);
    process.off("exit", kill);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    return { ...(await assemble(dir, options.tls === true, running)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const gone = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

async function assemble(dir: string, tls: boolean, running: ChildProcess[]): Promise<Omit<Radosgw, "stop">> {
  const ports = { monitor: await freePort(), monitorV1: await freePort(), gateway: await freePort() };
  const certificate = tls ? makeCertificate(dir) : null;
  const files = writeCluster(dir, ports, certificate);
  const env = { PATH, CEPH_CONF: files.config };
  const run = (program: string, ...args: string[]) => command(program, args, { env, timeout: START_MS });
  const start = (program: string, ...args: string[]) => {
    const child = spawn(program, ["-f", ...args], { env, stdio: "ignore" });
    running.push(child);
    return child;
  };

  await makeCluster(files, run, start);
  const place: S3Place = {
    endpoint: `${tls ? "https" : "http"}://127.0.0.1:${ports.gateway}`,
    region: "us-east-1",
    caPem: certificate ? readFileSync(certificate.certificate, "utf8") : null,
  };
  const gateway = start("radosgw", "-n", "client.rgw");
  const addUser: Radosgw["addUser"] = async ({ quotaBytes } = {}) => {
    const user: S3User = {
      uid: `user-${randomBytes(4).toString("hex")}`,
      accessKeyId: randomBytes(10).toString("hex").toUpperCase(),
      secretAccessKey: randomBytes(20).toString("hex"),
    };
    const keys = ["--access-key", user.accessKeyId, "--secret-key", user.secretAccessKey];
    await run(
      "radosgw-admin",
      "-n",
      "client.rgw",
      "user",
      "create",
      "--uid",
      user.uid,
      "--display-name",
      user.uid,
      ...keys,
    );
    if (quotaBytes !== undefined) {
      const quota = ["--uid", user.uid, "--quota-scope", "user"];
      await run("radosgw-admin", "-n", "client.rgw", "quota", "set", ...quota, "--max-size", String(quotaBytes));
      await run("radosgw-admin", "-n", "client.rgw", "quota", "enable", ...quota);
    }
    return user;
  };
  await answers(place, gateway, join(dir, "client.rgw.log"));
  const users = [await addUser(), await addUser()] as const;
  return {
    ...place,
    port: ports.gateway,
    users,
    addUser,
    createBucket: (name, { lock = false, user = users[0] } = {}) => createBucket(place, user, name, { lock }),
    request: (user, method, path, options) => s3Request(place, user, method, path, options),
  };
}

/** A cluster of one monitor and one OSD; the OSD may still be on its way up afterwards. */
async function makeCluster(
  files: ClusterFiles,
  run: (program: string, ...args: string[]) => Promise<unknown>,
  start: (program: string, ...args: string[]) => ChildProcess,
): Promise<void> {
  await run("monmaptool", "--create", "--fsid", files.fsid, "--addv", "a", files.monitorAddress, files.monitorMap);
  await run("ceph-mon", "--mkfs", "-i", "a", "--monmap", files.monitorMap, "--keyring", files.keyring);
  start("ceph-mon", "-i", "a");
  const osd = randomUUID();
  await run("ceph", "osd", "new", osd);
  await run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd);
  start("ceph-osd", "-i", "0");
}

/** For 127.0.0.1 and localhost, signed by itself. */
function makeCertificate(dir: string): { certificate: string; key: string } {
  const made = { certificate: join(dir, "cert.pem"), key: join(dir, "key.pem") };
  const names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const files = ["-keyout", made.key, "-out", made.certificate];
  execFileSync(
    "openssl",
    ["req", "-x509", ...curve, "-days", "2", "-subj", "/CN=localhost", "-addext", names, ...files],
    {
      stdio: "ignore",
    },
  );
  return made;
}

async function answers(place: S3Place, gateway: ChildProcess, log: string): Promise<void> {
  const nobody = { uid: "", accessKeyId: "nobody", secretAccessKey: "nothing" };
  const deadline = Date.now() + START_MS;
  for (;;) {
    const answer = await s3Request(place, nobody, "GET", "/").catch(() => null);
    if (answer) return;
    if (gone(gateway) || Date.now() > deadline)
      throw new Error(`radosgw did not start:\n${readFileSync(log, "utf8").slice(-4000)}`);
    await sleep(20);
  }
}
