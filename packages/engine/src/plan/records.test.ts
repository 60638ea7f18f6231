import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PATH_MARK } from "./marks.ts";
import { RECORD, RecordTable } from "./records.ts";

const evenly = fc.uint8Array({ minLength: PATH_MARK, maxLength: PATH_MARK });
/** Marks that share their first bytes, as no keyed hash gives them. */
const crowded = fc
  .tuple(fc.constantFrom(0, 1, 0x7f, 0xff), fc.uint8Array({ minLength: 3, maxLength: 3 }), fc.boolean())
  .map(([byte, tail, early]) => {
    const mark = new Uint8Array(PATH_MARK).fill(byte);
    mark.set(tail, early ? 1 : PATH_MARK - 3);
    return mark;
  });

describe("a table of records", () => {
  it.each([
    ["evenly spread", evenly],
    ["crowded", crowded],
    ["both", fc.oneof(evenly, crowded)],
  ])("finds each mark and no other: %s", (_, mark) => {
    fc.assert(
      fc.property(fc.array(mark, { maxLength: 200 }), fc.array(mark, { maxLength: 20 }), (given, others) => {
        const marks = [...new Map(given.map((one) => [Buffer.from(one).toString("hex"), Buffer.from(one)])).values()];
        marks.sort(Buffer.compare);
        const bytes = Buffer.alloc(marks.length * RECORD);
        marks.forEach((one, number) => one.copy(bytes, number * RECORD));
        const table = new RecordTable(bytes);
        expect(marks.map((one) => table.find(one))).toEqual(marks.map((_one, number) => number));
        for (const other of others.map((one) => Buffer.from(one))) {
          expect(table.find(other)).toBe(marks.findIndex((one) => one.equals(other)));
        }
      }),
    );
  });
});
