import type { IndexEntry } from "@xvault/archive";
import { type ByteReader, type ByteSink, type FileEntry, isXVaultError, newId, randomBytes } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import { createPlan, type ListedFile, loadState, type Plan, type PlanOptions } from "./plan.ts";
import type { PlanState } from "./state-file.ts";

const key = randomBytes(32);
const source = { tenant_id: newId(), source_id: newId() };

function listed(name: string, version = 0): ListedFile {
  return { path: Buffer.from(name), size: name.length + version, mtimeNs: BigInt(version), ctimeNs: 5n, inode: 7n };
}

function begin(state: PlanState | null, more: Partial<PlanOptions> = {}): Plan & { id: string } {
  const id = newId();
  const plan = createPlan({
    key,
    place: { ...source, snapshot_id: id },
    recipients: ["b", "a"],
    state,
    manifestSha256: state ? "f".repeat(64) : null,
    settledBefore: 1_000_000n,
    ...more,
  });
  return Object.assign(plan, { id });
}

/** Runs over files as a backup does: keeps what is known, packs the rest. Gives the names that were packed. */
function run(plan: Plan, files: ListedFile[], change: Partial<IndexEntry> = {}): string[] {
  const packed: string[] = [];
  let offset = 0;
  for (const file of files) {
    if (plan.known(file)) {
      plan.keep(file, file.size);
      continue;
    }
    plan.expect(file);
    packed.push(file.path.toString());
    const entry: FileEntry = { path: file.path, type: "file", size: file.size, mode: 0, uid: 0, gid: 0, mtimeNs: 0n };
    plan.packed(entry, { ...line(file, offset), ...change });
    offset += 512 + file.size;
  }
  return packed;
}

function line(file: ListedFile, offset: number): IndexEntry {
  const sha256 = file.path.toString("hex").padEnd(64, "0").slice(0, 64);
  const size = file.size;
  const facts = { type: "file", size, mode: "0644", uid: 0, gid: 0, mtime: "0", body_bytes: size } as const;
  return { ...facts, path: file.path.toString(), sha256, offset, body_offset: offset + 512 };
}

function memory(): ByteSink & ByteReader & { bytes(): Buffer } {
  let all = Buffer.alloc(0);
  return {
    write: (chunk) => {
      all = Buffer.concat([all, chunk]);
    },
    close: async () => {},
    bytes: () => all,
    get size() {
      return all.length;
    },
    read: async (offset, length) => all.subarray(offset, offset + length),
  };
}

async function saved(plan: Plan): Promise<PlanState> {
  const file = memory();
  expect(await plan.save(file)).toBe(true);
  return loadState(file, key);
}

const files = (count: number, version = 0) => Array.from({ length: count }, (_, i) => listed(`file ${i}`, version));

describe("a plan", () => {
  test("knows what an earlier run packed, where it lies, and nothing else", async () => {
    const first = begin(null);
    expect(first.incremental).toBe(false);
    expect(run(first, files(40_000))).toHaveLength(40_000);
    const second = begin(await saved(first));
    expect(second.incremental).toBe(true);
    expect(second.known(listed("file 2"))).toMatchObject({
      snapshot: first.id,
      offset: 2 * (512 + 6),
      bodyOffset: 2 * (512 + 6) + 512,
      sha256: Buffer.from("file 2").toString("hex").padEnd(64, "0"),
      sparse: undefined,
    });
    expect(second.known(listed("file 40000"))).toBeNull();
    for (const other of [{ size: 7 }, { mtimeNs: 1n }, { ctimeNs: 6n }, { inode: 8n }, { ctimeNs: undefined }]) {
      expect(second.known({ ...listed("file 2"), ...other })).toBeNull();
    }
    expect(run(second, files(40_000))).toEqual([]);
    expect(second.references()).toMatchObject([{ snapshot_id: first.id, manifest_sha256: "f".repeat(64) }]);
  });

  test("keeps files over generations, in the artifact that they were packed into", async () => {
    let plan = begin(null);
    run(plan, files(300));
    const ids = [plan.id];
    for (const generation of [1, 2, 3]) {
      const state = await saved(plan);
      plan = begin(state, { manifestSha256: String(generation).repeat(64) });
      ids.push(plan.id);
      const now = files(300).map((file, i) => (i % 10 === generation ? listed(`file ${i}`, generation) : file));
      const before = files(300).map((file, i) =>
        i % 10 < generation && i % 10 > 0 ? listed(`file ${i}`, i % 10) : file,
      );
      const packed = run(
        plan,
        now.map((file, i) => (i % 10 === generation ? file : (before[i] ?? file))),
      );
      expect(packed).toHaveLength(30);
    }
    const last = await saved(plan);
    expect(last.head.records).toBe(300);
    expect(last.head.artifacts.map((one) => one.snapshot_id).toSorted()).toEqual(ids.toSorted());
    expect(plan.references().map((one) => one.snapshot_id)).toEqual([ids[2], ids[1], ids[0]]);
    expect(plan.references().map((one) => one.manifest_sha256[0])).toEqual(["3", "2", "1"]);
  });

  test("forgets what is gone, what could not be read as it was, and what may still be changing", async () => {
    const first = begin(null);
    run(first, [listed("kept"), listed("gone")]);
    run(first, [listed("torn")], { problem: "changed" });
    run(first, [
      { ...listed("fresh"), mtimeNs: 1_000_000n },
      { ...listed("fresh inode"), ctimeNs: 1_000_000n },
    ]);
    // What is told of a file counts, whether the file came before it or comes after it.
    run(first, [listed("hole after")]);
    first.distrust(Buffer.from("hole after"));
    first.expect(listed("hole before"));
    first.distrust(Buffer.from("hole before"));
    run(first, []);
    const facts = { type: "file", size: 1, mode: 0, uid: 0, gid: 0, mtimeNs: 0n } as const;
    first.packed({ ...facts, path: Buffer.from("hole before") }, line(listed("hole before"), 0));
    first.distrust(Buffer.from("never heard of"));
    const state = await saved(first);
    expect(state.head.records).toBe(2);
    const second = begin(state);
    run(second, [listed("kept")]);
    expect((await saved(second)).head.records).toBe(1);
  });

  test("keeps the map of a sparse file", async () => {
    const first = begin(null);
    run(first, [listed("holes")], { sparse: [[4096, 10]] });
    const second = begin(await saved(first));
    expect(second.known(listed("holes"))?.sparse).toEqual([{ offset: 4096, length: 10 }]);
    run(second, [listed("holes")]);
    const third = begin(await saved(second));
    expect(third.known(listed("holes"))?.sparse).toEqual([{ offset: 4096, length: 10 }]);
  });

  test("is a full one for other recipients and for another source", async () => {
    const first = begin(null);
    run(first, files(3));
    const state = await saved(first);
    expect(begin(state, { recipients: ["a", "b"] }).incremental).toBe(true);
    expect(begin(state, { recipients: ["a"] }).incremental).toBe(false);
    expect(begin(state, { place: { ...source, source_id: newId(), snapshot_id: newId() } }).incremental).toBe(false);
  });

  test("renews artifacts that are mostly dead, missing, or too many", async () => {
    let plan = begin(null);
    run(plan, files(100));
    const first = plan.id;
    plan = begin(await saved(plan));
    run(plan, [...files(80, 1), ...files(100).slice(80)]);
    // A fifth of the first artifact is alive, so its files are pulled by the next run.
    expect(run(begin(await saved(plan)), [...files(80, 1), ...files(100).slice(80)])).toHaveLength(20);
    const other = begin(await saved(plan), { missing: new Set([plan.id]) });
    expect(other.known(listed("file 1", 1))).toBeNull();

    const many = Array.from({ length: 60 }, (_, i) => listed(`${"x".repeat(100 - i)} ${i}`));
    plan = begin(null);
    for (let i = 0; i < 60; i++) {
      run(plan, many.slice(0, i + 1));
      plan = begin(await saved(plan));
    }
    run(plan, many);
    expect(plan.references().length).toBeLessThanOrEqual(48);
    expect(first).not.toBe(plan.id);
  });
});

test("a state that was changed, cut, or written under another key is refused", async () => {
  const plan = begin(null);
  run(plan, files(50));
  const file = memory();
  await plan.save(file);
  const good = file.bytes();
  const code = async (bytes: Buffer, under = key) => {
    const reader = { size: bytes.length, read: async (at: number, n: number) => bytes.subarray(at, at + n) };
    return loadState(reader, under).then(
      () => "none",
      (error: unknown) => (isXVaultError(error) ? error.code : String(error)),
    );
  };
  expect(await code(good)).toBe("none");
  expect(await code(good, randomBytes(32))).toBe("ARTIFACT_CORRUPT");
  for (let at = 0; at < good.length; at += 97) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ 1;
    expect(await code(bad)).toBe("ARTIFACT_CORRUPT");
    expect(["ARTIFACT_CORRUPT", "ARCHIVE_TRUNCATED"]).toContain(await code(good.subarray(0, at)));
  }
});
