/** The versions of Node that are promised: the same wherever they are named, and who has another one is told so. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (path: string) => readFileSync(join(root, path), "utf8")

const floors = [...JSON.parse(read("package.json")).engines.node.matchAll(/>=(\d+\.\d+)\.0/g)].map(([, version]) =>
  version
)
const promise = `Node ${floors.map((version) => `${version} or newer`).join(", or ")}`

/** The command line under a Node that says it is `version`. */
const under = (version: string) =>
  Effect.callback<{ readonly code: unknown; readonly output: string }>((resume) => {
    const versions = `{ value: { ...process.versions, node: "${version}" } }`
    const pretence = `data:text/javascript,Object.defineProperty(process, "versions", ${versions})`
    execFile(
      process.execPath,
      ["--import", encodeURI(pretence), join(root, "src/cli/bin.ts"), "--version"],
      (error, stdout, stderr) => resume(Effect.succeed({ code: error?.code ?? 0, output: stdout + stderr }))
    )
  })

describe("the floor of Node", () => {
  it.each(["README.md", "src/cli/bin.ts", "docs/decisions/0015-which-node.md"])(
    "is that of package.json in %s",
    (path) => {
      assert.include(read(path), promise)
    }
  )

  it("is what npm scripts and so the tests run on", () => {
    assert.strictEqual(JSON.parse(read("package.json")).devDependencies.node, `${floors[0]}.0`)
  })

  it.live.each(["22.23.3", "24.16.0", "25.9.0", "26.0.0"])(
    "keeps the command line from starting on %s, and says why",
    (version) =>
      Effect.gen(function*() {
        const { code, output } = yield* under(version)
        assert.strictEqual(code, 1)
        assert.include(output, `needs ${promise}, and this is Node ${version}`)
      })
  )

  it.live.each(floors)(
    "lets it start on %s",
    (version) => Effect.map(under(`${version}.0`), ({ code }) => assert.strictEqual(code, 0))
  )
})
