import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashBlocks } from "@xvault/archive";
import type { Manifest, ManifestBody } from "@xvault/contracts";
import { generateSigningKey, manifestBytes, parseAgeHeader, signManifest } from "@xvault/crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkSnapshot, keysOf, type SnapshotPlace, storedObjects } from "../src/index.ts";
import {
  because,
  codeOf,
  filesBelow,
  type Lab,
  type LabBackup,
  newSigner,
  noSshd,
  openLab,
  shell,
  toolsMissing,
} from "./lab.ts";

const missing = noSshd ?? toolsMissing("age", "zstd", "tar");

describe.skipIf(missing)(`promise 15: a forged artifact is refused${because(missing)}`, () => {
  let lab: Lab;
  let tree: string;
  let good: LabBackup;
  /** Whoever can write to the storage and knows the public recipient, but has no key of the platform. */
  const stranger = generateSigningKey();

  beforeAll(async () => {
    lab = await openLab();
    tree = join(lab.sshd.home, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "file"), "what the owner wrote");
  });
  beforeEach(async () => {
    good = await lab.backup([tree]);
  });
  afterAll(() => lab?.stop());

  const at = (place: SnapshotPlace, object: "artifact" | "index" | "blocks" | "manifest") =>
    join(lab.storeRoot, keysOf(place)[object]);

  /** Puts bytes in the place of all four objects, with a manifest in which everything fits together. */
  async function forge(artifact: Buffer, index: Buffer, sign: (body: ManifestBody) => Manifest): Promise<void> {
    const { signature: _, ...body } = good.manifest;
    const leaves: Buffer[] = [];
    const sink = (chunks: Buffer[]) => ({
      write: (chunk: Buffer) => void chunks.push(chunk),
      close: async () => {},
    });
    const hasher = hashBlocks(sink([]), sink(leaves));
    await hasher.write(artifact);
    await hasher.close();
    const { sizeBytes, blockCount, root } = hasher.result();
    const facts = (bytes: Buffer) => {
      const header = bytes.subarray(0, parseAgeHeader(bytes)?.length ?? 0);
      return {
        size_bytes: bytes.length,
        sha256: sha256(bytes),
        header_sha256: sha256(header),
        header_bytes: header.length,
      };
    };
    const manifest = sign({
      ...body,
      artifact: { ...body.artifact, ...facts(artifact), size_bytes: sizeBytes },
      index: { ...body.index, ...facts(index) },
      blocks: { ...body.blocks, count: blockCount, root },
    });
    writeFileSync(at(good.place, "artifact"), artifact);
    writeFileSync(at(good.place, "index"), index);
    writeFileSync(at(good.place, "blocks"), Buffer.concat(leaves));
    writeFileSync(at(good.place, "manifest"), manifestBytes(manifest));
  }

  const sealed = (script: string) => shell(`${script} | age -r "$1"`, [lab.keys.recipient]);
  const evilTar = () => sealed("cd /usr/share && tar -c --format=pax --files-from=/dev/null | zstd -q");

  async function expectRefused(code: string): Promise<void> {
    const to = join(lab.dir, "refused");
    expect(await codeOf(lab.restore(good.place, to))).toBe(code);
    expect(filesBelow(to)).toEqual([]);
  }

  test("control: the genuine one restores", async () => {
    const to = join(lab.dir, "genuine");
    await lab.restore(good.place, to);
    expect(readFileSync(`${to}${tree}/file`, "utf8")).toBe("what the owner wrote");
  });

  test("a file made with stock age to the public recipient, under a manifest signed with a stranger's key and certificate", async () => {
    const signer = newSigner(stranger, lab.workerId);
    await forge(evilTar(), sealed("echo an index"), (body) =>
      signManifest({ ...body, certificate: signer.certificate }, signer.privateKey),
    );
    await expectRefused("SIGNATURE_INVALID");
    // Control: the forgery is sound in all but who signed it, so it is the signature that refuses it.
    const objects = storedObjects(lab.store, good.place);
    const checked = await checkSnapshot(objects, { rootKeys: [stranger.publicKey], expect: good.place });
    expect(checked.manifest.artifact.size_bytes).toBe(readFileSync(at(good.place, "artifact")).length);
  });

  test("a whole backup by a stranger's worker, which opens with the owner's key", async () => {
    writeFileSync(join(lab.sshd.home, "evil"), "what the stranger wrote");
    rmSync(join(lab.storeRoot, keysOf(good.place).dir), { recursive: true });
    const evil = [join(lab.sshd.home, "evil")];
    await lab.backup(evil, { place: good.place, signer: newSigner(stranger, lab.workerId) });
    await expectRefused("SIGNATURE_INVALID");
    const objects = storedObjects(lab.store, good.place);
    expect(await codeOf(checkSnapshot(objects, { rootKeys: [stranger.publicKey], expect: good.place }))).toBe("none");
    expect(await codeOf(checkSnapshot(objects, { rootKeys: [], expect: good.place }))).toBe("SIGNATURE_INVALID");
  });

  test("the worker's own certificate copied to a manifest that a stranger signed", async () => {
    await forge(evilTar(), sealed("echo an index"), (body) => signManifest(body, stranger.privateKey));
    await expectRefused("SIGNATURE_INVALID");
  });

  test("the genuine signature copied to a manifest about other bytes", async () => {
    await forge(evilTar(), sealed("echo an index"), (body) => ({ ...body, signature: good.manifest.signature }));
    await expectRefused("SIGNATURE_INVALID");
  });

  test("the artifact alone exchanged for another valid age file of the same size", async () => {
    const size = good.manifest.artifact.size_bytes;
    const header = sealed("true").length;
    const forged = sealed(`head -c ${size - header} /dev/zero`);
    expect(forged.length).toBe(size);
    writeFileSync(at(good.place, "artifact"), forged);
    await expectRefused("ARTIFACT_CORRUPT");
  });

  test("the index alone exchanged for another valid age file of the same size", async () => {
    const size = good.manifest.index.size_bytes;
    const header = sealed("true").length;
    writeFileSync(at(good.place, "index"), sealed(`head -c ${size - header} /dev/zero`));
    await expectRefused("ARTIFACT_CORRUPT");
  });

  test("another worker's certificate on this worker's manifest", async () => {
    const other = newSigner(lab.root, good.place.tenant_id);
    const bytes = readFileSync(at(good.place, "artifact"));
    await forge(bytes, readFileSync(at(good.place, "index")), (body) =>
      signManifest({ ...body, certificate: other.certificate }, other.privateKey),
    );
    await expectRefused("SIGNATURE_INVALID");
  });

  describe("promise 16: a genuine snapshot in another's place is refused", () => {
    test.each([
      ["another tenant's", { tenant_id: "11111111-1111-4111-8111-111111111111" }],
      ["another source's", { source_id: "22222222-2222-4222-8222-222222222222" }],
      ["an older one of the same source", {}],
    ])("%s", async (_, place) => {
      const other = await lab.backup([tree], { place });
      rmSync(join(lab.storeRoot, keysOf(good.place).dir), { recursive: true });
      cpSync(join(lab.storeRoot, keysOf(other.place).dir), join(lab.storeRoot, keysOf(good.place).dir), {
        recursive: true,
      });
      await expectRefused("MANIFEST_TENANT_MISMATCH");
      // Control: in its own place it is accepted.
      expect(await codeOf(lab.check(other.place))).toBe("none");
    });
  });
});

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
