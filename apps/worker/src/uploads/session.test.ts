import type { WorkerCall } from "@xvault/contracts";
import { generateIdentity } from "@xvault/crypto";
import { newId } from "@xvault/kernel";
import { createMemoryStore } from "@xvault/storage";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, it } from "vitest";
import type { WorkerContext } from "../context.ts";
import { startSession } from "./session.ts";

const request = (bytes: Buffer) => Object.assign(Readable.from([bytes]), { headers: {} }) as unknown as IncomingMessage;

async function begin(content: Buffer, silenceMs: number) {
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
    identity: { workerId: newId(), key: { privateKey: "" } },
    standing: () => ({ certificate: null }),
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

it("drops what a client has sent that falls silent, and hands its job back", async () => {
  const content = Buffer.alloc(100_000, "x");
  const { session, said, stored } = await begin(content, 300);
  await session.append(request(content.subarray(0, 50_000)), 0);
  const failure = await session.ended;
  expect(failure).toMatchObject({ code: "UNAVAILABLE", retry: true });
  expect(said).toContain("release");
  expect(said).not.toContain("complete");
  expect(await stored()).toEqual([]);
  await expect(session.offset()).rejects.toBe(failure);
});

it("goes on at its offset alone, takes one request at a time, and fails for good where the bytes are wrong", async () => {
  const content = Buffer.from("what was announced");
  const { session, said, stored } = await begin(content, 60_000);
  await session.append(request(content.subarray(0, 5)), 0);
  await expect(session.append(request(content), 0)).rejects.toMatchObject({ code: "CONFLICT", data: { offset: 5 } });
  await expect(session.append(request(Buffer.alloc(14)), 5)).rejects.toMatchObject({ code: "BODY_TOO_LARGE" });
  // A connection of which nobody knows yet that it is dead gives way to the next one.
  const stalled = Object.assign(new Readable({ read: () => {} }), { headers: {} }) as unknown as IncomingMessage;
  const first = session.append(stalled, 5).catch((error: { code: string }) => error.code);
  expect(await session.offset()).toBe(5);
  expect(await first).toBe("CANCELLED");
  const wrong = session.append(request(Buffer.alloc(content.length - 5)), 5);
  await expect(wrong).rejects.toMatchObject({ code: "UPLOAD_HASH_MISMATCH" });
  await session.ended;
  expect(said).toContain("complete");
  expect(said).not.toContain("publish");
  expect(await stored()).toEqual([]);
});
