import { expect, it } from "vitest";
import { formatDuration } from "./units.ts";

it("tells a span of time in its two largest units, without the second where there is none of it", () => {
  const spans = { 0: "0 s", 59.4: "59 s", 60: "1 min", 75: "1 min 15 s", 14_400: "4 h", 14_460: "4 h 1 min" };
  for (const [seconds, text] of Object.entries(spans)) expect(formatDuration(Number(seconds))).toBe(text);
  expect(formatDuration(86_400)).toBe("1 d");
  expect(formatDuration(93_599)).toBe("1 d 1 h");
});
