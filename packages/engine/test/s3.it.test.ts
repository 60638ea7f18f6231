import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { XVaultError } from "@xvault/kernel";
import { openS3Store, type S3Store } from "@xvault/storage";
import { startWire, type Wire } from "@xvault/test-kit/proxy";
import { type Radosgw, radosgwAvailable, startRadosgw } from "@xvault/test-kit/s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReportLog, runBackup, runVerify, storedObjects } from "../src/index.ts";
import { because, codeOf, type Lab, type LabBackup, noSshd, openLab } from "./lab.ts";
import { noise } from "./trees.ts";

const MiB = 1024 * 1024;
const FILES = 12;
const missing = noSshd ?? radosgwAvailable();

describe.skipIf(missing)(`a workspace whose backups lie in a bucket${because(missing)}`, () => {
  let lab: Lab;
  let server: Radosgw;
  let wire: Wire;
  let store: S3Store;
  let tree: string;
  let good: LabBackup;
  beforeAll(async () => {
    [lab, server] = await Promise.all([openLab(), startRadosgw()]);
    await server.createBucket("backups");
    wire = await startWire(server.port);
    const [{ accessKeyId, secretAccessKey }] = server.users;
    const place = { region: server.region, bucket: "backups", prefix: "tenant", pathStyle: true, storageClass: null };
    const access = { endpoint: `http://127.0.0.1:${wire.port}`, caPem: null, accessKeyId, secretAccessKey };
    store = await openS3Store({ ...place, ...access, lock: null, partBytes: 5 * MiB });
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    for (let at = 0; at < FILES; at += 1) {
      writeFileSync(join(tree, String(at)), noise(MiB, at));
      utimesSync(join(tree, String(at)), 1e9, 1e9); // what is older than the run is trusted by the next one
    }
    good = await lab.backup([tree], { store });
  });
  afterAll(async () => {
    await wire?.stop();
    await server?.stop();
    await lab?.stop();
  });

  const objectsOf = ({ place }: LabBackup) => storedObjects(store, place);
  const restored = async (backup: LabBackup, name: string) => {
    const to = join(lab.dir, name);
    await lab.restore(backup.place, to, { objects: objectsOf(backup) });
    return Array.from({ length: FILES }, (_, at) => hash(readFileSync(`${to}${tree}/${at}`)));
  };
  const wanted = Array.from({ length: FILES }, (_, at) => hash(noise(MiB, at)));

  test("a backup of several parts is restored whole, and the bucket holds nothing readable", async () => {
    expect(good.manifest.artifact.size_bytes).toBeGreaterThan(10 * MiB);
    expect(await restored(good, "whole")).toEqual(wanted);
    const listing = await server.request(server.users[0], "GET", "/backups?list-type=2&prefix=tenant/");
    expect(listing.body).toContain(good.place.snapshot_id);
    expect((await server.request(server.users[0], "GET", "/backups?uploads")).body).not.toContain("<Upload>");
    expect((await server.request(server.users[1], "GET", "/backups?list-type=2")).status).toBe(403);
  });

  test("an incremental backup finds in the bucket what it builds on", async () => {
    writeFileSync(join(tree, "more"), noise(1000, 99));
    const next = await lab.backup([tree], { store, base: good });
    expect(next.manifest.artifact.size_bytes).toBeLessThan(MiB);
    expect(await restored(next, "incremental")).toEqual(wanted);
  });

  test.each(["garbled", "cut"] as const)(
    "promise 18: a restore whose bytes are %s once on the way reads them again",
    async (kind) => {
      const stopped = wire.stopAt("back", 5 * MiB + 12_345);
      const result = restored(good, kind);
      await stopped;
      if (kind === "cut") wire.cut();
      else wire.letGo({ garble: true });
      expect(await result).toEqual(wanted);
    },
  );

  test.each(["garbled", "cut"] as const)(
    "promise 18: nor is a check whose bytes are %s once called corruption",
    async (kind) => {
      const checked = await lab.check(good.place, objectsOf(good));
      const stopped = wire.stopAt("back", 5 * MiB + 54_321);
      const run = {
        checked,
        artifact: null,
        reporter: createReportLog().reporter,
        signal: new AbortController().signal,
      };
      const result = runVerify(run);
      await stopped;
      if (kind === "cut") wire.cut();
      else wire.letGo({ garble: true });
      expect(await result).toMatchObject({ bytes: good.manifest.artifact.size_bytes });
    },
  );

  test("a backup whose upload is cut on the way goes on, and is whole", async () => {
    const stopped = wire.stopAt("forth", 3 * MiB);
    const backup = lab.backup([tree], { store });
    await stopped;
    wire.cut();
    expect(await restored(await backup, "cut-upload")).toEqual(wanted);
  });

  test("a cancelled backup leaves no object and no upload", async () => {
    const cancel = new AbortController();
    const run = lab.run([tree], { store, signal: cancel.signal });
    const stopped = wire.stopAt("forth", 7 * MiB);
    const running = codeOf(runBackup(run));
    await stopped;
    cancel.abort(new XVaultError("CANCELLED"));
    wire.letGo();
    expect(await running).toBe("CANCELLED");
    const left: string[] = [];
    for await (const { key } of store.list("")) if (key.includes(run.place.snapshot_id)) left.push(key);
    expect(left).toEqual([]);
    expect((await server.request(server.users[0], "GET", "/backups?uploads")).body).not.toContain("<Upload>");
  });

  test("what is really damaged in the bucket is told as such", async () => {
    const { artifact } = objectsOf(good);
    const key = `/backups/tenant/${await keyOfArtifact(good)}`;
    const bytes = await (await artifact()).read(0, good.manifest.artifact.size_bytes);
    bytes[6 * MiB] = (bytes[6 * MiB] ?? 0) ^ 1;
    expect((await server.request(server.users[0], "PUT", key, { body: bytes })).status).toBe(200);
    expect(await codeOf(restored(good, "damaged"))).toBe("ARTIFACT_CORRUPT");
  });

  async function keyOfArtifact({ place }: LabBackup): Promise<string> {
    for await (const { key } of store.list(""))
      if (key.includes(place.snapshot_id) && key.endsWith(".tar.zst.enc")) return key;
    throw new Error("no artifact lies in the bucket");
  }
});

const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
