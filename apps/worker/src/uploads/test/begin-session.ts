// A session as the listener has it, over a store in memory and a hub that says yes to everything.
import type { WorkerCall } from "@xvault/contracts";
import { generateIdentity, generateSigningKey, issueCertificate } from "@xvault/crypto";
import { newId } from "@xvault/kernel";
import { createMemoryStore } from "@xvault/storage";
import { createHash } from "node:crypto";
import type { WorkerContext } from "../../context.ts";
import { startSession } from "../session.ts";

/** Begins to take a package that is to have this content. */
export async function begin(content: Buffer, silenceMs: number) {
  const key = generateSigningKey();
  const workerId = newId();
  const hour = 3_600_000;
  const times = { notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + hour) };
  const subject = { workerId, publicKey: key.publicKey, ...times };
  const certificate = issueCertificate(subject, generateSigningKey().privateKey);
  const store = createMemoryStore();
  const said: WorkerCall[] = [];
  const answer = (name: WorkerCall) => {
    said.push(name);
    return Promise.resolve({ cancel: false });
  };
  const log = { info: () => {}, warn: () => {}, child: () => log };
  const context = {
    hub: { call: answer, insist: answer },
    store,
    log,
    config: { storagePath: "/nowhere" },
    identity: { workerId, key },
    standing: () => ({ certificate }),
  } as unknown as WorkerContext;
  const lease = {
    job_id: newId(),
    attempt: 1,
    lease_seconds: 60,
    payload: {
      type: "ingest" as const,
      tenant_id: newId(),
      source_id: newId(),
      snapshot_id: newId(),
      recipients: [(await generateIdentity()).recipient],
      sequence: 1,
      previous: null,
      storages: [{ id: newId(), name: "disks", place: { kind: "local_fs" as const, config: { folder: "" } } }],
      path: "data",
      size_bytes: content.length,
      checksum: createHash("sha256").update(content).digest("hex"),
    },
  };
  const session = startSession(context, lease, { stopping: new AbortController().signal, silenceMs });
  const stored = async () => {
    const keys: string[] = [];
    for await (const { key } of store.list("backups")) keys.push(key);
    return keys;
  };
  return { session, said, stored };
}
