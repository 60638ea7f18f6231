import { toXVaultError } from "@xvault/kernel";
import { describe, expect, test } from "vitest";
import { codeOf, pattern } from "../conformance.suite.ts";
import { createRcloneWriter } from "./writer.ts";

/** A remote as the writer sees it, that can be told to go wrong. */
function remote(faults: { lose?: number; rename?: "fails" | "answer lost" | "copies only"; end?: Error } = {}) {
  const files = new Map<string, number>();
  const state = { files, released: 0, begun: 0, writes: [] as number[] };
  const broken = () => new Error("connection reset by peer");
  const writer = createRcloneWriter({
    key: "key",
    upload: {
      async write(chunk) {
        state.begun += chunk.length;
        state.writes.push(chunk.length);
      },
      async end() {
        if (faults.end) throw faults.end;
        files.set("temporary", state.begun - (faults.lose ?? 0));
      },
      destroy() {},
    },
    temporarySize: async () => files.get("temporary") ?? null,
    finalSize: async () => files.get("key") ?? null,
    async rename() {
      if (faults.rename === "fails") throw broken();
      files.set("key", files.get("temporary") ?? 0);
      if (faults.rename !== "copies only") files.delete("temporary");
      if (faults.rename) throw broken();
    },
    removeTemporary: async () => void files.delete("temporary"),
    removeFinal: async () => void files.delete("key"),
    claim: () => true,
    release: () => (state.released += 1),
    inWords: (error) => toXVaultError(error),
  });
  return { state, writer };
}

describe("an upload", () => {
  test("of which a part did not arrive is not published", async () => {
    const { state, writer } = remote({ lose: 1 });
    await writer.write(pattern(10));
    expect(await codeOf(writer.commit())).toBe("INTERNAL");
    expect([...state.files]).toEqual([]);
    expect(state.released).toBe(1);
  });

  test("that rclone refuses at its end leaves nothing", async () => {
    const { state, writer } = remote({ end: new Error("quota") });
    await writer.write(pattern(10));
    expect(await codeOf(writer.close())).toBe("INTERNAL");
    expect(await codeOf(writer.commit())).toBe("INTERNAL");
    expect([[...state.files], state.released]).toEqual([[], 1]);
  });

  test("goes out in pieces that are worth a call", async () => {
    const { state, writer } = remote();
    for (let at = 0; at < 64; at += 1) await writer.write(pattern(16 * 1024, at));
    await writer.write(pattern(3));
    await writer.commit();
    expect(state.writes).toEqual([262_144, 262_144, 262_144, 262_144, 3]);
    expect(state.files).toEqual(new Map([["key", writer.sizeBytes]]));
  });
});

describe("a rename", () => {
  test("that fails leaves nothing", async () => {
    const { state, writer } = remote({ rename: "fails" });
    await writer.write(pattern(10));
    expect(await codeOf(writer.commit())).toBe("INTERNAL");
    expect([...state.files]).toEqual([]);
  });

  test("whose answer was lost counts as done", async () => {
    const { state, writer } = remote({ rename: "answer lost" });
    await writer.write(pattern(10));
    await writer.commit();
    await writer.abort();
    expect([...state.files]).toEqual([["key", 10]]);
    expect(state.released).toBe(1);
  });

  test("that stopped half way is taken back", async () => {
    const { state, writer } = remote({ rename: "copies only" });
    await writer.write(pattern(10));
    expect(await codeOf(writer.commit())).toBe("INTERNAL");
    expect([...state.files]).toEqual([]);
  });
});
