import { defineConfig } from "vitest/config"

/** The integration tests of the data plane, against the real agent at CONSUL_HTTP_ADDR. */
export default defineConfig({
  test: {
    include: ["test/real/**/*.test.ts", "test/cli/check/**/*.test.ts"],
    globalSetup: ["test/support/requireConsul.ts"],
    env: { TEST_REAL_CONSUL: "1" },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false
  }
})
