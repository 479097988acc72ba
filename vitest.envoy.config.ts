import { defineConfig } from "vitest/config"

/** Sidecars of this project in one mesh with Envoys, under a Consul that the tests start. */
export default defineConfig({
  test: {
    include: ["test/envoy/**/*.test.ts"],
    globalSetup: ["test/support/requireEnvoy.ts"],
    testTimeout: 60_000,
    hookTimeout: 90_000,
    pool: "forks",
    fileParallelism: false
  }
})
