import { type PlanHead, planHeadSchema, planSparseSchema } from "@xvault/contracts";
import { encryptPayload, openPayload } from "@xvault/crypto";
import { type ByteReader, type ByteSink, readThrough, XVaultError } from "@xvault/kernel";
import { RECORD, RecordTable } from "./records.ts";

/** The data runs of sparse files by their path's mark in hex. */
export type SparseMaps = Map<string, [number, number][]>;

/** A plan state as it was read. */
export interface PlanState {
  head: PlanHead;
  table: RecordTable;
  sparse: SparseMaps;
}

/** A state with more files is neither written nor read: it is held in memory while a run goes on. 256 MiB. */
export const MAX_RECORDS = 4 * 1024 * 1024;
const MAX_HEAD = 16 * 1024 * 1024;

/**
 * Writes a state: an age payload (nonce and chunks, no header) under the source's key, of u32 big endian the length of the head, the head
 * as JSON, the records in the order of their marks, and the sparse maps as JSON lines.
 */
export async function writeState(
  next: ByteSink,
  fileKey: Buffer,
  state: { head: PlanHead; records: Iterable<Buffer>; sparse: SparseMaps },
): Promise<void> {
  const sink = encryptPayload(next, fileKey);
  const head = Buffer.from(JSON.stringify(state.head));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  await sink.write(Buffer.concat([length, head]));
  for (const records of state.records) await sink.write(records);
  for (const [mark, runs] of state.sparse) await sink.write(Buffer.from(`${JSON.stringify({ mark, runs })}\n`));
  await sink.close();
}

/**
 * Reads a state. @throws ARTIFACT_CORRUPT, ARCHIVE_TRUNCATED when it was changed, cut or written under another key; ARCHIVE_MALFORMED
 * when it is one that this version does not read.
 */
export async function readState(stored: ByteReader, fileKey: Buffer): Promise<PlanState> {
  const plain = await openPayload(stored, 0, fileKey);
  const headLength = (await plain.read(0, 4)).readUInt32BE(0);
  if (headLength > MAX_HEAD) throw malformed("its head is too long");
  const parsed = planHeadSchema.safeParse(json(await plain.read(4, headLength)));
  if (!parsed.success) throw malformed("its head is not one that this version reads");
  const head = parsed.data;
  const start = 4 + headLength;
  const end = start + head.records * RECORD;
  if (head.records > MAX_RECORDS || end > plain.size) throw malformed("it has not the records that it counts");
  const bytes = Buffer.allocUnsafeSlow(head.records * RECORD);
  let at = 0;
  for await (const piece of readThrough(plain, start, end, 1024 * 1024)) at += piece.copy(bytes, at);
  const sparse: SparseMaps = new Map();
  const rest = plain.size > end ? await plain.read(end, plain.size - end) : Buffer.alloc(0);
  for (const line of rest.toString("utf8").split("\n")) {
    if (line === "") continue;
    const map = planSparseSchema.safeParse(json(Buffer.from(line)));
    if (!map.success) throw malformed("a sparse map in it cannot be read");
    sparse.set(map.data.mark, map.data.runs);
  }
  return { head, table: new RecordTable(bytes), sparse };
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw malformed("a part of it is not JSON", cause);
  }
}

function malformed(what: string, cause?: unknown): XVaultError {
  return new XVaultError("ARCHIVE_MALFORMED", `The plan state cannot be used: ${what}.`, { cause });
}
