import { defineConfig } from "vitest/config";

// Whole stacks of real processes. Two files at a time: each has a hub, workers, PostgreSQL and sshd of its own.
export default defineConfig({
  test: {
    name: "e2e/system",
    root: import.meta.dirname,
    include: ["system/**/*.test.ts", "crash/**/*.test.ts"],
    testTimeout: 150_000,
    hookTimeout: 150_000,
    maxWorkers: 2,
  },
});
