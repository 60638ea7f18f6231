import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "packages/storage",
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["@xvault/test-kit/s3/setup"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
