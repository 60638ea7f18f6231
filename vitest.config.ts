import { existsSync, readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

// Every workspace is a project: with its own vitest.config.ts where it has one (a database for its tests, a browser-like
// world), and with what stands here where it has none. A new package is tested without a line being added.
const folders = [
  ...["packages", "apps"].flatMap((parent) => readdirSync(parent).map((name) => `${parent}/${name}`)),
  "tooling",
  "infra",
  "bench",
  "e2e",
].filter((folder) => existsSync(folder));

const EXCLUDE = ["**/node_modules/**", "**/dist/**", "**/canary/**"];

export default defineConfig({
  test: {
    passWithNoTests: true,
    projects: folders.map((folder) => {
      const own = `${folder}/vitest.config.ts`;
      if (existsSync(own)) return own;
      return {
        test: {
          name: folder,
          root: folder,
          include: ["**/*.test.ts"],
          exclude: EXCLUDE,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      };
    }),
  },
});
