import { configDefaults, defineConfig } from "vitest/config"
import { fileURLToPath } from "node:url"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // `npm run test:envoy` needs programs from elsewhere, `npm run test:faults` takes minutes.
    exclude: [...configDefaults.exclude, "test/envoy/**", "test/faults/**"],
    // For slow machines: no test takes as long as this by itself.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Some of the tests that run beside each other start programs.
    maxConcurrency: 3,
    pool: "forks",
    // Loading Effect anew for each file would take as long as the tests themselves.
    isolate: false,
    maxWorkers: "100%",
    // Programs that tests start compile Effect once, not each time.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compile", import.meta.url)) }
  }
})
