import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import { mesh } from "../../support/meshCommand.ts"
import { eventually } from "../../support/sockets.ts"
import { folder } from "../../support/temporary.ts"
import * as TwoServices from "../../support/twoServices.ts"

interface Line {
  readonly service: string
  readonly method: string | null
  readonly path: string | null
  readonly response_code: number
}

const linesOf = (path: string): ReadonlyArray<Line> =>
  existsSync(path)
    ? readFileSync(path, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line))
    : []

/** Of requests, as the two sidecars write them. */
const requests = (path: string) =>
  linesOf(path).filter(({ method }) => method === "GET").map(({ response_code, service }) =>
    `${service} ${response_code}`
  )

describe("effect-mesh proxy --access-log", () => {
  it.live.each([1, 2])(
    "writes a line for each request on both sides, and opens the file anew on SIGHUP: %i workers",
    (workers) =>
      Effect.gen(function*() {
        const { address, upstream } = yield* TwoServices.make
        const path = join(yield* folder, "access.log")
        const proxy = yield* mesh(
          "proxy",
          "--node",
          "--access-log",
          path,
          "--http-addr",
          address,
          "--workers",
          String(workers)
        )
        yield* TwoServices.call(upstream)
        yield* eventually(() => requests(path).includes("api 200") && requests(path).includes("web 200"))
        renameSync(path, `${path}.1`)
        proxy.process.kill("SIGHUP")
        yield* eventually(() => {
          void fetch(`http://127.0.0.1:${upstream}/`).catch(() => {})
          return requests(path).includes("api 200") && requests(path).includes("web 200")
        })
        proxy.process.kill("SIGTERM")
        assert.strictEqual(yield* proxy.ended, 0, proxy.printed())
      })
  )

  it.live("has the format that it is told, and leaves out what is not sampled", () =>
    Effect.gen(function*() {
      const { address, upstream } = yield* TwoServices.make
      const proxy = yield* mesh(
        "proxy",
        "--sidecar-for=web",
        "--access-log=stdout",
        "--access-log-format=line %REQ(:METHOD)% %REQ(X-KIND)% %RESPONSE_CODE% %RESPONSE_FLAGS%",
        "--access-log-sample=0",
        "--http-addr",
        address
      )
      // Nobody serves api: what fails has lines all the same.
      yield* eventually(() => {
        void fetch(`http://127.0.0.1:${upstream}/`, { headers: { "x-kind": "failing" } }).catch(() => {})
        return /^line GET failing 503 U/m.test(proxy.output())
      })
      const api = yield* mesh("proxy", "--sidecar-for=api", "--http-addr", address)
      yield* TwoServices.call(upstream, { "x-kind": "good" })
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.ended, 0, proxy.printed())
      assert.notMatch(proxy.output(), /^line GET good 200/m)
      assert.isNull(api.process.exitCode)
    }))

  it.live("is refused in one line where its format is none", () =>
    Effect.gen(function*() {
      const proxy = yield* mesh("proxy", "--node", "--access-log-format", "%NOPE%")
      assert.strictEqual(yield* proxy.ended, 1)
      assert.include(proxy.printed().split("\n")[0], "json, or a text with operators of Envoy")
    }))
})
