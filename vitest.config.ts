import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Real brokers, stores and processes share the cores: more files at once only make each slower.
    maxWorkers: 2,
  },
});
