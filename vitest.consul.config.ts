import { defineConfig } from "vitest/config"

if (process.env["CONSUL_HTTP_ADDR"] === undefined) {
  throw new Error(
    "Which Consul? Set CONSUL_HTTP_ADDR to the HTTP API of an agent for tests: consul agent -dev -hcl 'default_intention_policy = \"deny\"'"
  )
}

/** The integration tests of the data plane, against a real agent. */
export default defineConfig({
  test: {
    include: ["test/mesh/**/*.test.ts"],
    env: { TEST_REAL_CONSUL: "1" },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false
  }
})
