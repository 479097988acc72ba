/**
 * Requests that try to be one thing to whoever judges them and another one to the application: by their own bytes, against
 * every kind of server. Whatever comes through is checked as the application has it, read in the most generous way.
 */
import * as Http1 from "node:http"
import * as Http2 from "node:http2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope, SubscriptionRef } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Frames from "../../support/h2Frames.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Plain from "../../support/plain.ts"
import * as Sockets from "../../support/sockets.ts"
import * as TlsClients from "../../support/tlsClients.ts"

/** Nothing below /admin, no DELETE, not the virtual host `internal`, no x-role, no content of one type: everything else. */
const guarded = Servers.policy(Intention.make("web", "api", [
  { Action: "deny", HTTP: { PathPrefix: "/admin" } },
  { Action: "deny", HTTP: { Methods: ["DELETE"] } },
  { Action: "deny", HTTP: { Header: [{ Name: "Host", Exact: "internal" }] } },
  { Action: "deny", HTTP: { Header: [{ Name: "X-Role", Present: true }] } },
  { Action: "deny", HTTP: { Header: [{ Name: "Content-Type", Exact: "application/x-admin" }] } },
  { Action: "allow", HTTP: { PathPrefix: "/" } }
]))

/** As the application has it. */
interface Seen {
  readonly method: string
  readonly url: string
  readonly hosts: ReadonlyArray<string | undefined>
  readonly role: boolean
  readonly type: string | undefined
}

const roleIn = (headers: object) => Object.keys(headers).some((name) => /^x.role$/i.test(name))

const tell = (seen: Seen): string => `seen ${JSON.stringify(seen)} end`

interface Target {
  readonly port: number
  readonly issued: Certificates.Issued
}

const effectful: Effect.Effect<Target, unknown, Scope.Scope> = Effect.gen(function*() {
  const echo = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) =>
    HttpServerResponse.text(
      tell({ method, url, hosts: [headers["host"]], role: roleIn(headers), type: headers["content-type"] })
    ))
  const { api, port, web } = yield* Servers.start(
    Servers.served(HttpRouter.addAll([HttpRouter.route("*", "/*", echo)])),
    { drain: "0 millis" }
  )
  yield* SubscriptionRef.set(api.intentions, guarded)
  return { port, issued: web.issued }
})

const plain = (
  server: (listener: (request: Http1.IncomingMessage, response: Http1.ServerResponse) => void) => Http1.Server
): Effect.Effect<Target, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const { api, materialOf, serve } = yield* Plain.pair()
    yield* SubscriptionRef.set(api.intentions, guarded)
    const { issued } = yield* materialOf("web")
    const { port } = yield* serve(
      server(({ headers, method = "", rawHeaders, url = "" }, response) => {
        const raw = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === "host")
        response.end(tell({
          method,
          url,
          hosts: [headers.host, ...raw, headers[":authority"] as string | undefined],
          role: roleIn(headers),
          type: headers["content-type"]
        }))
      }),
      { drain: "0 millis" }
    )
    return { port, issued }
  })

const plain1 = plain((listener) => Http1.createServer(listener))
const plain2 = plain((listener) => Http2.createServer(listener as never) as unknown as Http1.Server)

const forbidden = ({ hosts, method, role, type, url }: Seen): string | undefined => {
  const { pathname } = new URL(url, "http://any")
  return /^\/*admin/i.test(decodeURIComponent(pathname).replaceAll("\\", "/"))
    ? `the path ${url}`
    : method.toUpperCase() === "DELETE"
    ? `the method ${method}`
    : hosts.includes("internal")
    ? `the host ${hosts.join()}`
    : role
    ? "the role"
    : type === "application/x-admin"
    ? "the type"
    : undefined
}

/** Everything that the application has seen. */
const seenIn = (text: string): ReadonlyArray<Seen> =>
  [...text.matchAll(/seen (.*?) end/g)].map(([, json]) => JSON.parse(json!) as Seen)

/** Everything that is answered to these bytes, behind which the client leaves. */
const answerTo = Effect.fnUntraced(function*(
  { issued, port }: Target,
  alpn: "h2" | "http/1.1",
  bytes: Buffer
) {
  const { socket } = yield* TlsClients.connect(port, issued, { ALPNProtocols: [alpn] })
  const answer = Sockets.record(socket)
  if (alpn === "h2") socket.write(Buffer.concat([Frames.preface(), bytes, Frames.goAway(0, 0)]))
  else {
    socket.write(bytes)
    // Apart, as Node drops what comes with a request for an upgrade that nobody wants.
    yield* Effect.raceFirst(answer.ending, Sockets.eventually(() => answer.bytes() > 0))
    socket.write(last)
  }
  yield* answer.ending
  return answer.text()
})

const head = (line: string, ...headers: ReadonlyArray<string>) => [line, ...headers, "", ""].join("\r\n")
/** The connection ends with it. */
const last = head("GET /last HTTP/1.1", "host: api", "connection: close")

const http1: ReadonlyArray<readonly [title: string, bytes: string]> = [
  ["an absolute target", head("GET http://api/admin HTTP/1.1", "host: api")],
  ["an absolute target in upper case", head("GET HTTP://api/admin HTTP/1.1", "host: api")],
  ["an absolute target of another scheme", head("GET ftp://api/admin HTTP/1.1", "host: api")],
  ["an absolute target without a host", head("GET http:///admin HTTP/1.1", "host: api")],
  ["an absolute target with a broken host", head("GET http://[/admin HTTP/1.1", "host: api")],
  ["an absolute target with a user", head("GET http://x@internal/ HTTP/1.1", "host: api")],
  ["an authority in the target", head("GET http://internal/ HTTP/1.1", "host: api")],
  ["an authority in the target that is not the host", head("GET http://api/ HTTP/1.1", "host: internal")],
  ["an authority with a backslash", head("GET http://api\\@internal/ HTTP/1.1", "host: api")],
  ["two hosts", head("GET / HTTP/1.1", "host: api", "host: internal")],
  ["two hosts, the other way round", head("GET / HTTP/1.1", "host: internal", "host: api")],
  [
    "two types of content",
    head("GET / HTTP/1.1", "host: api", "content-type: application/x-admin", "Content-Type: a/b")
  ],
  ["dot segments", head("GET /a/../admin HTTP/1.1", "host: api")],
  ["escaped dot segments", head("GET /a/%2e%2E/admin HTTP/1.1", "host: api")],
  ["backslashes", head("GET /a\\..\\admin HTTP/1.1", "host: api")],
  ["escaped letters", head("GET /%61dmin HTTP/1.1", "host: api")],
  ["a fragment", head("GET /admin#/../.. HTTP/1.1", "host: api")],
  ["a fragment before the path ends", head("GET /x#/../admin HTTP/1.1", "host: api")],
  ["a NUL", head("GET /admin%00 HTTP/1.1", "host: api")],
  ["an asterisk", head("GET * HTTP/1.1", "host: api")],
  ["an asterisk with more", head("OPTIONS */../admin HTTP/1.1", "host: api")],
  ["CONNECT", head("CONNECT api:443 HTTP/1.1", "host: api")],
  ["a method in lower case", head("delete / HTTP/1.1", "host: api")],
  ["a method with spaces before it", head(" DELETE / HTTP/1.1", "host: api")],
  ["a header on a folded line", head("GET / HTTP/1.1", "host: api", "x: y", " x-role: admin")],
  ["a header with a space before its colon", head("GET / HTTP/1.1", "host: api", "x-role : admin")],
  ["a header after a lone line feed", head("GET / HTTP/1.1", "host: api", "x: y\nx-role: admin")],
  ["a header after a lone carriage return", head("GET / HTTP/1.1", "host: api", "x: y\rx-role: admin")],
  [
    "a request in a body with two lengths",
    head("POST / HTTP/1.1", "host: api", "content-length: 0", "content-length: 44") +
    head("DELETE / HTTP/1.1", "host: api")
  ],
  [
    "a request in a body that is chunked and has a length",
    head("POST / HTTP/1.1", "host: api", "content-length: 4", "transfer-encoding: chunked") + "0\r\n\r\n" +
    head("DELETE / HTTP/1.1", "host: api")
  ],
  [
    "a request in a body of another coding",
    head("POST / HTTP/1.1", "host: api", "transfer-encoding: chunked, identity") +
    head("DELETE / HTTP/1.1", "host: api")
  ],
  [
    "a request after an upgrade to cleartext HTTP/2",
    head(
      "GET / HTTP/1.1",
      "host: api",
      "connection: upgrade, http2-settings",
      "upgrade: h2c",
      "http2-settings: AAMAAABk"
    ) +
    head("DELETE / HTTP/1.1", "host: api")
  ],
  [
    "a request behind one that was refused, with its body unread",
    head("POST /admin HTTP/1.1", "host: api", "content-length: 37") + head("DELETE / HTTP/1.1", "host: api")
  ],
  [
    "headers in trailers",
    head("POST / HTTP/1.1", "host: api", "transfer-encoding: chunked", "trailer: x-role") + "0\r\nx-role: a\r\n\r\n"
  ]
]

const pseudo = (fields: Readonly<Record<string, string>>, ...more: ReadonlyArray<readonly [string, string]>) =>
  Frames.frame(
    Frames.type.headers,
    5,
    1,
    Buffer.concat(
      [
        ...Object.entries({ ":method": "GET", ":scheme": "https", ":path": "/", ":authority": "api", ...fields }),
        ...more
      ].filter(([, value]) => value !== "").map(([name, value]) => Frames.literal(name, value))
    )
  )

const http2: ReadonlyArray<readonly [title: string, frame: Buffer]> = [
  ["a path without a slash", pseudo({ ":path": "admin" })],
  ["a path without a slash, of another scheme", pseudo({ ":scheme": "x", ":path": "admin" })],
  ["an absolute path of another scheme", pseudo({ ":scheme": "x", ":path": "http://api/admin" })],
  ["an absolute path with another authority", pseudo({ ":scheme": "x", ":path": "http://internal/" })],
  ["two slashes", pseudo({ ":path": "//api/../admin" })],
  ["backslashes", pseudo({ ":path": "/a\\..\\admin" })],
  ["escaped dot segments", pseudo({ ":path": "/a/%2e%2E/admin" })],
  ["a fragment", pseudo({ ":path": "/admin#" })],
  ["an asterisk", pseudo({ ":path": "*" })],
  ["a method in lower case", pseudo({ ":method": "delete" })],
  ["a method in mixed case", pseudo({ ":method": "Delete" })],
  ["CONNECT", pseudo({ ":method": "CONNECT", ":path": "", ":scheme": "" })],
  ["CONNECT with a protocol", pseudo({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/admin" })],
  ["two authorities", pseudo({}, [":authority", "internal"])],
  ["a pseudo header after the others", pseudo({}, ["x", "y"], [":path", "/admin"])],
  ["a pseudo header in upper case", pseudo({}, [":PATH", "/admin"])],
  ["a host beside the authority", pseudo({}, ["host", "internal"])],
  ["an authority beside the host", pseudo({ ":authority": "internal" }, ["host", "api"])],
  ["a host without an authority", pseudo({ ":authority": "" }, ["host", "internal"])],
  ["two hosts", pseudo({ ":authority": "" }, ["host", "internal"], ["host", "api"])],
  ["two types of content", pseudo({}, ["content-type", "application/x-admin"], ["content-type", "a/b"])],
  ["a header in upper case", pseudo({}, ["X-Role", "admin"])],
  ["a header of the connection", pseudo({}, ["connection", "upgrade"], ["upgrade", "h2c"])],
  ["an expectation", pseudo({ ":method": "DELETE" }, ["expect", "100-continue"])]
]

const spied = (text: string) => seenIn(text).map(forbidden).filter((why) => why !== undefined)

describe.each(
  [["MeshHttpServer", effectful], ["node:http", plain1]] as const
)("over HTTP/1.1, %s", (_, start) => {
  const told = (bytes: string) =>
    Effect.flatMap(start, (target) => answerTo(target, "http/1.1", Buffer.from(bytes, "latin1")))

  it.live("answers what is in order", () =>
    Effect.gen(function*() {
      const text = yield* told(head("GET /a HTTP/1.1", "host: api"))
      assert.deepStrictEqual(seenIn(text).map(({ url }) => url), ["/a", "/last"])
    }))

  it.live.each(http1)("is not misled by %s", ([, bytes]) =>
    Effect.gen(function*() {
      const text = yield* told(bytes)
      assert.deepStrictEqual(spied(text), [], text)
    }))
})

describe.each(
  [["MeshHttpServer", effectful], ["node:http2", plain2]] as const
)("over HTTP/2, %s", (_, start) => {
  const told = (frame: Buffer) => Effect.flatMap(start, (target) => answerTo(target, "h2", frame))

  it.live("answers what is in order", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(seenIn(yield* told(pseudo({ ":path": "/a" }))).map(({ url }) => url), ["/a"])
    }))

  it.live.each(http2)("is not misled by %s", ([, frame]) =>
    Effect.gen(function*() {
      const text = yield* told(frame)
      assert.deepStrictEqual(spied(text), [], text)
    }))
})

describe("who calls", () => {
  it.live("is the same in any letter case of the trust domain, which Consul signs as it is asked to", () =>
    Effect.gen(function*() {
      const { api, authority, port } = yield* Servers.start(
        Servers.served(HttpRouter.addAll([HttpRouter.route("*", "/*", HttpServerResponse.text("seen {} end"))])),
        { drain: "0 millis" }
      )
      yield* SubscriptionRef.set(
        api.intentions,
        Authorizer.compile({
          destination: { service: "api", protocol: "http" },
          trustDomain: Certificates.trustDomain,
          intentions: [Intention.make("web", "api", "deny")],
          defaultPolicy: "allow"
        })
      )
      const ask = (uri: string) =>
        Effect.gen(function*() {
          const issued = yield* Effect.promise(() => Certificates.issue(authority, { uris: [uri] }))
          return yield* answerTo({ port, issued }, "http/1.1", Buffer.from(head("GET / HTTP/1.1", "host: api")))
        })
      const uri = Servers.uriOf("web")
      const shouted = uri.replace(Certificates.trustDomain, Certificates.trustDomain.toUpperCase())
      assert.notStrictEqual(shouted, uri)
      assert.match(yield* ask(Servers.uriOf("other")), /^HTTP\/1.1 200/)
      assert.match(yield* ask(uri), /^HTTP\/1.1 403/)
      assert.match(yield* ask(shouted), /^HTTP\/1.1 403/)
    }))
})

describe("a request at hand", () => {
  it.live("ends when a change of intentions looks at a header of it that says several things", () =>
    Effect.gen(function*() {
      const { api, mesh, port, web } = yield* Servers.start(
        Servers.served(HttpRouter.add("*", "/*", Effect.never)),
        { drain: "0 millis" }
      )
      const { socket } = yield* TlsClients.connect(port, web.issued, { ALPNProtocols: ["http/1.1"] })
      socket.write(head("GET / HTTP/1.1", "host: api", "user-agent: b", "user-agent: a"))
      yield* Sockets.eventually(() => mesh.stats().handling === 1)
      yield* SubscriptionRef.set(
        api.intentions,
        Servers.policy(Intention.make("web", "api", [
          { Action: "allow", HTTP: { Header: [{ Name: "User-Agent", Suffix: "a" }] } }
        ]))
      )
      yield* Sockets.eventually(() => mesh.stats().aborted["denied"] === 1)
    }))
})
