import { describe, expect, it } from "vitest";
import { checkOptions } from "./options.ts";

describe("limits of a source", () => {
  it("must leave something to take", () => {
    const refused = expect.objectContaining({ code: "INPUT_INVALID" });
    expect(() => checkOptions({ min_file_bytes: 11, max_file_bytes: 10 })).toThrowError(refused);
    expect(() => checkOptions({ newer_than_seconds: 10, older_than_seconds: 11 })).toThrowError(refused);
  });

  it("may meet, stand alone or be absent", () => {
    checkOptions({});
    checkOptions({ min_file_bytes: 10, max_file_bytes: 10, newer_than_seconds: 5, older_than_seconds: 5 });
    checkOptions({ min_file_bytes: 10, max_file_bytes: null, newer_than_seconds: null, older_than_seconds: 0 });
  });
});
