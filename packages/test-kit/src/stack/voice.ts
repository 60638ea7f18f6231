import {
  type Manifest,
  type ManifestBody,
  WORKER_PROTOCOL,
  type WorkerCall,
  type WorkerInput,
  type WorkerOutput,
} from "@xvault/contracts";
import { generateSigningKey, recipientFingerprint, signBytes, signManifest, signToken } from "@xvault/crypto";
import { type Answer, Refusal } from "./client.ts";
import type { Stack } from "./stack.ts";

/** A worker that does no work: it speaks the protocol with a key of its own, and says what a test wants said. */
export interface WorkerVoice {
  id: string;
  name: string;
  /** @throws Refusal */
  call<C extends WorkerCall>(name: C, input: WorkerInput<C>): Promise<WorkerOutput<C>>;
  /** A manifest that the hub takes for the job that was leased, signed with this worker's key; `change` makes it say something else. */
  manifest(lease: GrantedBackup, change?: (body: ManifestBody) => ManifestBody): Promise<Manifest>;
}

/** A granted lease of a backup. */
export interface GrantedBackup {
  job_id: string;
  attempt: number;
  payload: Extract<Extract<WorkerOutput<"lease">, { granted: true }>["payload"], { type: "backup" }>;
}

/** Enrols a worker that exists in name only, with the stack's preset token. */
export async function enrolVoice(stack: Stack, name: string): Promise<WorkerVoice> {
  const key = generateSigningKey();
  const token = stack.secrets.enrollment;
  let id = "";
  let certificate: WorkerOutput<"enrol">["certificate"] | undefined;

  const call = async <C extends WorkerCall>(what: C, input: WorkerInput<C>): Promise<WorkerOutput<C>> => {
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "x-xvault-protocol": String(WORKER_PROTOCOL),
    };
    if (id !== "") {
      const signed = await signToken({
        audience: "xvault-worker",
        issuer: id,
        subject: id,
        expiresInSeconds: 60,
        keyId: id,
        privateKey: key.privateKey,
      });
      headers["authorization"] = `Bearer ${signed}`;
      headers["x-xvault-worker"] = id;
    }
    const response = await fetch(`${stack.url}/worker/v1/${what}`, {
      method: "POST",
      headers,
      body: JSON.stringify(input),
    });
    const text = await response.text();
    const answer: Answer = { status: response.status, body: JSON.parse(text), text, headers: response.headers };
    if (!response.ok) throw new Refusal(`${name}: ${what}`, answer);
    return answer.body as WorkerOutput<C>;
  };
  const enrolled = await call("enrol", {
    token,
    name,
    public_key: key.publicKey,
    proof: signBytes(Buffer.from(token), key.privateKey),
    version: "0",
    capabilities: {},
    storage_base_path: "/nowhere",
    data_url: "http://127.0.0.1:9",
    concurrency: 1,
    free_bytes: null,
  });
  id = enrolled.worker_id;
  certificate = enrolled.certificate;

  return {
    id,
    name,
    call,
    async manifest({ job_id, attempt, payload }, change = (body) => body) {
      const hash = "0".repeat(64);
      const now = new Date().toISOString();
      if (!certificate) throw new Error("not enrolled");
      return signManifest(
        change({
          format: 1,
          tenant_id: payload.tenant_id,
          source_id: payload.source_id,
          snapshot_id: payload.snapshot_id,
          job_id,
          worker_id: id,
          attempt,
          engine: "archive",
          started_at: now,
          created_at: now,
          sequence: payload.sequence,
          previous: payload.previous,
          partial: false,
          artifact: {
            name: "backup.tar.zst.enc",
            size_bytes: 1,
            sha256: hash,
            header_sha256: hash,
            header_bytes: 1,
            compressed_bytes: 1,
            tar_bytes: 1,
          },
          index: { name: "index.zst.enc", size_bytes: 1, sha256: hash, header_sha256: hash, header_bytes: 1 },
          blocks: { name: "blocks.bin", block_bytes: 1, count: 1, root: hash },
          encryption: {
            algorithm: "age-encryption.org/v1",
            recipients: await Promise.all(
              payload.recipients.map(async (recipient) => ({ fingerprint: await recipientFingerprint(recipient) })),
            ),
          },
          contents: { files: 1, directories: 0, links: 0, plain_bytes: 1, problems: 0 },
          references: [],
          certificate,
        }),
        key.privateKey,
      );
    },
  };
}
