import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PATH_MARK, STAMP } from "./marks.ts";
import { readStored, type StoredFile } from "./records.ts";
import { RecordRuns } from "./record-runs.ts";

/** Marks of which some share all the bits by which they are sorted first. */
const markOf = (number: number) => {
  const mark = Buffer.alloc(PATH_MARK, 0x5a);
  mark.writeUInt32BE(((number % 7) * 0x1234_5678) >>> 0);
  mark.writeUInt32BE(number, 8);
  return mark;
};
const stampOf = (number: number) => Buffer.alloc(STAMP, number);
const fileOf = (offset: number): StoredFile => ({
  sha256: offset.toString(16).padStart(64, "0"),
  artifact: 0,
  sparse: false,
  offset,
  bodyOffset: offset + 512,
});

function listed(records: RecordRuns): [string, number][] {
  return [...records.merged()].map((record) => [record.toString("hex", 0, PATH_MARK), readStored(record, 0).offset]);
}

describe("records that are spilled", () => {
  const step = fc.record({
    what: fc.constantFrom("enter", "enter", "fill", "fill", "fill", "drop"),
    number: fc.nat(60),
  });

  it("come out as they would from memory: those that were filled, in order, each once, without what was left out", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 2, max: 40 }), (steps, held) => {
        const records = new RecordRuns(held);
        const model = new Map<string, "under way" | "left out" | number>();
        let offset = 0;
        for (const { what, number } of steps) {
          const mark = markOf(number);
          const name = mark.toString("hex");
          const known = model.get(name);
          // A run lists each file once.
          if (what === "enter" && known === undefined) {
            records.enter(mark, stampOf(number));
            model.set(name, "under way");
          } else if (what === "fill" && (known === undefined || known === "under way")) {
            offset += 512;
            expect(records.fill(mark, fileOf(offset))).toBe(known === "under way");
            if (known === "under way") model.set(name, offset);
          } else if (what === "drop" && known !== undefined) {
            records.drop(mark);
            model.set(name, "left out");
          }
        }
        const wanted = [...model].filter((one): one is [string, number] => typeof one[1] === "number");
        wanted.sort(([a], [b]) => (a < b ? -1 : 1));
        expect(listed(records)).toEqual(wanted);
        // It can be asked twice.
        expect(listed(records)).toEqual(wanted);
        records.close();
      }),
      { numRuns: 200 },
    );
  });

  it("take the later of two that were entered anew", () => {
    const records = new RecordRuns(4);
    for (const offset of [512, 5120]) {
      for (let number = 0; number < 8; number += 1) {
        records.enter(markOf(number), stampOf(number));
        records.fill(markOf(number), fileOf(offset + number * 512));
      }
    }
    const offsets = listed(records).map(([, offset]) => offset);
    expect(offsets.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 8 }, (_, number) => 5120 + number * 512));
    records.close();
  });

  it("are left out also after they were spilled", () => {
    const records = new RecordRuns(4);
    for (let number = 0; number < 20; number += 1) {
      records.enter(markOf(number), stampOf(number));
      records.fill(markOf(number), fileOf(512 * (number + 1)));
    }
    for (const number of [0, 7, 19]) records.drop(markOf(number));
    const left = listed(records).map(([, offset]) => offset / 512 - 1);
    const wanted = Array.from({ length: 20 }, (_, number) => number).filter((number) => ![0, 7, 19].includes(number));
    expect(left.toSorted((a, b) => a - b)).toEqual(wanted);
    records.close();
  });

  it("stay in memory where the temporary folder takes no file", () => {
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = "/nowhere/at/all";
    try {
      const records = new RecordRuns(4);
      const marks = Array.from({ length: 50 }, () => randomBytes(PATH_MARK));
      for (const [at, mark] of marks.entries()) {
        records.enter(mark, stampOf(at));
        records.fill(mark, fileOf(512 * (at + 1)));
      }
      expect(listed(records).map(([mark]) => mark)).toEqual(marks.map((mark) => mark.toString("hex")).toSorted());
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
    }
  });
});
