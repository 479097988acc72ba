/** Retries and times of routes, as clients of ours keep them. */
import { assert, describe, it } from "@effect/vitest"
import { Readable } from "node:stream"
import { Effect, Fiber } from "effect"
import * as MeshDispatcher from "../../../src/outbound/http/MeshDispatcher.ts"
import * as RequestFailed from "../../../src/outbound/http/RequestFailed.ts"
import * as HttpMesh from "../../support/httpMesh.ts"
import * as Parity from "../../support/parity.ts"
import { calling, type Outcome, router, scripted, type Sent } from "../../support/routedService.ts"
import { eventually } from "../../support/sockets.ts"

const reasonOf = (error: Error | undefined): string | undefined =>
  error instanceof RequestFailed.RequestFailed
    ? error.reason._tag === "RouteTimedOut" ? `${error.reason.limit} timeout` : error.reason._tag
    : error?.message

/** What a caller of ours sees in place of an answer that a sidecar makes up. */
const madeUp: ReadonlyArray<readonly [said: string, seen: string]> = [
  ["upstream request timeout", "request timeout"],
  ["stream timeout", "idle timeout"],
  ["upstream connect error or disconnect/reset before headers", "ConnectionLost"]
]

const expectedOf = ({ closed, response }: Parity.Request["expect"]): string => {
  const instead = madeUp.find(([said]) => response?.body?.startsWith(said))
  return instead?.[1] ?? (closed === true ? "cut" : String(response?.status))
}

const sawOf = ({ cut, failed, status }: Outcome): string =>
  cut !== undefined ? "cut" : failed !== undefined ? String(reasonOf(failed)) : String(status)

const sentOf = ({ body, bodySize, chunks, headers = [], method, raw, target }: Parity.Request): Sent =>
  raw === undefined
    ? {
      method,
      target,
      headers: headers.flatMap((line) => line.split(/: (.*)/).slice(0, 2)),
      body: chunks !== undefined ? Readable.from(chunks) : bodySize !== undefined ? "x".repeat(bodySize) : body ?? null
    }
    : { method: "POST", headers: { "content-length": "10" }, body: Readable.from(slowly(raw)) }

/** The body of a request that was written by hand. */
const slowly = async function*(raw: NonNullable<Parity.Request["raw"]>): AsyncGenerator<string> {
  for (const part of typeof raw === "string" ? [raw] : raw) {
    if (typeof part === "number") await new Promise((resolve) => setTimeout(resolve, part))
    else yield part.split("\r\n\r\n").at(-1) ?? ""
  }
}

/** The same with all times twice as long, where they are short: machines that test are busy. */
const slowed = (scenario: Parity.Scenario): Parity.Scenario => {
  const text = JSON.stringify(scenario)
  return /"\d+ms"/.test(text)
    ? JSON.parse(text.replace(/(?<=delay=|pause=|,)\d+(?=["&]|,")|\d+(?=ms")/g, (millis) => String(Number(millis) * 2)))
    : scenario
}

describe("a client sees what callers of real sidecars saw", () => {
  for (const scenario of Parity.scenarios("resilience")) {
    const { config = [], name, requests } = slowed(scenario)
    if (name.startsWith("local") || name.startsWith("connect timeout")) continue
    it.live(name, () =>
      Effect.gen(function*() {
        const service = requests[0]!.to
        const { apps: [app], send, sendBy, undici } = yield* calling(service, config, {
          dead: service === "half" ? 1 : 0
        })
        // So that no time of a scenario has to be enough for a handshake.
        const warmed = sendBy(undici.compose(MeshDispatcher.overriding({ requestTimeoutMillis: Infinity })))
        for (const request of requests) {
          const { counts, response, seen } = request.expect
          if (counts !== undefined) {
            const outcomes = yield* Effect.replicateEffect(send(sentOf(request)), request.repeat ?? 1)
            const answered = outcomes.filter(({ status }) => status === 200).length
            assert.strictEqual(answered, counts["half-1"], JSON.stringify(request))
            continue
          }
          if (response === undefined) continue
          yield* warmed
          app!.seen.length = 0
          const outcome = yield* send(sentOf(request))
          assert.strictEqual(sawOf(outcome), expectedOf(request.expect), JSON.stringify(request))
          assert.deepStrictEqual(app!.seen.map(({ bytes }) => bytes), seen?.map(({ bodyBytes }) => bodyBytes ?? 0))
        }
      }))
  }
})

describe("a request under the rules of its route", () => {
  it.live("goes to another instance where there is one", () =>
    Effect.gen(function*() {
      const { apps, send } = yield* calling("billing", [router({ NumRetries: 1, RetryOnStatusCodes: [503] })], {
        instances: 2
      })
      assert.strictEqual((yield* send(scripted("fail=9&key=a&status=503"))).status, 503)
      assert.deepStrictEqual(apps.map(({ seen }) => seen.length), [1, 1])
    }))

  it.live("is not tried again once a part of its answer is handed on", () =>
    Effect.gen(function*() {
      const { apps: [app], send } = yield* calling("billing", [router({ NumRetries: 3, RetryOn: ["5xx", "reset"] })])
      const { cut } = yield* send(scripted("fail=1&key=a&size=1000&cut=1&pause=1"))
      assert.deepStrictEqual([reasonOf(cut), app!.seen.length], ["ConnectionLost", 1])
    }))

  it.live("is tried on another instance where none was reached, on any condition, and says how often", () =>
    Effect.gen(function*() {
      const { dispatcher, send, sendBy, undici } = yield* calling(
        "billing",
        [router({ NumRetries: 2, RetryOnStatusCodes: [503] })],
        { dead: 5, instances: 0 }
      )
      const { failed } = yield* send()
      assert.match(failed?.message ?? "", /^the request to billing \(instance .+\) failed after 3 attempts: /)
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing unreachable": 3 })
      const once = undici.compose(MeshDispatcher.overriding({ retries: false }))
      assert.notMatch((yield* sendBy(once)).failed?.message ?? "", /attempts/)
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing unreachable": 4 })
    }))

  it.live("is sent again with all of a stream, up to a mebibyte of it", () =>
    Effect.gen(function*() {
      const { apps: [app], send } = yield* calling("billing", [router({ NumRetries: 2, RetryOnStatusCodes: [503] })])
      const pieces = (count: number) => Readable.from(Array.from({ length: count }, () => "x".repeat(100_000)))
      const failing = (key: string) => ({ ...scripted(`fail=1&key=${key}&status=503`), method: "POST" as const })
      assert.strictEqual((yield* send({ ...failing("a"), body: pieces(10) })).status, 200)
      assert.strictEqual((yield* send({ ...failing("b"), body: pieces(11) })).status, 503)
      assert.deepStrictEqual(app!.seen.map(({ bytes }) => bytes), [1_000_000, 1_000_000, 1_100_000])
    }))

  it.live("is sent again for fetch, with its body", () =>
    Effect.gen(function*() {
      const { apps: [app], dispatcher } = yield* calling("billing", [router({ NumRetries: 1, RetryOn: ["reset"] })])
      const text = yield* Effect.promise(async () => {
        const init = { method: "POST", body: "hello", headers: { "x-script": "fail=1&key=a&reset=1" } }
        return (await HttpMesh.fetchBy(dispatcher, "http://billing/", init)).text()
      })
      assert.strictEqual(text, "billing-1")
      assert.deepStrictEqual(app!.seen.map(({ bytes }) => bytes), [5, 5])
    }))

  it.live("is not sent again where its body fails", () =>
    Effect.gen(function*() {
      const { apps: [app], send } = yield* calling("billing", [router({ NumRetries: 3, RetryOn: ["5xx"] })])
      const body = Readable.from((async function*() {
        yield "x"
        await Promise.reject(new Error("the disk is gone"))
      })())
      const { failed } = yield* send({ method: "POST", body })
      assert.isDefined(failed)
      assert.isAtMost(app!.seen.length, 1)
    }))

  it.live("is told by the error whose time has passed, and what to do", () =>
    Effect.gen(function*() {
      const { dispatcher, send, sendBy, undici } = yield* calling("billing", [router({ RequestTimeout: "50ms" })])
      const slow = scripted("delay=500")
      assert.match(
        (yield* send(slow)).failed?.message ?? "",
        /no whole answer within 50 ms, which is the RequestTimeout of route 1 in the service-router of billing\. .*Raise it/
      )
      const own = undici.compose(MeshDispatcher.overriding({ requestTimeoutMillis: 20 }))
      assert.match(
        (yield* sendBy(own, slow)).failed?.message ?? "",
        /within 20 ms, which is the requestTimeoutMillis of the program/
      )
      const patient = undici.compose(MeshDispatcher.overriding({ requestTimeoutMillis: Infinity }))
      assert.strictEqual((yield* sendBy(patient, slow)).status, 200)
      yield* eventually(() => dispatcher.stats().active === 0)
      assert.deepStrictEqual(dispatcher.stats().requests, { "web billing timed_out": 2, "web billing 200": 1 })
    }))

  it.live("ends when its program gives up, between two attempts too", () =>
    Effect.gen(function*() {
      const { apps: [app], dispatcher, send } = yield* calling("billing", [
        router({ NumRetries: 1000, RetryOnStatusCodes: [503] })
      ])
      const abort = aborting()
      const sending = yield* Effect.forkChild(
        send({ ...scripted("fail=10000&key=a&status=503"), signal: abort.signal }),
        { startImmediately: true }
      )
      yield* eventually(() => app!.seen.length >= 2)
      abort.abort()
      assert.strictEqual((yield* Fiber.join(sending)).failed?.name, "AbortError")
      yield* eventually(() => dispatcher.stats().active === 0)
    }))
})

const aborting = () => new AbortController()
