// Writes a version of the golden corpus: `node packages/engine/test/corpus/make.ts v2`. Never run by tests, and never for a version
// that is there: what was written once must stay readable for ever, so it is only added to. The keys are made anew each time, so
// the bytes differ from run to run; what they hold does not.
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BLOCK_BYTES, createArtifactWriter, hashBlocks, type StoredBody } from "@xvault/archive";
import type { Manifest } from "@xvault/contracts";
import {
  ageEncrypt,
  formatRecoveryKit,
  generateIdentity,
  generateSigningKey,
  headerSha256,
  issueCertificate,
  manifestBytes,
  manifestSha256,
  recipientFingerprint,
  recipientOf,
  signManifest,
} from "@xvault/crypto";
import { newId, XVaultError } from "@xvault/kernel";
import { openLocalStore } from "@xvault/storage";
import { keysOf } from "../../src/index.ts";
import { meter } from "../../src/sinks.ts";
import { chainFull, chainSecond, chainThird, everything, extremes, large, partial } from "./contents.ts";
import { expectedOf, type ExpectedSnapshot, type Item, writeExpected, writeSums } from "./entries.ts";

/** Stock age knows this kind from its version 1.3 on. Published here: it protects nothing. */
const POST_QUANTUM = "AGE-SECRET-KEY-PQ-1QKKXSXVTDRPJX9HAPR8V2402CP8NH990SVR4XASCJV6E0J0FTSLQWP9VZQ";
const KIT = "TEST-KEYS-recovery-kit.txt";
const SECOND_KIT = "TEST-KEYS-second-recipient.txt";
const PQ_KIT = "TEST-KEYS-post-quantum.txt";
const START = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

const version = process.argv[2] ?? "";
const fixtures = join(import.meta.dirname, "fixtures");
const final = join(fixtures, version);
if (!/^v\d+[a-z]*$/.test(version) || existsSync(final)) {
  throw new Error(`Name a version that is not there yet: v2 and the like, not '${version}'.`);
}
const base = mkdtempSync(join(tmpdir(), "xvault-corpus-"));
const store = await openLocalStore({ root: base });

const first = await generateIdentity();
const second = await generateIdentity();
const root = generateSigningKey();
const signing = generateSigningKey();
const place = { tenant_id: newId(START), source_id: newId(START) };
const workerId = newId(START);
const certificate = issueCertificate(
  {
    workerId,
    publicKey: signing.publicKey,
    notBefore: new Date(START - HOUR),
    notAfter: new Date(START + 30 * 24 * HOUR),
  },
  root.privateKey,
);

const kit = {
  workspace: "TEST KEYS of the golden corpus: published, they protect nothing",
  hubRootPublicKey: root.publicKey,
  createdAt: new Date(START),
  url: "http://localhost:8420",
};
writeFileSync(join(base, KIT), formatRecoveryKit({ ...kit, ...first }));
writeFileSync(join(base, SECOND_KIT), formatRecoveryKit({ ...kit, ...second }));
const hybrid = { identity: POST_QUANTUM, recipient: await recipientOf(POST_QUANTUM) };
writeFileSync(join(base, PQ_KIT), formatRecoveryKit({ ...kit, ...hybrid }));
mkdirSync(join(base, "expected"));

/** Where each file of the snapshots made so far lies, by snapshot and path. */
const stored = new Map<string, StoredBody & { bytes: number }>();
const inPlace = (snapshot: string, path: Buffer) => `${snapshot} ${path.toString("latin1")}`;
let made = 0;

interface Making {
  about: string;
  recipients?: string[];
  identities?: string[];
  onDisk?: boolean;
  previous?: Manifest | null;
  /** Snapshots that may be referred to. */
  earlier?: Manifest[];
  /** Things on the source that are not in the snapshot at all. */
  missed?: number;
}

/** Writes one snapshot as a worker would, and beside it what it must read as. */
async function make(name: string, items: Item[], making: Making): Promise<Manifest> {
  const { recipients = [first.recipient], previous = null, earlier = [], missed = 0 } = making;
  const at = START + made * HOUR;
  made += 1;
  const snapshot = { ...place, snapshot_id: newId(at) };
  const keys = keysOf(snapshot);
  const artifactObject = await store.create(keys.artifact);
  const indexObject = await store.create(keys.index);
  const blocksObject = await store.create(keys.blocks);
  const blocks = hashBlocks(artifactObject, blocksObject);
  const indexMeter = meter(indexObject);
  const artifactAge = await ageEncrypt(blocks, recipients);
  const indexAge = await ageEncrypt(indexMeter, recipients);
  const writer = createArtifactWriter({ artifact: artifactAge.sink, index: indexAge.sink });
  const live = new Map<string, number>();
  for (const item of items) {
    if (item.from !== undefined) {
      const held = stored.get(inPlace(item.from, item.entry.path));
      if (!held) throw new Error(`nothing is stored of ${item.entry.path.toString()}`);
      await writer.refer(item.entry, held);
      live.set(item.from, (live.get(item.from) ?? 0) + held.bytes);
      continue;
    }
    const line = await writer.add(item.entry, item.entry.type === "file" ? bodyOf(item) : null);
    if (line.sha256 === undefined) continue;
    const { offset, body_offset: bodyOffset, sha256, body_bytes: bytes } = line;
    const snapshot_id = snapshot.snapshot_id;
    stored.set(inPlace(snapshot_id, item.entry.path), { snapshot: snapshot_id, offset, bodyOffset, sha256, bytes });
  }
  const totals = await writer.finish();
  for (const object of [artifactObject, indexObject, blocksObject]) await object.commit();
  const artifact = blocks.result();
  const index = indexMeter.result();
  const problems = totals.problems + missed;
  const manifest = signManifest(
    {
      format: 1,
      ...snapshot,
      job_id: newId(at),
      worker_id: workerId,
      attempt: 1,
      engine: "archive",
      started_at: new Date(at - 60_000).toISOString(),
      created_at: new Date(at).toISOString(),
      sequence: previous ? previous.sequence + 1 : 1,
      previous: previous && { snapshot_id: previous.snapshot_id, manifest_sha256: manifestSha256(previous) },
      partial: problems > 0,
      artifact: {
        name: "backup.tar.zst.enc",
        size_bytes: artifact.sizeBytes,
        sha256: artifact.sha256,
        header_sha256: headerSha256(artifactAge.header),
        header_bytes: artifactAge.header.length,
        compressed_bytes: totals.compressedBytes,
        tar_bytes: totals.tarBytes,
      },
      index: {
        name: "index.zst.enc",
        size_bytes: index.sizeBytes,
        sha256: index.sha256,
        header_sha256: headerSha256(indexAge.header),
        header_bytes: indexAge.header.length,
      },
      blocks: { name: "blocks.bin", block_bytes: BLOCK_BYTES, count: artifact.blockCount, root: artifact.root },
      encryption: {
        algorithm: "age-encryption.org/v1",
        recipients: await Promise.all(
          recipients.map(async (recipient) => ({ fingerprint: await recipientFingerprint(recipient) })),
        ),
      },
      contents: {
        files: totals.files,
        directories: totals.dirs,
        links: totals.links,
        plain_bytes: totals.logicalBytes,
        problems,
      },
      references: earlier
        .filter(({ snapshot_id }) => live.has(snapshot_id))
        .map((one) => ({
          snapshot_id: one.snapshot_id,
          manifest_sha256: manifestSha256(one),
          live_bytes: live.get(one.snapshot_id) ?? 0,
        })),
      certificate,
    },
    signing.privateKey,
  );
  const meta = { format: 1, ...snapshot, worker_id: workerId };
  await put(keys.meta, Buffer.from(`${JSON.stringify(meta)}\n`));
  await put(keys.manifest, manifestBytes(manifest));
  const head: Omit<ExpectedSnapshot, "entries"> = {
    about: making.about,
    snapshot: keys.dir,
    identities: making.identities ?? [KIT],
    on_disk: making.onDisk ?? true,
  };
  writeExpected(join(base, "expected", `${name}.json`), head, await Promise.all(items.map(expectedOf)));
  return manifest;
}

async function* bodyOf({ body, problem, given }: Item): AsyncGenerator<Buffer, void, undefined> {
  const bytes = given ?? body;
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  if (problem === "denied") throw new XVaultError("PATH_DENIED");
}

async function put(key: string, bytes: Buffer): Promise<void> {
  const writer = await store.create(key);
  await writer.write(bytes);
  await writer.commit();
}

await make("everything", everything(), {
  about: "Every kind of name, mode, time, link and hole that a file system takes; two recipients.",
  recipients: [first.recipient, second.recipient],
  identities: [KIT, SECOND_KIT],
});
await make("extremes", extremes(), {
  about: "Names, owners and times that the format can say and no file system takes.",
  onDisk: false,
});
await make("large", large(), { about: "Three blocks on storage, three frames." });
await make("partial", partial(), { about: "Files that changed or were denied while they were read.", missed: 1 });
await make("empty", [], { about: "Nothing at all." });
await make("post-quantum", everything().slice(0, 2), {
  about: "One recipient of age's post-quantum hybrid.",
  recipients: [hybrid.recipient],
  identities: [PQ_KIT],
});
const full = await make("chain-1", chainFull(), { about: "A chain's full run." });
const middle = await make("chain-2", chainSecond(full.snapshot_id), {
  about: "An incremental run: unchanged files lie in the first; names vanished or changed their kind.",
  previous: full,
  earlier: [full],
});
await make("chain-3", chainThird(full.snapshot_id, middle.snapshot_id), {
  about: "An incremental run that refers to both; lines of unchanged files stand before those of their directories.",
  previous: middle,
  earlier: [full, middle],
});

const seal = writeSums(base);
mkdirSync(dirname(final), { recursive: true });
cpSync(base, final, { recursive: true });
rmSync(base, { recursive: true });
process.stdout.write(`${final} is written. Its seal, for corpus.it.test.ts:\n  ${version}: "${seal}"\n`);
