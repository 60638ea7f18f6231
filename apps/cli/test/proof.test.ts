import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RestoreProofBody } from "@xvault/contracts";
import {
  formatRecoveryKit,
  generateIdentity,
  generateSigningKey,
  issueCertificate,
  proofBytes,
  proofKeyOf,
  signProof,
} from "@xvault/crypto";
import { expect, it } from "vitest";
import { runHere } from "./run-cli.ts";

const ID = "0190f3b0-0000-7000-8000-000000000001";
const dir = mkdtempSync(join(tmpdir(), "xvault-proof-"));
const root = generateSigningKey();
const worker = generateSigningKey();
const certificate = issueCertificate(
  {
    workerId: ID,
    publicKey: worker.publicKey,
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-02-01T00:00:00Z"),
  },
  root.privateKey,
);
const body: RestoreProofBody = {
  format: 1,
  kind: "xvault-restore-proof",
  tenant_id: ID,
  source_id: ID,
  snapshot_id: ID,
  job_id: ID,
  manifest_sha256: "a".repeat(64),
  sequence: 7,
  created_at: "2026-01-02T03:00:00.000Z",
  storage: { id: ID, kind: "s3" },
  started_at: "2026-01-10T00:00:00.000Z",
  finished_at: "2026-01-10T00:01:02.500Z",
  seconds: 62.5,
  restored: { mode: "sample", files: 12, of_files: 4000, bytes: 123_456, read_bytes: 99_999 },
  outcome: "passed",
  failure: null,
  keys: ["0f".repeat(16)],
  versions: { xvault: "0.1.0", node: "24.1.0", format: 1 },
  signer: { kind: "worker", certificate },
};
const failed = { outcome: "failed", failure: { code: "ARTIFACT_CORRUPT", message: "block 3" } } as const;

let files = 0;
function file(text: string | Buffer): string {
  files += 1;
  const path = join(dir, `${files}.json`);
  writeFileSync(path, text);
  return path;
}
const signed = (change: Partial<RestoreProofBody> = {}) => signProof({ ...body, ...change }, worker.privateKey);
const verify = (path: string, ...options: string[]) => runHere(["proof", "verify", path, ...options]);

it("a proof is checked offline with the root key, or with the recovery kit that has it", async () => {
  const path = file(proofBytes(signed()));
  const ran = await verify(path, "--root-key", root.publicKey);
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toContain(`genuine: signed by worker ${ID}`);
  expect(ran.out).toContain("12 of 4000 files");
  const url = "https://hub.example";
  const kit = formatRecoveryKit({
    ...(await generateIdentity()),
    workspace: "w",
    createdAt: new Date(),
    hubRootPublicKey: root.publicKey,
    url,
  });
  expect((await verify(path, "--kit", file(kit))).code).toBe(0);
  const [message] = (await verify(path, "--root-key", root.publicKey, "--json")).messages();
  expect(message).toMatchObject({ message_type: "proof", genuine: true, statement: body });
});

it("a genuine proof of a failed restore says so, by its exit code too", async () => {
  const ran = await verify(file(proofBytes(signed(failed))), "--root-key", root.publicKey);
  expect(ran.code).toBe(3);
  expect(ran.out).toContain("failed: ARTIFACT_CORRUPT");
});

it("one that was changed, or that nobody known signed, is refused", async () => {
  const changed = { ...signed(failed), outcome: "passed", failure: null };
  const cases: [string, string[], string][] = [
    [file(JSON.stringify(changed)), ["--root-key", root.publicKey], "SIGNATURE_INVALID"],
    [file(JSON.stringify({ ...signed(), note: "x" })), ["--root-key", root.publicKey], "ARCHIVE_MALFORMED"],
    [file("{}"), ["--root-key", root.publicKey], "ARCHIVE_MALFORMED"],
    [file(proofBytes(signed())), ["--root-key", generateSigningKey().publicKey], "SIGNATURE_INVALID"],
    [file(proofBytes(signed())), [], "SIGNATURE_INVALID"],
  ];
  for (const [path, options, code] of cases) {
    const ran = await verify(path, ...options);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(code);
    expect(ran.out).toBe("");
  }
  expect((await verify(join(dir, "nowhere"), "--root-key", root.publicKey)).code).toBe(10);
  expect((await verify(file("{}"), "--root-key", "abc")).code).toBe(2);
});

it("a key holder's proof is checked with the key that 'key show' tells", async () => {
  const { identity } = await generateIdentity();
  const shown = await runHere(["key", "show", file(`${identity}\n`), "--json"]);
  const { proof_keys: keys } = shown.messages()[0] as { proof_keys: string[] };
  const key = proofKeyOf(identity);
  expect(keys).toEqual([key.publicKey]);
  const own = signProof(
    { ...body, job_id: null, signer: { kind: "key_holder", public_key: key.publicKey } },
    key.privateKey,
  );
  const path = file(proofBytes(own));
  expect((await verify(path, "--holder-key", key.publicKey)).code).toBe(0);
  expect((await verify(path, "--root-key", root.publicKey)).code).toBe(1);
});
