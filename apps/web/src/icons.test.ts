import lucide from "@iconify-json/lucide/icons.json" with { type: "json" };
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const SOURCE = dirname(fileURLToPath(import.meta.url));

describe("icons", () => {
  it("named in the source all exist, so that none is looked for at a foreign address", () => {
    const text = globSync("**/*.{vue,ts}", { cwd: SOURCE, exclude: ["**/*.test.ts"] })
      .map((file) => readFileSync(join(SOURCE, file), "utf8"))
      .join("\n");
    const names = new Set([...text.matchAll(/\bi-lucide-([a-z0-9-]+)/g)].map(([, name]) => name ?? ""));
    const known = { ...lucide.icons, ...lucide.aliases };
    expect(names.size).toBeGreaterThan(30);
    expect([...names].filter((name) => !Object.hasOwn(known, name))).toEqual([]);
  });
});
