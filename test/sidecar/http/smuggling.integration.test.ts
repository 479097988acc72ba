/**
 * One reading of a request: what clients smuggle with, through real sidecars to real servers of several makes. An application sees
 * requests that our own decoder has read, in order and with the same bodies, or none: never one that is made of a body.
 */
import type { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope, SubscriptionRef } from "effect"
import * as Certificates from "../../support/certificates.ts"
import * as H1 from "../../support/h1.ts"
import * as Others from "../../support/otherServers.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Sidecars from "../../support/sidecars.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

const smuggled = "GET /smug0000 HTTP/1.1\r\nHost: a.test\r\n\r\n"

const post = (fields: ReadonlyArray<string>, body: string, line = "POST /body HTTP/1.1") =>
  `${[line, "Host: a.test", ...fields].join("\r\n")}\r\n\r\n${body}`

const chunked = (size: string, extension = "") => `${size}${extension}\r\n${smuggled}\r\n0\r\n\r\n`

const size = smuggled.length.toString(16)
const length = `Content-Length: ${smuggled.length}`
const none = `0\r\n\r\n${smuggled}`

/** Transfer codings, and lines that some take for one. */
const codings = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: Chunked",
  "transfer-encoding:chunked",
  "Transfer-Encoding:  chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding: chunked\t",
  "Transfer-Encoding: chunked ",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\x0b",
  "Transfer-Encoding: \x0cchunked",
  "Transfer-Encoding: \0chunked",
  "Transfer-Encoding: \x85chunked",
  "Transfer-Encoding: \xa0chunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  " Transfer-Encoding: chunked",
  "X: y\r\n Transfer-Encoding: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  "X: y\r\rTransfer-Encoding: chunked",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding:\n chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: x",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunkedx",
  "Transfer-Encoding: \"chunked\"",
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: chunked;x=y",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked,",
  "Transfer-Encoding: chu\x00nked",
  "Transfer-Encoding:",
  "Transfer_Encoding: chunked",
  "Transfer-Encoding\0: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
  "\xe2\x84\xaaey: v\r\nTransfer-Encoding: chunked"
]

const lengths = [
  `${length}\r\nContent-Length: 0`,
  `Content-Length: 0\r\n${length}`,
  `${length}\r\n${length}`,
  `${length}, ${smuggled.length}`,
  `Content-Length: 0, ${smuggled.length}`,
  `Content-Length: +${smuggled.length}`,
  `Content-Length: -${smuggled.length}`,
  `Content-Length: 0${smuggled.length}`,
  `Content-Length: 0x${size}`,
  `Content-Length: ${smuggled.length}.0`,
  `Content-Length: ${smuggled.length}e0`,
  `Content-Length: ${smuggled.length} 0`,
  `Content-Length: "${smuggled.length}"`,
  `Content-Length: ${smuggled.length}_0`,
  `Content-Length: \x0b${smuggled.length}`,
  `Content-Length : ${smuggled.length}`,
  ` ${length}`,
  `X: y\r\n ${length}`,
  `X: y\n${length}`,
  `X: y\r${length}`,
  `Content-Length:\r\n ${smuggled.length}`,
  `Content-Length:`,
  `Content-Length: 18446744073709551616`,
  `Content-Length: 18446744073709551615`,
  `Content-Length: 9007199254740993`,
  `Content_Length: ${smuggled.length}`,
  `Content-Length: ${smuggled.length}\0`,
  `Content-Length: \xb2`,
  `Connection: Content-Length\r\n${length}`,
  `Connection: close, content-length\r\n${length}`,
  `Connection: host\r\n${length}`,
  `Connection: x, Transfer-Encoding\r\n${length}`
]

const chunks = [
  chunked(size),
  chunked(size, ";x=y"),
  chunked(size, ";x=\"y\""),
  chunked(size, ";x=\"\r\n0\r\n\r\n"),
  chunked(size, ";x\n0"),
  chunked(size, ";\r0\r"),
  chunked(size, ` ;x=${"y".repeat(5000)}`),
  chunked(size, " "),
  chunked(size, "\t"),
  chunked(`0x${size}`),
  chunked(`+${size}`),
  chunked(`-${size}`),
  chunked(` ${size}`),
  chunked(`0000${size}`),
  chunked(`10000000000000${size.padStart(3, "0")}`),
  chunked(`ffffffffffffff${size}`),
  chunked(`0_${size}`),
  chunked(`${size}h`),
  chunked(""),
  chunked("\0"),
  `${size}\n${smuggled}\n0\n\n`,
  `${size}\r${smuggled}\r0\r\r`,
  `${size}\r\n${smuggled}xx0\r\n\r\n`,
  `${size}\r\n${smuggled}0\r\n\r\n`,
  `5\r\nhello\n0\r\n\r\n${smuggled}`,
  `5\r\nhello\r0\r\n\r\n${smuggled}`,
  `5\r\nhello\r\n0\n\r\n${smuggled}`,
  `5\r\nhello\r\n0\r\n\n${smuggled}`,
  `5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n${smuggled}`,
  `5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n${smuggled}`,
  `5\r\nhello\r\n0\r\n folded\r\n\r\n${smuggled}`,
  `5\r\nhello\r\n0\r\n${smuggled}`
]

const lines = [
  "POST /body HTTP/1.0",
  "POST /body HTTP/0.9",
  "POST /body HTTP/1.2",
  "POST /body HTTP/2.0",
  "POST /body HTTP/11",
  "POST /body http/1.1",
  "POST /body",
  "POST  /body HTTP/1.1",
  "POST /body  HTTP/1.1",
  "POST /body HTTP/1.1 ",
  "POST\t/body\tHTTP/1.1",
  " POST /body HTTP/1.1",
  "POST /body\x0bHTTP/1.1",
  "POST /bo dy HTTP/1.1",
  "POST /b HTTP/1.1 /ody HTTP/1.1",
  "POST /body\x00 HTTP/1.1",
  "POST /bo\x7fdy HTTP/1.1",
  "POST /b\xf6dy HTTP/1.1",
  "POST /body\n HTTP/1.1",
  "post /body HTTP/1.1",
  "PO@ST /body HTTP/1.1",
  "FOO /body HTTP/1.1",
  "PRI * HTTP/2.0",
  "POST * HTTP/1.1",
  "OPTIONS * HTTP/1.1",
  "POST body HTTP/1.1",
  "POST //b.test/body HTTP/1.1",
  "POST http://b.test/body HTTP/1.1",
  "POST http://b.test HTTP/1.1",
  "POST http://a.test@b.test/body HTTP/1.1",
  "POST http:///body HTTP/1.1",
  "POST file:///body HTTP/1.1",
  "POST /body#part HTTP/1.1",
  "POST \\body HTTP/1.1",
  "CONNECT a.test:80 HTTP/1.1",
  "CONNECT /body HTTP/1.1",
  "TRACE /body HTTP/1.1",
  "HEAD /body HTTP/1.1",
  "GET /body HTTP/1.1",
  "DELETE /body HTTP/1.1"
]

const others = [
  "Host: b.test",
  "host : b.test",
  "Host:\tb.test\r\nHost: a.test",
  "Expect: 100-continue",
  "Expect: 100-Continue, x",
  "Expect: x",
  "Expect:",
  "Expect: 100-continue\r\nExpect: x",
  "Connection: Upgrade\r\nUpgrade: h2c",
  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
  "Connection: Upgrade\r\nUpgrade: websocket",
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
  "Connection: Upgrade\r\nUpgrade: foo",
  "Upgrade: h2c",
  "X\0: y",
  "X: y\0",
  "X: y\x7f",
  ": y",
  "X",
  "X Y: z",
  "X(y): z",
  "\x0bX: y",
  "Keep-Alive: timeout=5\r\nConnection: keep-alive, Keep-Alive",
  "Max-Forwards: 0",
  "X-HTTP-Method-Override: GET",
  "X-Original-URL: /smug0000\r\nX-Rewrite-URL: /smug0000"
]

const attacks: ReadonlyArray<string> = [
  ...codings.flatMap((coding) => [
    post([coding], chunked(size)),
    post([coding], none),
    // The coding behind a length, and before it.
    post([length, coding], chunked(size)),
    post([coding, "Content-Length: 4"], none)
  ]),
  ...lengths.flatMap((one) => [
    post([one], smuggled),
    post([one, "Transfer-Encoding: chunked"], none)
  ]),
  ...chunks.map((body) => post(["Transfer-Encoding: chunked"], body)),
  ...lines.flatMap((line) => [
    post([length], smuggled, line),
    post(["Transfer-Encoding: chunked"], chunked(size), line),
    post([], smuggled, line)
  ]),
  ...others.flatMap((more) => [
    post([more, length], smuggled),
    post([more], smuggled, "GET /body HTTP/1.1"),
    post([length, more, "Transfer-Encoding: chunked"], none)
  ]),
  "\r\n\r\n",
  "\n",
  "\0",
  "\x16\x03\x01\x00\x05hello",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  `GET /body HTTP/1.1\r\nHost: a.test\r\n\r\n`.repeat(5)
]

/** Each attack has paths of its own, as long as those above. Then comes a request of the client's own in the same breath. */
const bytesOf = (attack: string, turn: string) =>
  Buffer.from(
    `${
      attack.replaceAll("/body", `/body-${turn}`).replaceAll("/smug0000", `/smug${turn}`)
    }GET /after-${turn} HTTP/1.1\r\nHost: a.test\r\n\r\n`,
    "latin1"
  )

interface Entrance {
  readonly open: Effect.Effect<Duplex, unknown, Scope.Scope>
}

interface Path {
  readonly application: Others.Application
  /** By the application's own sidecar, and from the mesh without one. */
  readonly entrances: ReadonlyArray<Entrance>
}

const path = Effect.fnUntraced(function*(application: Others.Application) {
  const { api, ca, apiSidecar, port } = yield* Sidecars.pair(application.port, {
    web: { upstreams: [{ ...Sidecars.upstream("api"), protocol: "http" }] },
    api: { protocol: "http" }
  })
  yield* SubscriptionRef.set(api.intentions, Servers.policy(Servers.web))
  const issued = yield* Effect.promise(() => Certificates.issue(ca, { uris: [Servers.uriOf("web")] }))
  const publicPort = apiSidecar.port("public")
  const inbound = Effect.map(
    TlsClients.connect(publicPort, issued, { ALPNProtocols: ["http/1.1"] }),
    ({ socket }): Duplex => socket
  )
  const outbound: Effect.Effect<Duplex, unknown, Scope.Scope> = Sockets.connect(port)
  return { application, entrances: [{ open: outbound }, { open: inbound }] } satisfies Path
})

/** Python's library takes several slashes at the start for one. */
const pathOf = (target: string) => target.replace(/^https?:\/\/[^/]*/i, "").replace(/^\/*/, "/")

/** `[method, path, body]` of each request that our decoder finds. */
const readByUs = (bytes: Buffer): ReadonlyArray<readonly [string, string, string]> =>
  H1.ours([bytes]).requests.map((request) => {
    const [method, target, , body] = JSON.parse(request) as [string, string, unknown, string]
    return [method, pathOf(target), body]
  })

/** A request of somebody else, who must get an answer of his own. */
const bystander = ({ open }: Entrance, turn: string) =>
  Effect.scoped(Effect.gen(function*() {
    const socket = yield* open
    const answer = Sockets.record(socket as never)
    socket.write(`GET /bystander-${turn} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
    yield* Sockets.eventually(() => answer.text().includes("\r\n\r\n") && answer.text().endsWith(`/bystander-${turn}`))
    assert.match(answer.text(), /^HTTP\/1.1 200 /)
  }))

const attack = Effect.fnUntraced(function*(entrance: Entrance, bytes: Buffer, turn: string) {
  const { fault } = H1.ours([bytes])
  yield* Effect.scoped(Effect.gen(function*() {
    const socket = yield* entrance.open
    const answer = Sockets.record(socket as never)
    socket.write(bytes)
    if (fault !== undefined || readByUs(bytes).at(-1)?.[1] === `/after-${turn}`) {
      yield* Effect.raceFirst(answer.ending, Sockets.eventually(() => answer.text().includes(`\r\n\r\n/after-${turn}`)))
    }
  }))
  if (Number(turn) % 8 === 0) yield* bystander(entrance, turn)
})

/** What the application has seen is a part of what we have read, in order where it tells of that. */
const compare = (
  seen: ReadonlyArray<Others.Seen>,
  ours: ReadonlyArray<readonly [string, string, string]>,
  what: string
) => {
  let from = 0
  for (const { body, method, target } of seen) {
    const at = ours.findIndex((one, i) =>
      (body === undefined || i >= from) && one[0] === method && one[1] === pathOf(target) &&
      (body === undefined || one[2] === body)
    )
    assert.isAtLeast(at, 0, `${JSON.stringify(what)} became ${JSON.stringify([method, target, body])}`)
    from = at + 1
  }
}

const attackAll = (application: Effect.Effect<Others.Application, never, Scope.Scope>) =>
  Effect.gen(function*() {
    const { application: { seen }, entrances } = yield* path(yield* application)
    const all = entrances.flatMap((entrance, i) =>
      attacks.map((bytes, j) => {
        const turn = String(1000 + i * attacks.length + j)
        return { entrance, turn, bytes: bytesOf(bytes, turn) }
      })
    )
    yield* Effect.forEach(
      all,
      ({ bytes, entrance, turn }) =>
        Effect.timeoutOrElse(attack(entrance, bytes, turn), {
          duration: "20 seconds",
          orElse: () => Effect.die(`nothing more comes after ${JSON.stringify(bytes.toString("latin1"))}`)
        }),
      { concurrency: 16, discard: true }
    )
    for (const [i, entrance] of entrances.entries()) yield* bystander(entrance, `last-${i}`)
    const ofNobody = new Set(seen)
    for (const { bytes, turn } of all) {
      const own = seen.filter(({ target }) => target.includes(turn))
      own.forEach((one) => ofNobody.delete(one))
      compare(own.filter(({ target }) => !target.startsWith("/bystander")), readByUs(bytes), bytes.toString("latin1"))
    }
    // Such as `OPTIONS *`: whoever asked for it.
    const ours = all.flatMap(({ bytes }) => readByUs(bytes))
    for (const { body, method, target } of ofNobody) {
      if (target.startsWith("/bystander-last")) continue
      const known = ours.some((one) => one[0] === method && one[1] === pathOf(target) && (body ?? one[2]) === one[2])
      assert.isTrue(known, JSON.stringify([method, target, body]))
    }
  })

describe("no request is made of a body", () => {
  it.live("before Node's server", () => attackAll(Others.node(false)), 300_000)
  it.live("before Node's server with its lenient parser", () => attackAll(Others.node(true)), 300_000)
  it.live.skipIf(!Others.isInstalled.python)("before Python's server", () => attackAll(Others.python), 300_000)
  it.live.skipIf(!Others.isInstalled.haproxy)("before HAProxy", () => attackAll(Others.haproxy), 300_000)
  it.live.skipIf(!Others.isInstalled.go)("before Go's server", () => attackAll(Others.go), 300_000)
})
