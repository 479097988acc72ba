/** What `docs/deploy/` has to start from agrees with the program, and works as far as this machine can tell. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import * as Yaml from "yaml"
import * as HttpApplication from "../support/httpApplication.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"
import { folder } from "../support/temporary.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (name: string): string => readFileSync(join(root, "docs/deploy", name), "utf8")
const files = ["Dockerfile", "effect-mesh@.service", "effect-mesh.nomad.hcl", "kubernetes.yaml"]

/** Without what is meant for people. */
const uncommented = (text: string): string => text.replaceAll(/^\s*#.*$/gm, "")

describe("docs/deploy", () => {
  const help = spawnSync(process.execPath, [join(root, "src/cli/bin.ts"), "proxy", "--help"]).stdout.toString()

  it.each(files)("%s names flags that there are", (name) => {
    const flags = [...uncommented(read(name)).matchAll(/(?<=[\s"])--([a-z-]+)/g)].map(([, flag]) => flag!)
    for (const flag of flags.filter((flag) => !npmFlags.has(flag))) assert.include(help, `--${flag}`)
    assert.isTrue(flags.length > 1 || name === "Dockerfile", "they were found")
  })

  it.each([
    ["effect-mesh@.service", /TimeoutStopSec=(\d+)/],
    ["effect-mesh.nomad.hcl", /kill_timeout = "(\d+)s"/],
    ["kubernetes.yaml", /terminationGracePeriodSeconds: (\d+)/]
  ])("%s leaves time to leave", (name, pattern) => {
    const seconds = Number(pattern.exec(read(name))?.[1])
    assert.isAbove(seconds, 2 + 2 + 10)
    assert.include(help, "default: 2")
    assert.include(help, "default: 10")
  })

  it("kubernetes.yaml is YAML", () => {
    const documents = Yaml.parseAllDocuments(read("kubernetes.yaml"))
    assert.deepStrictEqual(documents.flatMap(({ errors }) => errors), [])
  })

  it.live.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)(
    "the unit is one for systemd",
    () =>
      Effect.gen(function*() {
        // The program need not be installed for that.
        const unit = join(yield* folder, "effect-mesh@web.service")
        writeFileSync(unit, read("effect-mesh@.service").replace("/usr/local/bin/effect-mesh", `"${process.execPath}"`))
        const { stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", unit])
        assert.strictEqual(stderr.toString(), "")
      })
  )
})

/** Of npm, in the image. */
const npmFlags: ReadonlySet<string> = new Set(["omit", "no-audit", "no-fund", "ignore-scripts", "from"])

const unshare = ["unshare", "--pid", "--fork", "--kill-child"]

describe.skipIf(spawnSync(unshare[0]!, [...unshare.slice(1), "true"]).status !== 0)("as the first process", () => {
  /** `unshare` waits for it, and its code is that of the sidecar. */
  const start = Effect.gen(function*() {
    const app = yield* HttpApplication.start((_, response) => void response.end("hello"))
    const mesh = yield* SidecarMesh.make({ apps: [app], protocol: "http" })
    yield* mesh.api[0]!.stop
    const args = ["--proxy-id", "api-1-sidecar-proxy", "--http-addr", mesh.front.address]
    const running = yield* SidecarProcess.start({ under: unshare, args: [...args, "--shutdown-delay", "0.2"] })
    const [pid] = childrenOf(running.pid)
    return { running, pid: pid! }
  })

  it.live("it ends in order by SIGTERM, and has no children that could be left behind", () =>
    Effect.gen(function*() {
      const { pid, running } = yield* start
      assert.match(readFileSync(`/proc/${pid}/status`, "utf8"), /^NSpid:\s+\d+\s+1$/m)
      assert.deepStrictEqual(childrenOf(pid), [])
      process.kill(pid, "SIGTERM")
      assert.strictEqual(yield* running.exited, 0)
      assert.include(running.output(), "no longer listening")
    }))

  it.live("it ends at once by a second signal", () =>
    Effect.gen(function*() {
      const { pid, running } = yield* start
      process.kill(pid, "SIGINT")
      process.kill(pid, "SIGTERM")
      assert.strictEqual(yield* running.exited, 130)
    }))
})

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter((text) => text !== "").map(Number)
