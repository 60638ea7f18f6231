import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DATA_MODEL, renderDataModel } from "../scripts/data-model.ts";

test("docs/data-model.md says what the schema is (npm run docs -w @xvault/db)", () => {
  expect(readFileSync(DATA_MODEL, "utf8")).toBe(renderDataModel());
});
