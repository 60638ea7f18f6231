import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { generateIdentity } from "@xvault/crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FILES, type MadeStorage, makeStorage } from "./made-snapshot.ts";
import { expectChain, expectWhole, madeChain, openGround, recoverArgs } from "./recover-ground.ts";
import { runHere } from "./run-cli.ts";

const ground = openGround();
const { dir: work, fresh } = ground;
let storage: MadeStorage;
let older: Awaited<ReturnType<MadeStorage["backUp"]>>;
let newest: Awaited<ReturnType<MadeStorage["backUp"]>>;

beforeAll(async () => {
  storage = await makeStorage(work);
  older = await storage.backUp({
    createdAt: new Date(Date.now() - 7_200_000),
    files: [
      [Buffer.from("srv/app/hello.txt"), Buffer.from("older")],
      [Buffer.from("srv/app/old"), Buffer.from("old")],
    ],
  });
  newest = await storage.backUp({ previous: older.manifest });
});
afterAll(ground.remove);

const fromBase = (target: string, identity = storage.kit): string[] =>
  recoverArgs({ base: storage.base, kit: identity }, target);

/** A copy of the newest snapshot, at a place of its own, to be damaged. */
function copyOfNewest(): string {
  const copy = join(fresh(), dirname(newest.directory).slice(storage.base.length), newest.manifest.snapshot_id);
  cpSync(newest.directory, copy, { recursive: true });
  return copy;
}

describe("recover, without a hub", () => {
  it("restores the newest snapshot of a storage from the recovery kit alone, signature checked", async () => {
    const target = fresh();
    const ran = await runHere([
      "recover",
      "--from",
      storage.base,
      "--identity",
      storage.kit,
      "--target",
      target,
      "--json",
    ]);
    expect(ran.err).toBe("");
    expect(ran.code).toBe(0);
    expectWhole(target);
    expect(ran.messages().at(-1)).toMatchObject({
      message_type: "summary",
      snapshot_id: newest.manifest.snapshot_id,
      verified: true,
    });
  });

  it("takes a source's and a snapshot's own directory as well", async () => {
    for (const from of [dirname(newest.directory), newest.directory]) {
      const target = fresh();
      const ran = await runHere(["recover", "--from", from, "--identity", storage.kit, "--target", target]);
      expect(ran.code, ran.err).toBe(0);
      expectWhole(target);
      expect(ran.err).toContain("| zstd -d | tar -xf -");
    }
  });

  it("restores the snapshot that is named, and only the paths that are named", async () => {
    const target = fresh();
    const old = await runHere([...fromBase(target), "--snapshot", older.manifest.snapshot_id.slice(-8)]);
    expect(old.code, old.err).toBe(0);
    expect(readFileSync(join(target, "srv/app/old"), "utf8")).toBe("old");

    const part = fresh();
    const some = await runHere([...fromBase(part), "--path", "/srv/app/hello.txt", "--path", "/srv/app/empty"]);
    expect(some.code, some.err).toBe(0);
    expect(readdirSync(join(part, "srv/app")).toSorted()).toEqual(["empty", "hello.txt"]);
    expect(existsSync(join(part, "srv/big.bin"))).toBe(false);
  });

  it("says 10 for a snapshot, a path and a directory that are not there, and leaves nothing behind", async () => {
    const target = fresh();
    const base = ["recover", "--identity", storage.kit, "--target", target];
    const noSnapshot = await runHere([...base, "--from", storage.base, "--snapshot", "ffffffff"]);
    const noPath = await runHere([...base, "--from", storage.base, "--path", "/srv/nothing"]);
    const noDirectory = await runHere([...base, "--from", join(work, "nowhere")]);
    for (const ran of [noSnapshot, noPath, noDirectory]) {
      expect(ran.code, ran.err).toBe(10);
      expect(ran.err).toMatch(/^error NOT_FOUND: /m);
      expect(ran.err).toMatch(/^fix: /m);
    }
    expect(existsSync(target)).toBe(false);
    expect(existsSync(join(work, "nowhere"))).toBe(false);
  });

  it("refuses a wrong identity with 12 and names the key that is needed", async () => {
    const other = await generateIdentity();
    const file = join(work, "other.txt");
    writeFileSync(file, `${other.identity}\n`);
    const target = fresh();
    const ran = await runHere([...fromBase(target, file), "--root-key", storage.rootKey]);
    expect(ran.code).toBe(12);
    expect(ran.err).toContain("error KEY_MISMATCH");
    expect(ran.err).toContain(newest.manifest.encryption.recipients[0]?.fingerprint);
    expect(ran.err + ran.out).not.toContain(other.identity);
    expect(existsSync(target)).toBe(false);
  });

  it("wants a root key, unless it is told to do without", async () => {
    const bare = join(work, "bare.txt");
    writeFileSync(bare, `${storage.identity.identity}\n`);
    const target = fresh();
    const args = ["recover", "--from", storage.base, "--identity", bare, "--target", target];
    const refused = await runHere(args);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("error SIGNATURE_INVALID");
    expect(refused.err).toContain("--allow-unverified");
    expect(existsSync(target)).toBe(false);

    const trusting = await runHere([...args, "--allow-unverified"]);
    expect(trusting.code, trusting.err).toBe(0);
    expect(trusting.err).toContain("warning: The signature is not checked");
    expectWhole(target);

    const named = fresh();
    const given = await runHere([...args.slice(0, -1), named, "--root-key", storage.rootKey]);
    expect(given.code, given.err).toBe(0);
    expectWhole(named);
  });

  it("refuses a snapshot that another platform signed", async () => {
    const elsewhere = await makeStorage(mkdtempSync(join(work, "elsewhere-")));
    const target = fresh();
    const file = join(work, "mixed.txt");
    writeFileSync(file, `# xvault-root-key: ${elsewhere.rootKey}\n${storage.identity.identity}\n`);
    const ran = await runHere(["recover", "--from", storage.base, "--identity", file, "--target", target]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("error SIGNATURE_INVALID");
    expect(existsSync(target)).toBe(false);
  });

  it("finds a flipped byte, and writes nothing of the damaged block", async () => {
    const copy = copyOfNewest();
    const artifact = join(copy, "backup.tar.zst.enc");
    const bytes = readFileSync(artifact);
    expect(bytes.length).toBeGreaterThan(2 * 1024 * 1024);
    const at = bytes.length - 200_000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(artifact, bytes);
    const target = fresh();
    const ran = await runHere(["recover", "--from", copy, "--identity", storage.kit, "--target", target]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("error ARTIFACT_CORRUPT");
    expect(existsSync(join(target, "srv/big.bin"))).toBe(false);
  });

  it("finds a cut artifact, a changed manifest, and a snapshot in another's place", async () => {
    const cut = copyOfNewest();
    writeFileSync(join(cut, "backup.tar.zst.enc"), readFileSync(join(cut, "backup.tar.zst.enc")).subarray(0, -100));

    const changed = copyOfNewest();
    const manifest = readFileSync(join(changed, "manifest.json"), "utf8");
    writeFileSync(join(changed, "manifest.json"), manifest.replace('"sequence":2', '"sequence":9'));

    const moved = copyOfNewest();
    const place = join(dirname(moved), older.manifest.snapshot_id);
    renameSync(moved, place);

    for (const [from, code] of [
      [cut, "ARCHIVE_TRUNCATED"],
      [changed, "SIGNATURE_INVALID"],
      [place, "MANIFEST_TENANT_MISMATCH"],
    ] as const) {
      const target = fresh();
      const ran = await runHere(["recover", "--from", from, "--identity", storage.kit, "--target", target]);
      expect(ran.err).toContain(`error ${code}`);
      expect(ran.code).toBe(1);
      expect(existsSync(target)).toBe(false);
    }
  });

  it("never restores over something that is there", async () => {
    const target = mkdtempSync(join(work, "full-"));
    writeFileSync(join(target, "mine"), "mine");
    const ran = await runHere(["recover", "--from", storage.base, "--identity", storage.kit, "--target", target]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("error TARGET_NOT_EMPTY");
    expect(readdirSync(target)).toEqual(["mine"]);
  });

  it("lists what is there: genuine or forged, and whether the key opens it; a missing predecessor is told", async () => {
    const all = await runHere(["recover", "--from", storage.base, "--identity", storage.kit, "--list", "--json"]);
    expect(all.code).toBe(0);
    expect(all.messages()).toMatchObject([
      { snapshot_id: newest.manifest.snapshot_id, signature: "genuine", opens: true, finding: null },
      { snapshot_id: older.manifest.snapshot_id, signature: "genuine", opens: true, finding: null },
    ]);

    const alone = await runHere(["recover", "--from", newest.directory, "--list"]);
    expect(alone.code).toBe(0);
    expect(alone.out).toContain("unchecked");
    expect(alone.out).toContain(`its predecessor ${older.manifest.snapshot_id.slice(-8)} is not here`);
  });

  it("takes the newest that its key opens where the storage holds other workspaces' snapshots too", async () => {
    const shared = mkdtempSync(join(work, "shared-"));
    const other = await makeStorage(shared);
    const theirs = await other.backUp({ createdAt: new Date(Date.now() + 60_000) });
    cpSync(storage.base, other.base, { recursive: true });
    const target = fresh();
    const ran = await runHere([
      "recover",
      "--from",
      other.base,
      "--identity",
      storage.kit,
      "--target",
      target,
      "--json",
    ]);
    expect(ran.code, ran.out).toBe(0);
    expect(ran.messages().at(-1)).toMatchObject({ snapshot_id: newest.manifest.snapshot_id, verified: true });
    expectWhole(target);

    const list = await runHere(["recover", "--from", other.base, "--identity", storage.kit, "--list", "--json"]);
    expect(list.messages()[0]).toMatchObject({
      snapshot_id: theirs.manifest.snapshot_id,
      opens: false,
      signature: "forged",
    });
  });

  it("tells when a predecessor was exchanged for another", async () => {
    const other = await makeStorage(mkdtempSync(join(work, "exchanged-")));
    const first = await other.backUp();
    const second = await other.backUp({
      previous: { ...first.manifest, sequence: 99 },
      createdAt: new Date(Date.now() + 1000),
    });
    const ran = await runHere(["recover", "--from", other.base, "--list", "--json"]);
    expect(ran.messages()).toMatchObject([
      {
        snapshot_id: second.manifest.snapshot_id,
        finding: expect.stringContaining("is not the one it was made after"),
      },
      { snapshot_id: first.manifest.snapshot_id, finding: null },
    ]);
  });

  it("restores a snapshot that needs earlier artifacts, checks each, and names the one that is missing", async () => {
    const chain = await madeChain(ground.directory("chain"));
    const target = fresh();
    const ran = await runHere(["recover", "--from", chain.base, "--identity", chain.kit, "--target", target, "--json"]);
    expect(ran.code, ran.out + ran.err).toBe(0);
    expect(ran.messages().at(-1)).toMatchObject({ snapshot_id: chain.third.manifest.snapshot_id, verified: true });
    expectChain(target);

    rmSync(join(chain.first.directory, "blocks.bin"));
    const other = fresh();
    const broken = await runHere(["recover", "--from", chain.base, "--identity", chain.kit, "--target", other]);
    expect(broken.code).toBe(10);
    expect(broken.err).toContain("error ARTIFACT_MISSING");
    expect(broken.err).toContain(chain.first.manifest.snapshot_id.slice(-8));
    expect(existsSync(other)).toBe(false);

    rmSync(chain.first.directory, { recursive: true });
    const list = await runHere(["recover", "--from", chain.base, "--list", "--json"]);
    const finding = `it needs the artifact of ${chain.first.manifest.snapshot_id.slice(-8)}, which is not here`;
    expect(list.messages()[0]).toMatchObject({ snapshot_id: chain.third.manifest.snapshot_id, finding });
  });

  it("reports failures to programs as one JSON line", async () => {
    const ran = await runHere(["recover", "--from", join(work, "nowhere"), "--list", "--json"]);
    expect(ran.code).toBe(10);
    expect(ran.err).toBe("");
    expect(ran.messages()).toMatchObject([{ message_type: "error", code: "NOT_FOUND", retry: false }]);
  });
});

const noRclone = ["/usr/bin/rclone", "/usr/local/bin/rclone"].some(existsSync)
  ? ""
  : " (skipped: rclone is not installed)";

describe.skipIf(noRclone)(`recover from a remote${noRclone}`, () => {
  it("reads what a file describes, and never shows what stands in it", async () => {
    const chain = await madeChain(ground.directory("chain"));
    const password = "a password of the remote's";
    const server = spawn(
      "rclone",
      ["serve", "webdav", dirname(chain.base), "--addr", "127.0.0.1:0", "--config", "", "-v"],
      {
        env: { PATH: process.env["PATH"] ?? "", RCLONE_USER: "someone", RCLONE_PASS: password },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    try {
      const url = await new Promise<string>((resolve, reject) => {
        server.once("exit", () => reject(new Error("rclone serve ended")));
        createInterface({ input: server.stderr }).on("line", (line) => {
          const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
          if (found) resolve(found[0]);
        });
      });
      const file = join(work, "remote.json");
      const parameters = { url, vendor: "other", user: "someone" };
      const remote = { remote_type: "webdav", path: "storage", parameters, secret_parameters: { pass: password } };
      writeFileSync(file, JSON.stringify(remote), { mode: 0o600 });
      const target = fresh();
      const from = ["recover", "--from", `rclone:${file}`, "--identity", chain.kit];
      const ran = await runHere([...from, "--target", target]);
      expect(ran.code, ran.err).toBe(0);
      expect(ran.err).toContain("in webdav:storage/backups/");
      expect(ran.err + ran.out).not.toContain(password);
      expectChain(target);
      writeFileSync(file, JSON.stringify({ ...remote, remote_type: 7 }));
      const refused = await runHere([...from, "--list"]);
      expect(refused.err).toContain("error INPUT_INVALID");
      expect(refused.err).not.toContain(password);
    } finally {
      server.kill("SIGKILL");
    }
  });
});

const missing = ["age", "zstd", "tar", "jq"].filter(
  (program) => !existsSync(`/usr/bin/${program}`) && !existsSync(`/bin/${program}`),
);

describe.skipIf(missing.length > 0)(
  `stock programs${missing.length > 0 ? ` (skipped: ${missing.join(", ")} not installed)` : ""}`,
  () => {
    it("open the same artifact by the very line that recover prints", async () => {
      const ran = await runHere([...fromBase(fresh()), "--json"]);
      const byHand = ran.messages().at(-1)?.["by_hand"];
      expect(typeof byHand).toBe("string");
      const own = mkdtempSync(join(work, "by hand "));
      const line = String(byHand).replace(/ -C .*$/, ` -C "${own}"`);
      execFileSync("/bin/sh", ["-ec", line]);
      expectWhole(own);
    });

    it("open a snapshot that needs earlier artifacts by the lines that recover prints", async () => {
      const chain = await madeChain(ground.directory("chain"));
      const own = mkdtempSync(join(work, "by hand "));
      const args = ["recover", "--from", chain.base, "--identity", chain.kit, "--json"];
      const ran = await runHere([...args, "--target", join(fresh(), "here")]);
      const lines = String(ran.messages().at(-1)?.["by_hand"]).split("\n");
      expect(lines).toHaveLength(5);
      const script = lines.map((line) => line.replace(/ -C \S+/, ` -C "${own}"`)).join("\n");
      execFileSync("/bin/sh", ["-ec", script], { cwd: mkdtempSync(join(work, "lists ")) });
      // All but the name that is not UTF-8, which has no form in JSON that jq would give as bytes.
      for (const [path, content] of FILES.filter(([one]) => !one.includes(0xe9) || one.includes("größe"))) {
        expect(readFileSync(Buffer.concat([Buffer.from(`${own}/`), path])).equals(content)).toBe(true);
      }
      expect(readFileSync(join(own, "srv/app/added"), "utf8")).toBe("in the second");
      expect(existsSync(join(own, "srv/app/gone"))).toBe(false);
      expect(statSync(join(own, "srv/app")).mode & 0o7777).toBe(0o750);
    });
  },
);
