import { describe, expect, it } from "vitest";
import { updateSourceInput } from "./sources.ts";

describe("a change of a source", () => {
  it("names only what it changes: no default resets the port or an option", () => {
    const change = {
      id: "0190b6f0-0000-7000-8000-000000000000",
      connection: { username: "backup" },
      options: { one_file_system: true },
    };
    expect(updateSourceInput.parse(change)).toEqual(change);
    expect(updateSourceInput.parse({ ...change, options: {} }).options).toEqual({});
  });
});
