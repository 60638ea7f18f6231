import { defineConfig } from "vitest/config";

// For `npm run test:s3` alone: its file is no *.test.ts, so that `npm test` does not want it.
export default defineConfig({
  test: {
    name: "packages/storage at an endpoint",
    root: import.meta.dirname,
    include: ["test/endpoint.s3.ts"],
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
