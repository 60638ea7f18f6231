import { expect, it } from "vitest";
import { pieces } from "./document.ts";

it("parts text into what stands in the marks of Markdown and what does not", () => {
  expect(pieces("**Pages.** Lists take `limit`.")).toEqual([
    { element: "strong", text: "Pages." },
    { element: "span", text: " Lists take " },
    { element: "code", text: "limit" },
    { element: "span", text: "." },
  ]);
  expect(pieces("plain")).toEqual([{ element: "span", text: "plain" }]);
});
