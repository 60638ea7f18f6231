import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "packages/db",
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["@xvault/test-kit/postgres/setup"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
