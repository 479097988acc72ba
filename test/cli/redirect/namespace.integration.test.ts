/** `redirect-traffic` in a network namespace of the test's own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("./namespace.ts", import.meta.url))

/** Why it can not be tried here. */
const lacking = (): string | undefined => {
  if (process.platform !== "linux") return `it is ${process.platform}, and rules are Linux's`
  if (process.getuid?.() !== 0) return "it takes root"
  try {
    execFileSync("unshare", ["--net", "sh", "-c", "command -v ip nsenter && nft list ruleset"], { stdio: "pipe" })
    // The application runs as somebody else, who has to be able to run Node.
    execFileSync(process.execPath, ["-e", ""], { uid: 65_534, stdio: "pipe" })
    return undefined
  } catch (error) {
    return `unshare, ip, nsenter or nft does not work: ${error instanceof Error ? error.message.split("\n")[0] : error}`
  }
}

const why = lacking()
if (why !== undefined) process.stderr.write(`redirect-traffic is NOT tested on this machine: ${why}\n`)

interface Results {
  readonly virtual: string
  readonly [part: string]: unknown
}

const run = Effect.callback<Results>((resume) => {
  const child = execFile(
    "unshare",
    ["--net", process.execPath, program],
    { maxBuffer: 16_777_216 },
    (error, stdout, stderr) => {
      const line = stdout.split("\n").find((each) => each.startsWith("results "))
      resume(
        line === undefined
          ? Effect.die(new Error(`no results: ${error?.message ?? ""}\n${stdout}\n${stderr}`))
          : Effect.sync(() => JSON.parse(line.slice("results ".length)))
      )
    }
  )
  return Effect.sync(() => child.kill("SIGKILL"))
})

describe.skipIf(why !== undefined)("redirect-traffic", () => {
  it.live(
    "leads an application to its sidecar and callers too, keeps it in the mesh when told to, and leaves no trace",
    () =>
      Effect.gen(function*() {
        const { after, before, closed, during, virtual } = yield* run
        assert.strictEqual(virtual, "240.0.0.1")
        // A virtual address leads nowhere by itself.
        assert.deepStrictEqual(before, { rules: "", virtual: "timeout" })
        assert.deepStrictEqual(during, {
          virtual: "api",
          anotherPort: "api",
          unknown: "ECONNREFUSED",
          outside: "outside",
          inbound: "web",
          inboundPlain: "ECONNRESET",
          inboundExcluded: "excluded",
          hosts:
            "127.0.0.1 localhost\n# effect-mesh: virtual addresses\n240.0.0.1 api.virtual.consul\n# effect-mesh: end\n"
        })
        assert.deepStrictEqual(closed, {
          outside: "ECONNREFUSED",
          outsideOfTheSidecar: "outside",
          virtual: "api",
          inbound: "web"
        })
        assert.deepStrictEqual(after, {
          code: 0,
          rules: "",
          outside: "outside",
          hosts: "127.0.0.1 localhost\n"
        })
      }),
    120_000
  )
})
