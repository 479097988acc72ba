import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, fork } from "node:child_process"
import * as Http2 from "node:http2"
import * as Tls from "node:tls"
import { Effect, Fiber, Result, type Scope, Stream } from "effect"
import { HttpClientRequest } from "effect/http"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as Certificates from "../../support/certificates.ts"
import { authorityOf, client, failureOf, instance } from "../../support/httpMesh.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Mesh from "../../support/mesh.ts"
import { eventually } from "../../support/sockets.ts"
import type * as Instance from "./instance/main.ts"

interface Process {
  readonly port: number
  /** The methods of the requests that have reached its handler. */
  readonly asked: ReadonlyArray<string>
  /** Without a chance to say anything. Returns when it is gone. */
  readonly kill: Effect.Effect<void>
}

const start = (
  authority: Certificates.Authority,
  manner: Instance.Told["manner"]
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function*() {
    const issued = yield* Effect.promise(() =>
      Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service("api"))] })
    )
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(new URL("./instance/main.ts", import.meta.url))),
      (child) => killed(child)
    )
    const asked: Array<string> = []
    const port = yield* Effect.callback<number>((resume) => {
      child.on("message", (told: Instance.Tells) => {
        if ("port" in told) resume(Effect.succeed(told.port))
        else asked.push(told.asked)
      })
      const { name, pem } = authority
      child.send({ issued, manner, root: { name, pem } } satisfies Instance.Told)
    })
    return { port, asked, kill: killed(child) }
  })

const killed = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const url = "http://api/"

/** More than sockets hold, so that the death of who does not read it comes in the middle of it. */
const large = new Uint8Array(8_000_000)

const streamed = Stream.make(new Uint8Array(1000))

/** Requests by what they are, and the answer of an instance that answers them. */
const repeatable: ReadonlyArray<readonly [HttpClientRequest.HttpClientRequest, string]> = [
  [HttpClientRequest.get(url), "GET 0"],
  [HttpClientRequest.delete(url), "DELETE 0"],
  [HttpClientRequest.options(url), "OPTIONS 0"],
  [HttpClientRequest.put(url).pipe(HttpClientRequest.bodyUint8Array(new Uint8Array(1000))), "PUT 1000"],
  [HttpClientRequest.put(url).pipe(HttpClientRequest.bodyUint8Array(large)), `PUT ${large.length}`]
]

const unrepeatable: ReadonlyArray<HttpClientRequest.HttpClientRequest> = [
  HttpClientRequest.post(url),
  HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUint8Array(large)),
  HttpClientRequest.patch(url).pipe(HttpClientRequest.bodyUint8Array(new Uint8Array(1000))),
  HttpClientRequest.put(url).pipe(HttpClientRequest.bodyStream(streamed)),
  HttpClientRequest.post(url).pipe(HttpClientRequest.bodyStream(streamed))
]

/** A client that knows these instances; more can be announced. */
const calling = Effect.fnUntraced(function*(
  authority: Certificates.Authority,
  http2: boolean,
  ...ports: ReadonlyArray<number>
) {
  const discovery = yield* Mesh.discovery({ "api.default": ports.map((port) => Mesh.endpoint(port)) })
  const { dispatcher, http } = yield* client(authority, discovery.layer, { pool: { http2 } })
  return {
    dispatcher,
    begin: http.execute,
    instances: (...ports: ReadonlyArray<number>) =>
      discovery.setInstances(Mesh.target("api").id, ports.map((port) => Mesh.endpoint(port))),
    say: (request: HttpClientRequest.HttpClientRequest) =>
      Effect.flatMap(http.execute(request), (response) => response.text)
  }
})

describe.each([["HTTP/1.1", false], ["HTTP/2", true]] as const)("over %s, the death of an instance", (_, http2) => {
  it.live("repeats what does no harm on another one, and names it for what may have been carried out", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const [doomed, good] = yield* Effect.all([start(authority, "is silent"), start(authority, "answers")], {
        concurrency: "unbounded"
      })
      const { dispatcher, instances, say } = yield* calling(authority, http2, doomed.port)
      const repeated = yield* Effect.forkChild(
        Effect.forEach(repeatable, ([request]) => say(request), { concurrency: "unbounded" })
      )
      const lost = yield* Effect.forkChild(
        Effect.forEach(unrepeatable, (request) => failureOf(say(request)), { concurrency: "unbounded" })
      )
      yield* eventually(() => doomed.asked.length === repeatable.length + unrepeatable.length)
      yield* instances(doomed.port, good.port)
      yield* doomed.kill
      assert.deepStrictEqual(yield* Fiber.join(repeated), repeatable.map(([, answer]) => answer))
      const address = `127.0.0.1:${doomed.port}`
      for (const failed of yield* Fiber.join(lost)) {
        assert.deepStrictEqual(
          [failed.service, failed.instance, failed.address, failed.sent, failed.reason._tag],
          ["api", `node/${doomed.port}`, address, true, "ConnectionLost"]
        )
        assert.include(failed.message, `the request to api (instance node/${doomed.port} at ${address}) failed: `)
      }
      // It says so by another way than its answers come.
      yield* eventually(() => good.asked.length >= repeatable.length)
      assert.strictEqual(good.asked.length, repeatable.length)
      assert.strictEqual(dispatcher.stats().active, 0)
    }))

  it.live("in the middle of an answer fails the body of it, and names it", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const doomed = yield* start(authority, "begins to answer")
      const { begin, dispatcher } = yield* calling(authority, http2, doomed.port)
      const requests = [HttpClientRequest.get(url), HttpClientRequest.post(url), repeatable[3]![0]]
      const responses = yield* Effect.forEach(requests, begin, { concurrency: "unbounded" })
      const reading = yield* Effect.forkChild(
        Effect.forEach(responses, ({ text }) => failureOf(text), { concurrency: "unbounded" })
      )
      yield* doomed.kill
      for (const failed of yield* Fiber.join(reading)) {
        assert.deepStrictEqual(
          [failed.instance, failed.sent, failed.reason._tag],
          [`node/${doomed.port}`, true, "ConnectionLost"]
        )
      }
      yield* eventually(() => dispatcher.stats().active === 0)
    }))

  it.live("before a request is begun sends it to another one, whatever it is", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const [doomed, good] = yield* Effect.all([start(authority, "answers"), start(authority, "answers")], {
        concurrency: "unbounded"
      })
      const { instances, say } = yield* calling(authority, http2, doomed.port)
      yield* say(HttpClientRequest.get(url))
      yield* doomed.kill
      const failed = yield* failureOf(Effect.repeat(say(HttpClientRequest.post(url)), { times: 5 }))
      assert.strictEqual(failed.instance, `node/${doomed.port}`)
      yield* instances(doomed.port, good.port)
      for (const request of [...unrepeatable, ...repeatable.map(([request]) => request), ...unrepeatable]) {
        assert.match(yield* say(request), new RegExp(`^${request.method} \\d+$`))
      }
      yield* instances(doomed.port)
      const refused = yield* failureOf(say(HttpClientRequest.post(url)))
      assert.deepStrictEqual([refused.instance, refused.sent, refused.reason._tag], [
        `node/${doomed.port}`,
        false,
        "ConnectFailed"
      ])
    }))
})

/** What an instance says to a request on `stream`. Undefined: it closes the connection. */
type Reaction = (stream: number) => Buffer | undefined

/** An instance that speaks HTTP/2 no further than to react to each request so. */
const reacting = Effect.fnUntraced(function*(authority: Certificates.Authority, reaction: Reaction) {
  const { chainPem, keyPem } = yield* Effect.promise(() =>
    Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service("api"))] })
  )
  const sockets = new Set<Tls.TLSSocket>()
  let asked = 0
  const server = Tls.createServer({ cert: chainPem, key: keyPem, ALPNProtocols: ["h2"] }, (socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.write(Frames.frame(Frames.type.settings, 0, 0))
    let read = Buffer.alloc(0)
    let seen = 0
    socket.on("data", (chunk: Buffer) => {
      read = Buffer.concat([read, chunk])
      const frames = Frames.parse(read.subarray(magic.length))
      for (const { stream, type } of frames.slice(seen)) {
        if (type !== Frames.type.headers) continue
        asked++
        const said = reaction(stream)
        if (said === undefined) socket.destroy()
        else socket.write(said)
      }
      seen = frames.length
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.sync(() => {
        server.close()
        sockets.forEach((socket) => socket.destroy())
      })
  )
  const address = server.address()
  return { port: typeof address === "object" && address !== null ? address.port : 0, asked: () => asked }
})

/** What a client says before its first frame. */
const magic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = Http2.constants

describe.each<readonly [string, Reaction]>([
  ["refuses its stream", (stream) => Frames.rstStream(stream, NGHTTP2_REFUSED_STREAM)],
  ["says goodbye without it", () => Frames.goAway(0, NGHTTP2_NO_ERROR)]
])("a POST over HTTP/2 to an instance that %s", (_, reaction) => {
  it.live("is sent to another one", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const leaving = yield* reacting(authority, reaction)
      const good = yield* instance(yield* Mesh.member("api", authority), "good")
      const { say } = yield* calling(authority, true, leaving.port, good.port)
      for (let i = 0; i < 4; i++) assert.strictEqual(yield* say(HttpClientRequest.post(url)), "good")
      assert.isAbove(leaving.asked(), 0)
      assert.strictEqual(good.asked(), 4)
    }))

  it.live("is known not to have been carried out; but a body that was begun can not be begun again", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const leaving = yield* reacting(authority, reaction)
      const good = yield* instance(yield* Mesh.member("api", authority), "good")
      const { instances, say } = yield* calling(authority, true, leaving.port)
      const alone = yield* failureOf(say(HttpClientRequest.post(url)))
      assert.deepStrictEqual([alone.instance, alone.sent], [`node/${leaving.port}`, false])
      yield* instances(leaving.port, good.port)
      const streaming = failureOf(say(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyStream(streamed))))
      const outcomes = yield* Effect.forEach([1, 2, 3, 4], () => Effect.result(streaming))
      const failures = outcomes.filter(Result.isSuccess).map(({ success }) => [success.instance, success.sent])
      assert.deepStrictEqual(failures, [[`node/${leaving.port}`, false], [`node/${leaving.port}`, false]])
    }))
})

describe("a POST over HTTP/2 to an instance that may have carried it out, for all we know", () => {
  it.live.each<readonly [string, Reaction]>([
    ["the stream is reset", (stream) => Frames.rstStream(stream, NGHTTP2_INTERNAL_ERROR)],
    ["the connection ends", () => undefined],
    ["it says goodbye because of a fault", (stream) => Frames.goAway(stream, NGHTTP2_ENHANCE_YOUR_CALM)]
  ])("is not repeated: %s", ([, reaction]) =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const leaving = yield* reacting(authority, reaction)
      const { say } = yield* calling(authority, true, leaving.port)
      const failed = yield* failureOf(say(HttpClientRequest.post(url)))
      assert.deepStrictEqual([failed.instance, failed.sent, leaving.asked()], [`node/${leaving.port}`, true, 1])
    }))

  it.live("is finished where the instance says goodbye with it", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const answer = (stream: number) =>
        Buffer.concat([
          Frames.goAway(stream, NGHTTP2_NO_ERROR),
          Frames.frame(Frames.type.headers, endOfAll, stream, ok)
        ])
      const leaving = yield* reacting(authority, answer)
      const { say } = yield* calling(authority, true, leaving.port)
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* say(HttpClientRequest.post(url)), "")
      assert.strictEqual(leaving.asked(), 3)
    }))
})

/** `END_HEADERS` and `END_STREAM`. */
const endOfAll = 5

/** `:status: 200` in HPACK. */
const ok = Buffer.from([0x88])
