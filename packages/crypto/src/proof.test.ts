import type { RestoreProofBody } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { failure } from "../test/errors.ts";
import { generateIdentity } from "./identity.ts";
import { parseProof, proofBytes, proofKeyOf, signProof, verifyProof } from "./proof.ts";
import { issueCertificate } from "./signing/certificate.ts";
import { signDocument } from "./signing/documents.ts";
import { generateSigningKey } from "./signing/ed25519.ts";

const ID = "0190f3b0-0000-7000-8000-000000000001";
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
const proof = signProof(body, worker.privateKey);
const rootKeys = [root.publicKey];

describe("a worker's restore proof", () => {
  it("is checked with the root key alone, in whatever form its JSON is written", () => {
    verifyProof(parseProof(proofBytes(proof)), { rootKeys });
    const shuffled = Object.fromEntries(Object.entries(proof).reverse());
    verifyProof(parseProof(Buffer.from(`${JSON.stringify(shuffled, null, 2)}\n`)), { rootKeys });
  });

  it("is refused when any of its members was changed", async () => {
    const other = "0190f3b0-0000-7000-8000-000000000002";
    const changes: Partial<typeof proof>[] = [
      { tenant_id: other },
      { source_id: other },
      { snapshot_id: other },
      { job_id: null },
      { manifest_sha256: "b".repeat(64) },
      { sequence: 8 },
      { created_at: "2026-01-03T03:00:00.000Z" },
      { storage: { id: ID, kind: "local_fs" } },
      { started_at: "2026-01-09T00:00:00.000Z" },
      { finished_at: "2026-01-11T00:00:00.000Z" },
      { seconds: 1 },
      { restored: { ...proof.restored, files: 4000 } },
      { restored: { ...proof.restored, mode: "all" } },
      { outcome: "failed" },
      { failure: { code: "ARTIFACT_CORRUPT", message: "x" } },
      { keys: [] },
      { versions: { ...proof.versions, xvault: "9.9.9" } },
      { signature: signDocument({ ...body }, worker.privateKey, "xvault manifest v1\n") },
    ];
    const untouched = Object.keys(proof).filter((name) => !changes.some((change) => name in change));
    expect(untouched).toEqual(["format", "kind", "signer"]);
    for (const change of changes) {
      await failure("SIGNATURE_INVALID", () => verifyProof({ ...proof, ...change }, { rootKeys }));
    }
  });

  it("is refused by another root key, outside the certificate's time, and under somebody else's certificate", async () => {
    await failure("SIGNATURE_INVALID", () => verifyProof(proof, { rootKeys: [generateSigningKey().publicKey] }));
    await failure("SIGNATURE_INVALID", () => verifyProof(proof, { rootKeys: [] }));
    const late = signProof({ ...body, finished_at: "2026-02-01T00:00:01.000Z" }, worker.privateKey);
    await failure("SIGNATURE_INVALID", () => verifyProof(late, { rootKeys }));
    const stranger = generateSigningKey();
    await failure("SIGNATURE_INVALID", () => verifyProof(signProof(body, stranger.privateKey), { rootKeys }));
    const forged = { ...certificate, public_key: stranger.publicKey };
    const self = signProof({ ...body, signer: { kind: "worker", certificate: forged } }, stranger.privateKey);
    await failure("SIGNATURE_INVALID", () => verifyProof(self, { rootKeys }));
  });

  it("is not read with members that nobody signed, nor when it is something else", async () => {
    const added = [
      { ...proof, note: "all is well" },
      { ...proof, restored: { ...proof.restored, note: "all" } },
      { ...proof, signer: { ...proof.signer, note: "me" } },
    ];
    for (const one of added) await failure("ARCHIVE_MALFORMED", () => parseProof(Buffer.from(JSON.stringify(one))));
    for (const text of ["", "{}", "null", "[1]", `${JSON.stringify(proof)}}`, " ".repeat(300_000)]) {
      await failure("ARCHIVE_MALFORMED", () => parseProof(Buffer.from(text)));
    }
  });
});

describe("a key holder's restore proof", () => {
  it("is checked with the key that follows from the identity, however that is written", async () => {
    const { identity } = await generateIdentity();
    const key = proofKeyOf(identity);
    expect(proofKeyOf(` ${identity.toLowerCase()}\n`)).toEqual(key);
    expect(proofKeyOf((await generateIdentity()).identity).publicKey).not.toBe(key.publicKey);
    const own = signProof({ ...body, signer: { kind: "key_holder", public_key: key.publicKey } }, key.privateKey);
    verifyProof(own, { rootKeys: [], holderKeys: [key.publicKey] });
    await failure("SIGNATURE_INVALID", () => verifyProof(own, { rootKeys, holderKeys: [] }));
    await failure("SIGNATURE_INVALID", () => verifyProof(own, { rootKeys }));
    const changed = { ...own, sequence: 9 };
    await failure("SIGNATURE_INVALID", () => verifyProof(changed, { rootKeys, holderKeys: [key.publicKey] }));
  });
});
