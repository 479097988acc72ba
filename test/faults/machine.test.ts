import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Sockets from "../support/sockets.ts"
import * as UnderTraffic from "./underTraffic.ts"

/** A shell that does this first. */
const bash = (first: string) => ["bash", "-c", `${first} exec "$@"`, "bash"]

describe("a full disk", () => {
  it.live("costs no call where the access log goes there, and is said", () =>
    Effect.gen(function*() {
      const logs = { Enabled: true, Type: "file", Path: "/dev/full" }
      const entries = [{ Kind: "proxy-defaults", Name: "global", AccessLogs: logs }]
      const { failures } = yield* UnderTraffic.run(
        { what: "http, the access log goes to a full disk", under: bash(""), entries },
        ({ caller, calls }) =>
          Effect.gen(function*() {
            yield* calls(2000)
            assert.match(caller!.output(), /access log.*(ENOSPC|no space)/i)
          })
      )
      assert.deepStrictEqual(failures, [])
    }))

  it.live("costs no call where the log goes there", () =>
    Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run(
        // The announcement is on the other stream.
        { what: "http, the log goes to a full disk", under: ["bash", "-c", "exec \"$@\" 2> /dev/full", "bash"] },
        ({ calls }) => calls(2000)
      )
      assert.deepStrictEqual(failures, [])
    }))
})

describe("a clock that jumps", () => {
  // What the program reads: OpenSSL asks the kernel.
  it.live("an hour ahead and back costs no call", () =>
    Effect.gen(function*() {
      const { now } = Date
      const { failures } = yield* UnderTraffic.run({ what: "http, the clock jumps by an hour" }, ({ calls }) =>
        Effect.gen(function*() {
          Date.now = () =>
            now() + 3_600_000
          yield* calls(1000)
          Date.now = () => now() - 3_600_000
          yield* calls(1000)
        }).pipe(Effect.ensuring(Effect.sync(() => {
          Date.now = now
        }))))
      assert.deepStrictEqual(failures, [])
    }))
})

describe("a limit of open files", () => {
  it.live("costs connections beyond it, and the sidecar goes on when there is room again", () =>
    Effect.gen(function*() {
      const report = yield* UnderTraffic.run(
        { protocol: "tcp", rate: 50, what: "tcp, out of descriptors for a while", under: bash("ulimit -n 200;") },
        ({ calls, caller, mesh, traffic }) =>
          Effect.gen(function*() {
            assert.include(caller!.output(), "this process may have 200 files open at once")
            yield* Effect.scoped(Effect.gen(function*() {
              yield* Effect.forEach(
                Array.from({ length: 400 }),
                () => Effect.ignore(Sockets.connect(mesh.port)),
                { concurrency: 50 }
              )
              yield* calls(50)
            }))
            yield* calls(50) // those that had begun
            const failed = traffic.report().failures.length
            assert.isAbove(failed, 0)
            yield* calls(200)
            assert.strictEqual(traffic.report().failures.length, failed)
          })
      )
      assert.isAbove(report.sent, report.failures.length)
    }))
})
