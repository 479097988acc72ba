/** `RoutedRequest` over attempts that end as they are told to, without sockets. */
import { assert, describe, it } from "@effect/vitest"
import type * as Undici from "@effect/platform-node/Undici"
import { Effect, Schema } from "effect"
import * as DialError from "../../../src/outbound/DialError.ts"
import * as ObservedRequest from "../../../src/outbound/http/ObservedRequest.ts"
import * as RequestFailed from "../../../src/outbound/http/RequestFailed.ts"
import * as ResentBody from "../../../src/outbound/http/ResentBody.ts"
import * as RetryPlaces from "../../../src/outbound/http/RetryPlaces.ts"
import * as RoutedRequest from "../../../src/outbound/http/RoutedRequest.ts"
import type * as Upstream from "../../../src/outbound/http/Upstream.ts"
import { untouchable } from "../../support/doubles.ts"
import * as Mesh from "../../support/mesh.ts"

const endings = ["200", "409", "503", "hints, then 503", "cut", "reset", "unreached", "refused", "given up"] as const
type Ending = typeof endings[number]

const conditions = ["5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx"] as const

const picked = (retries: RetryPlaces.RetryPlaces): Upstream.Picked => {
  const instance: Upstream.Picked["instance"] = {
    id: "node/1",
    target: Mesh.target("api"),
    endpoint: Mesh.endpoint(1),
    service: "api",
    address: "127.0.0.1:1",
    resource: {
      dispatch: untouchable("the pool"),
      close: Effect.die("the pool must not be closed"),
      destroy: Effect.die("the pool must not be destroyed")
    },
    weight: 1,
    active: 0,
    begin: () => {},
    end: () => {},
    report: () => false
  }
  return {
    instance,
    upstream: {
      service: "api",
      ready: Effect.void,
      isReady: () => true,
      hash: untouchable("the hash"),
      pick: () => instance,
      report: () => {},
      retries,
      active: () => 0,
      isKnown: () => true,
      status: untouchable("the status")
    },
    way: undefined,
    hashed: { hash: undefined, setCookie: undefined }
  }
}

/** What the program hears, and how many attempts there were when it did. */
const listening = (attempts: () => number) => {
  const heard: Array<readonly [event: string, attempts: number]> = []
  let controller: Undici.Dispatcher.DispatchController | undefined
  const hear = (event: string) => () => void heard.push([event, attempts()])
  const handler: Undici.Dispatcher.DispatchHandler = {
    onRequestStart: (given) => {
      controller = given
      hear("begin")()
    },
    onResponseStart: (_, status) => hear(status < 200 ? "hints" : "head")(),
    onResponseData: hear("data"),
    onResponseEnd: hear("end"),
    onResponseError: hear("error")
  }
  return { handler, heard, abort: () => controller?.abort(new ObservedRequest.Abandoned()) }
}

/** Runs a request whose attempts end like this, the last of these ends again and again. */
const run = (
  ends: ReadonlyArray<Ending>,
  rules: { readonly times: number; readonly on: ReadonlyArray<string> },
  retries: RetryPlaces.RetryPlaces
) => {
  let made = 0
  const todo: Array<() => void> = []
  const program = listening(() => made)
  const failure = (sent: boolean, reason: RequestFailed.Reason) =>
    new RequestFailed.RequestFailed({ service: "api", instance: "node/1", sent, reason })
  const lost = new RequestFailed.ConnectionLost({ code: "ECONNRESET" })

  const play = (end: Ending, handler: Undici.Dispatcher.DispatchHandler) => {
    let aborted: Error | undefined
    const controller: Undici.Dispatcher.DispatchController = {
      aborted: false,
      paused: false,
      reason: null,
      abort: (reason) => {
        if (aborted === undefined) todo.push(() => handler.onResponseError?.(controller, reason))
        aborted = reason
      },
      pause: () => {},
      resume: () => {}
    }
    const steps: Array<() => void> = []
    const fail = (sent: boolean, reason: RequestFailed.Reason) => () =>
      handler.onResponseError?.(controller, failure(sent, reason))
    const head = (status: number) => () => handler.onResponseStart?.(controller, status, {})
    if (end !== "unreached") steps.push(() => handler.onRequestStart?.(controller, {}))
    if (end === "unreached") {
      steps.push(fail(false, new DialError.ConnectFailed({ address: "127.0.0.1:1", code: "ECONNREFUSED" })))
    } else if (end === "refused") steps.push(fail(false, lost))
    else if (end === "reset") steps.push(fail(true, lost))
    else if (end === "given up") steps.push(program.abort)
    else {
      if (end === "hints, then 503") steps.push(head(103))
      steps.push(head(end === "cut" ? 200 : Number(end.slice(-3))))
      steps.push(() => handler.onResponseData?.(controller, Buffer.from("x")))
      steps.push(end === "cut" ? fail(true, lost) : () => handler.onResponseEnd?.(controller, {}))
    }
    for (const step of steps) todo.push(() => aborted === undefined && step())
  }

  new RoutedRequest.RoutedRequest({
    rules: {
      requestTimeoutMillis: undefined,
      idleTimeoutMillis: undefined,
      retry: { times: rules.times, on: new Set(rules.on), onStatus: new Set() }
    },
    handler: program.handler,
    answering: () => program.handler,
    body: ResentBody.of("hello"),
    tried: new Set(),
    sinceMillis: 0,
    send: (_, handler, body) => {
      assert.strictEqual(body, "hello")
      play(ends[Math.min(made, ends.length - 1)] ?? "200", handler)
      made++
      return true
    },
    later: (_, then) => {
      let stopped = false
      todo.push(() => stopped || then())
      return () => {
        stopped = true
      }
    },
    saidBy: untouchable("the times")
  }, picked(retries)).send()
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) next()
  return { made, heard: program.heard }
}

describe("RoutedRequest", () => {
  it.prop(
    "makes no attempt too many, and none once anything of an answer was handed on; the program hears one end",
    {
      ends: Schema.Array(Schema.Literals(endings)),
      times: Schema.Literals([0, 1, 2, 5]),
      on: Schema.Array(Schema.Literals(conditions))
    },
    ({ ends, on, times }) => {
      const retries = RetryPlaces.make()
      const { heard, made } = run(ends, { times, on }, retries)
      assert.isAtMost(made, times + 1)
      const events = heard.map(([event]) => event)
      assert.isAtMost(events.filter((event) => event === "begin").length, 1)
      assert.isAtMost(events.filter((event) => event === "head").length, 1)
      const over = events.filter((event) => event === "end" || event === "error")
      assert.deepStrictEqual([over.length, over[0]], [1, events.at(-1)])
      const first = heard.find(([event]) => event !== "begin" && event !== "error")
      if (first !== undefined) assert.strictEqual(first[1], made)
      // Nothing is left behind.
      assert.strictEqual(retries.waiting(), 0)
      assert.isDefined(retries.take() && retries.take() && retries.take())
    }
  )

  it.each(
    [
      [["503", "200"], ["5xx"], 2, "head"],
      [["hints, then 503", "200"], ["5xx"], 1, "hints"],
      [["cut", "200"], ["5xx", "reset"], 1, "head"],
      [["unreached", "refused", "200"], ["retriable-4xx"], 3, "head"],
      [["reset", "200"], ["retriable-4xx"], 1, "error"],
      [["given up", "200"], ["5xx"], 1, "error"]
    ] as const
  )("ends like %j on %j after %i attempts", (ends, on, made, event) => {
    const ran = run(ends, { times: 5, on }, RetryPlaces.make())
    assert.deepStrictEqual([ran.made, ran.heard.find(([event]) => event !== "begin")?.[0]], [made, event])
  })

  it("hands on what it has where three other requests are being tried again", () => {
    const retries = RetryPlaces.make()
    const places = [retries.take(), retries.take(), retries.take()]
    assert.strictEqual(run(["503", "200"], { times: 1, on: ["5xx"] }, retries).made, 1)
    places[0]?.free()
    assert.strictEqual(run(["503", "200"], { times: 1, on: ["5xx"] }, retries).made, 2)
    places[0]?.free()
    assert.strictEqual(retries.waiting(), 2)
  })
})
