import { defineConfig } from "vitest/config"
import { fileURLToPath } from "node:url"

/** Minutes of traffic while something is broken, with figures. The same for a moment is in the folders of what is tested. */
export default defineConfig({
  test: {
    include: ["test/faults/**/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false,
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compile", import.meta.url)) }
  }
})
