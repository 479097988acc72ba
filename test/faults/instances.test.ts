import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Scrape from "../support/scrape.ts"
import type * as SidecarMesh from "../support/sidecarMesh.ts"
import * as UnderTraffic from "./underTraffic.ts"

const retrying: SidecarMesh.Entry = {
  Kind: "service-router",
  Name: "api",
  Routes: [{ Destination: { NumRetries: 3, RetryOn: ["5xx", "reset", "connect-failure"] } }]
}

const hurried: SidecarMesh.Entry = {
  Kind: "service-router",
  Name: "api",
  Routes: [{ Destination: { RequestTimeout: "500ms" } }]
}

/** Ten seconds. */
const aWhile = Effect.sleep("10 seconds")

/** Requests that were not tried again, as too many others were: the documentation says so. */
const notTried = Effect.map(Scrape.samples, (samples) =>
  Object.entries(samples).reduce(
    (sum, [name, value]) => name.startsWith("mesh_http_retries_refused_total") ? sum + value : sum,
    0
  ))

/** With retries, as far as a fifth of the requests may be tried again at a time. */
const retried = Effect.fnUntraced(function*(
  what: string,
  trouble: (running: UnderTraffic.Running) => Effect.Effect<void>
) {
  const before = yield* notTried
  const { failures } = yield* UnderTraffic.run({ what: `http with retries, ${what}`, entries: [retrying] }, trouble)
  for (const failure of failures) assert.match(failure, /: 503 upstream connect error/)
  assert.isAtMost(failures.length, (yield* notTried) - before)
})

describe("an instance", () => {
  it.live.each(["http", "http2", "tcp"] as const)(
    "that comes and goes five times a second costs no call (%s)",
    (protocol) =>
      Effect.gen(function*() {
        const { failures } = yield* UnderTraffic.run(
          { protocol, what: `${protocol}, an instance flaps` },
          ({ mesh }) => {
            const maintenance = (enable: boolean) =>
              mesh.call(
                "maintenance",
                ({ agent }) => agent.serviceMaintenance({ params: { id: "api-1-sidecar-proxy" }, query: { enable } })
              )
            const flap = Effect.gen(function*() {
              yield* maintenance(true)
              yield* Effect.sleep("100 millis")
              yield* maintenance(false)
              yield* Effect.sleep("100 millis")
            })
            return Effect.repeat(flap, { times: 50 })
          }
        )
        assert.deepStrictEqual(failures, [])
      })
  )

  it.live("whose application refuses connections costs no call that may be tried again", () =>
    retried("an application refuses", ({ apps }) =>
      Effect.gen(function*() {
        yield* apps[0]!.refuse
        yield* aWhile
        yield* apps[0]!.accept
      })))

  it.live("whose application resets connections costs no call that may be tried again", () =>
    retried("an application resets", ({ apps }) =>
      Effect.gen(function*() {
        apps[0]!.become("resetting")
        yield* aWhile
        apps[0]!.become("well")
      })))

  it.live("whose application hangs costs its own calls, in the time of their route", () =>
    Effect.gen(function*() {
      const { failures, sent } = yield* UnderTraffic.run(
        { what: "http with half a second for a request, an application hangs", entries: [hurried] },
        ({ apps }) =>
          Effect.gen(function*() {
            apps[0]!.become("hanging")
            yield* aWhile
            apps[0]!.become("well")
          })
      )
      for (const failure of failures) assert.match(failure, /: 504 upstream request timeout$/)
      assert.isAtMost(failures.length, sent * 0.6)
    }))
})
