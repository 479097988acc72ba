import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import * as Retry from "../../src/route/Retry.ts"
import * as Parity from "../support/parity.ts"

const retry = (...on: ReadonlyArray<string>): Retry.Retry => ({ times: 1, on: new Set(on), onStatus: new Set() })
const answered = (status: number, grpcStatus?: number): Retry.Outcome => ({ _tag: "Answered", status, grpcStatus })

const outcomes = {
  "200": answered(200),
  "404": answered(404),
  "409": answered(409),
  "500": answered(500),
  "503": answered(503),
  "505": answered(505),
  "rate limited": { _tag: "Answered", status: 503, rateLimited: true },
  "grpc unavailable": answered(200, 14),
  "not connected": { _tag: "NotConnected" },
  refused: { _tag: "Refused" },
  reset: { _tag: "Reset" },
  "timed out": { _tag: "TimedOut" },
  overflowed: { _tag: "Overflowed" }
} satisfies Record<string, Retry.Outcome>

describe("Retry", () => {
  it.each([
    ["5xx", ["500", "503", "505", "not connected", "refused", "reset"]],
    ["gateway-error", ["503", "not connected", "refused", "reset"]],
    ["reset", ["not connected", "refused", "reset"]],
    ["connect-failure", ["not connected"]],
    ["refused-stream", ["refused"]],
    ["retriable-4xx", ["409"]],
    ["envoy-ratelimited", ["rate limited"]],
    ["unavailable", ["grpc unavailable"]],
    ["cancelled", []]
  ])("on %s after: %j", (condition, expected) => {
    const after = Object.entries(outcomes).filter(([, outcome]) => Retry.applies(retry(condition), outcome))
    assert.deepStrictEqual(after.map(([name]) => name), expected)
  })

  it.prop(
    "waits longer at most with each attempt, and never a quarter of a second",
    { attempt: Schema.Literals([1, 2, 3, 4, 5, 20]), random: Schema.Literals([0, 0.25, 0.5, 0.999]) },
    ({ attempt, random }) => {
      const delay = Retry.delayMillis(attempt, random)
      assert.isAtMost(delay, Math.min(250, 25 * (2 ** attempt - 1)))
      assert.isAtLeast(Retry.delayMillis(attempt + 1, random), delay)
    }
  )

  describe("makes the attempts that real sidecars make", () => {
    for (const { config = [], name, requests } of Parity.scenarios("resilience")) {
      if (!name.startsWith("retry")) continue
      it(name, () => {
        for (const request of requests) {
          const seen = request.expect.seen?.length
          // Of bodies that are too large to be kept, others know.
          if (seen === undefined || (request.bodySize ?? 0) > 1_000_000) continue
          const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile(request.to, config)))
          const route = routes.find(HttpRequest.fromRaw("GET", "/", []))!
          assert.strictEqual(attempts(route.retry, script(request)), seen, JSON.stringify(request))
        }
      })
    }
  })
})

const script = ({ headers = [] }: Parity.Request): URLSearchParams =>
  new URLSearchParams(headers.find((line) => line.startsWith("x-script: "))?.slice("x-script: ".length))

/** Of which the first `fail` end as the application was told. */
const attempts = (retry: Retry.Retry | undefined, script: URLSearchParams): number => {
  const outcome: Retry.Outcome = script.has("reset") ? { _tag: "Reset" } : answered(Number(script.get("status")))
  for (let made = 1;; made++) {
    const failed = made <= Number(script.get("fail"))
    if (!failed || retry === undefined || made > retry.times || !Retry.applies(retry, outcome)) return made
  }
}
