import type { RestoreQuote } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { quoteFacts } from "./quote.ts";

const QUOTE: RestoreQuote = {
  read_bytes: 2048,
  files: 1200,
  directories: 1,
  links: 2,
  write_bytes: 4096,
  skipped: 3,
  target_exists: true,
  free_bytes: 1024 ** 3,
  enough_space: true,
  seconds: 75,
};
const words = (quote: RestoreQuote) => Object.fromEntries(quoteFacts(quote).map(({ label, text }) => [label, text]));

describe("what a restore would do, in words", () => {
  it("everything that was found out", () => {
    expect(words(QUOTE)).toEqual({
      "To write": "1,200 files, 4.00 KiB, 1 folder, 2 links",
      "Left as they are": "3 entries",
      "To read from storage": "about 2.00 KiB",
      "Free on the server": "1.00 GiB",
      Directory: "There already",
      "Estimated time": "about 1 min 15 s",
    });
  });

  it("makes no number out of what is not known", () => {
    const unknown = {
      ...QUOTE,
      directories: 0,
      links: 0,
      skipped: 0,
      free_bytes: null,
      enough_space: null,
      seconds: null,
    };
    expect(words({ ...unknown, files: 1, target_exists: false })).toEqual({
      "To write": "1 file, 4.00 KiB",
      "Left as they are": "None",
      "To read from storage": "about 2.00 KiB",
      "Free on the server": "The server does not tell",
      Directory: "Will be made",
      "Estimated time": "Not known before the first restore to this server",
    });
  });
});
