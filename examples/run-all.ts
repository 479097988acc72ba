/** Runs every example as a newcomer would, and fails when one fails: `npm run examples`. */
import { spawnSync } from "node:child_process"

const examples = [
  ["examples/native/main.ts"],
  ["examples/native-http/main.ts"],
  ["examples/plain-http/main.ts"],
  ["examples/fastify/main.ts"],
  ["examples/postgres/main.ts"],
  ["examples/redis/main.ts"],
  ["examples/canary/main.ts"],
  ["examples/federation/main.ts"],
  ["src/cli/bin.ts", "demo", "--once"],
  ["node_modules/vitest/vitest.mjs", "run", "--config", "examples/policy-tests/vitest.config.ts"],
  [
    "src/cli/bin.ts",
    "policy",
    "verify",
    "-f",
    "examples/policy-tests/policy",
    "--default-policy",
    "deny",
    "examples/policy-tests/assertions.json"
  ]
]

for (const example of examples) {
  process.stdout.write(`\n$ node ${example.join(" ")}\n`)
  const { status } = spawnSync(process.execPath, example, { stdio: ["ignore", "inherit", "inherit"], timeout: 120_000 })
  if (status !== 0) {
    process.stderr.write(`node ${example.join(" ")} ended with ${status ?? "a timeout"}\n`)
    process.exit(1)
  }
}
