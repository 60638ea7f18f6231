import { describe, expect, it } from "vitest";
import { protectionSentence } from "./protection.ts";

describe("the protection sentence", () => {
  it("praises only when everything is protected", () => {
    expect(protectionSentence([{ name: "a", health: "protected" }])).toBe("Your source is protected.");
    expect(
      protectionSentence([
        { name: "a", health: "protected" },
        { name: "b", health: "protected" },
      ]),
    ).toBe("All 2 sources are protected.");
  });

  it("says of a single source what is wrong with it", () => {
    expect(protectionSentence([{ name: "web-01", health: "failed" }])).toBe("The last backup of web-01 failed.");
  });

  it("names what is wrong, the worst first", () => {
    expect(
      protectionSentence([
        { name: "web-01", health: "protected" },
        { name: "mail-01", health: "overdue" },
        { name: "db-01", health: "failed" },
        { name: "db-02", health: "failed" },
      ]),
    ).toBe("1 of 4 sources are protected; the last backup of db-01 and db-02 failed; mail-01 is overdue.");
  });

  it("shortens long lists", () => {
    const sources = ["a", "b", "c", "d", "e"].map((name) => ({ name, health: "unprotected" as const }));
    expect(protectionSentence(sources)).toBe("0 of 5 sources are protected; a, b and 3 more have no backup yet.");
  });

  it("says it when there is nothing", () => {
    expect(protectionSentence([])).toBe("Nothing is backed up yet.");
  });
});
