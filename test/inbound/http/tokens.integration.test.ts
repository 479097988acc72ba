import * as Http1 from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as Audit from "../../../src/intention/Audit.ts"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as MeshHttpServer from "../../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../../src/native/PeerIdentity.ts"
import * as JwtProviders from "../../../src/watch/JwtProviders.ts"
import { badAgent } from "../../support/agents.ts"
import * as Certificates from "../../support/certificates.ts"
import { material } from "../../support/handshake.ts"
import * as Http from "../../support/http.ts"
import * as Mesh from "../../support/mesh.ts"
import { pair } from "../../support/plain.ts"
import { eventually } from "../../support/sockets.ts"
import * as Tokens from "../../support/tokens.ts"

const policy = (...intentions: ReadonlyArray<Intention.Intention>): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { service: "api", protocol: "http" },
    trustDomain: Certificates.trustDomain,
    intentions,
    defaultPolicy: "deny"
  })

const okta = { JWT: { Providers: [{ Name: "okta" }] } }
const admin = { JWT: { Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["role"], Value: "admin" }] }] } }

/** Every request needs a token of okta, those below /admin one of an administrator, those below /free none. */
const guarded = policy(Intention.make("web", "api", [
  { Action: "allow", HTTP: { PathPrefix: "/admin" }, ...admin },
  { Action: "allow", HTTP: { PathPrefix: "/free" } },
  { Action: "allow", HTTP: { PathPrefix: "/" }, ...okta }
]))

/** What the handler sees, in every form. */
const seen = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { tokens } = yield* PeerIdentity.PeerIdentity
  const incoming = NodeHttpServerRequest.toIncomingMessage(request)
  return HttpServerResponse.jsonUnsafe({
    tokens: Object.fromEntries(tokens),
    url: request.url,
    originalUrl: request.originalUrl.replace(/^https:\/\/[^/]+/, ""),
    // A copy, as the original hides tokens from JSON.
    headers: { ...request.headers },
    raw: incoming.rawHeaders,
    node: incoming.headers
  })
})

const routes = HttpRouter.addAll([
  HttpRouter.route(
    "GET",
    "/events",
    HttpServerResponse.stream(Stream.concat(Stream.succeed(new Uint8Array(1)), Stream.never))
  ),
  HttpRouter.route("*", "/*", seen)
])

interface Seen {
  readonly tokens: Record<string, object>
  readonly url: string
  readonly originalUrl: string
  readonly headers: Record<string, string>
  readonly raw: ReadonlyArray<string>
  readonly node: Record<string, string>
}

const parse = ({ body, status }: Http.Answer): Seen => {
  assert.strictEqual(status, 200, body)
  return JSON.parse(body)
}

/** `api` behind these providers. `web` calls it. */
const start = Effect.fnUntraced(function*(
  entries: ReadonlyArray<object>,
  authorizer = guarded,
  options: Partial<MeshHttpServer.Options> = {}
) {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const api = yield* Mesh.member("api", authority)
  const provide = (entries: ReadonlyArray<object>) =>
    SubscriptionRef.set(api.providers, JwtProviders.fromList(entries.map(Tokens.provider)))
  yield* SubscriptionRef.set(api.intentions, authorizer)
  yield* provide(entries)
  const around = new Array<string | undefined>()
  const after: Array<string> = []
  const context = yield* Layer.build(
    HttpRouter.serve(routes, {
      disableLogger: true,
      disableListenLog: true,
      middleware: HttpMiddleware.make((app) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          around.push(request.headers["x-payload"])
          return Effect.ensuring(app, Effect.sync(() => after.push(request.originalUrl)))
        })
      )
    }).pipe(
      Layer.provideMerge(
        MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: "0 millis", reasonHeader: true, ...options })
      ),
      Layer.provide(api.layer)
    )
  )
  const mesh = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
  const issued = yield* Effect.promise(() =>
    Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service("web"))] })
  )
  return { api, provide, mesh, port: mesh.port, around, after, web: material(issued, Certificates.bundle(authority)) }
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const denied = ({ headers }: Http.Answer) => headers["x-mesh-denied"]

const versions = [["HTTP/1.1", Http.http1], ["HTTP/2", Http.http2]] as const

describe.each(versions)("tokens over %s", (_, client) => {
  it.live("are demanded of requests whose permission says so, and of no others", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { mesh, port, web } = yield* start([Tokens.entry([pair.jwk])])
      const ask = yield* client(port, web)
      assert.deepStrictEqual(parse(yield* ask({ path: "/free/a" })).tokens, {})
      const missing = yield* ask({ path: "/" })
      assert.deepStrictEqual([missing.status, missing.body], [403, "RBAC: access denied"])
      assert.strictEqual(
        denied(missing),
        "denied by the default policy: permission 3 of intention web -> api (precedence 9) requires a token of " +
          "okta (the request carries none)"
      )
      const user = yield* pair.sign({ role: "user" })
      assert.deepStrictEqual(parse(yield* ask({ path: "/", headers: bearer(user) })).tokens, {
        okta: { iss: Tokens.issuer, role: "user" }
      })
      const other = yield* ask({ path: "/admin/a", headers: bearer(user) })
      assert.deepStrictEqual([other.status, other.body], [403, "RBAC: access denied"])
      assert.include(denied(other), "okta (its claims are not the required ones)")
      assert.strictEqual(
        (yield* ask({ path: "/admin/a", headers: bearer(yield* pair.sign({ role: "admin" })) })).status,
        200
      )
      assert.deepStrictEqual(
        mesh.denials().map(({ refusals, rule }) => [rule, refusals]),
        [
          ["permission 3 of web → api (precedence 9)", 1],
          ["permission 1 of web → api (precedence 9)", 1]
        ]
      )
      yield* eventually(() => mesh.stats().requests["web api 403"] === 2)
    }))

  it.live("count only if they are whole, ours, for us and of now", () =>
    Effect.gen(function*() {
      const [own, foreign] = [yield* Tokens.keyPair("a"), yield* Tokens.keyPair("a")]
      const { port, web } = yield* start([Tokens.entry([own.jwk], { Audiences: ["api"] })])
      const ask = yield* client(port, web)
      const aud = "api"
      const refused = Effect.fnUntraced(function*(token: string) {
        const answer = yield* ask({ path: "/", headers: bearer(token) })
        assert.deepStrictEqual([answer.status, answer.body], [403, "RBAC: access denied"])
        assert.notInclude(JSON.stringify(answer), token.split(".")[1]!)
        return /okta \((.*)\)$/.exec(String(denied(answer)))?.[1]
      })
      const now = Math.floor(Date.now() / 1000)
      assert.strictEqual((yield* ask({ path: "/", headers: bearer(yield* own.sign({ aud })) })).status, 200)
      assert.match((yield* refused(yield* foreign.sign({ aud })))!, /signature verification failed/)
      assert.match((yield* refused(yield* own.sign({ aud, iss: "https://other.example" })))!, /another issuer/)
      assert.match((yield* refused(yield* own.sign({ aud: "web" })))!, /"aud"/)
      assert.match((yield* refused(yield* own.sign({ aud, exp: now - 60 })))!, /"exp"/)
      assert.match((yield* refused(yield* own.sign({ aud, nbf: now + 60 })))!, /"nbf"/)
      assert.match((yield* refused(yield* (yield* Tokens.keyPair("b")).sign({ aud })))!, /no applicable key/)
      assert.match((yield* refused(yield* Tokens.confused(own, "a")))!, /./)
      yield* refused(Tokens.unsigned({ aud }))
    }))

  it.live("do not reach the application, and payloads do where they are wanted", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { after, api, around, port, provide, web } = yield* start([
        Tokens.entry([pair.jwk], { Forwarding: { HeaderName: "X-Payload", PadForwardPayloadHeader: false } })
      ])
      const ask = yield* client(port, web)
      const token = yield* pair.sign({ role: "user" })
      const payload = token.split(".")[1]!
      const forged = { "X-Payload": "forged" }
      for (
        const [ask_, url] of [
          [{ path: "/x?a=1", headers: { ...forged, ...bearer(token) } }, "/x?a=1"],
          [{ path: `/x?a=%31&access_token=${token}&b`, headers: forged }, "/x?a=%31&b"]
        ] as const
      ) {
        const got = parse(yield* ask(ask_))
        assert.strictEqual(got.url, url)
        assert.strictEqual(got.originalUrl, url)
        assert.strictEqual(got.headers["x-payload"], payload)
        assert.strictEqual(got.node["x-payload"], payload)
        assert.notInclude(JSON.stringify([got.headers, got.node, got.raw, got.url]), token)
        assert.notInclude(JSON.stringify(got), "forged")
      }
      // A request that needs no token keeps what it carries, except for what only we may say.
      const free = parse(yield* ask({ path: "/free", headers: { ...forged, ...bearer(token) } }))
      assert.notInclude(JSON.stringify(free), "forged")
      assert.strictEqual(free.headers["authorization"], `Bearer ${token}`)
      // What spans show of the URL at the end has no token either, also where it is refused.
      assert.strictEqual((yield* ask({ path: `/admin?access_token=${token}` })).status, 403)
      assert.notInclude(after.join(), token)
      // Middleware has the same, of requests that were let in.
      assert.deepStrictEqual(around, [payload, payload, undefined])
      yield* provide([
        Tokens.entry([pair.jwk], {
          Locations: [{ Header: { Name: "X-Token", Forward: true } }, { Cookie: { Name: "t" } }]
        })
      ])
      yield* SubscriptionRef.set(api.intentions, policy(Intention.make("web", "api", "allow", okta)))
      const kept = parse(yield* ask({ path: "/", headers: { "x-token": token } }))
      assert.strictEqual(kept.headers["x-token"], token)
      assert.strictEqual((yield* ask({ path: "/", headers: { cookie: `a=b; t=${token}` } })).status, 200)
    }))

  it.live("are refused to gRPC in its own way", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { port, web } = yield* start([Tokens.entry([pair.jwk])])
      const ask = yield* client(port, web)
      const status = (path: string, token: Record<string, string>) =>
        Effect.map(
          ask({ path, method: "POST", headers: { "content-type": "application/grpc", ...token } }),
          ({ headers, status }) => [status, headers["grpc-status"]]
        )
      assert.deepStrictEqual(yield* status("/", {}), [200, "7"])
      assert.deepStrictEqual(yield* status("/admin", bearer(yield* pair.sign())), [200, "7"])
    }))

  it.live("of requests at hand are what a change of intentions judges them by", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { api, mesh, port, web } = yield* start(
        [Tokens.entry([pair.jwk])],
        policy(Intention.make("web", "api", "allow"))
      )
      const events = (token: Record<string, string>) =>
        Effect.flatMap(client(port, web), (ask) =>
          Effect.forkChild(Effect.exit(ask({ path: "/events", headers: token }))))
      const with_ = yield* events(bearer(yield* pair.sign({ role: "user" })))
      const without = yield* events({})
      yield* eventually(() =>
        mesh.stats().handling === 2
      )
      // Nobody has asked for a token until now.
      yield* SubscriptionRef.set(api.intentions, guarded)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(without)))
      yield* eventually(() => mesh.stats().handling === 1)
      assert.isUndefined(with_.pollUnsafe())
      yield* SubscriptionRef.set(api.intentions, policy(Intention.make("web", "api", "allow", admin)))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(with_)))
      assert.strictEqual(mesh.stats().aborted["denied"], 2)
    }))
})

describe("tokens", () => {
  it.live("that are required of a whole intention are required besides those of its permissions", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* Tokens.keyPair("1"), yield* Tokens.keyPair("2")]
      const { port, web } = yield* start(
        [
          Tokens.entry([first.jwk]),
          Tokens.entry([second.jwk], { Name: "auth0", Locations: [{ Header: { Name: "x-second" } }] })
        ],
        policy(Intention.make("web", "api", [
          { Action: "allow", HTTP: { PathPrefix: "/both" }, JWT: { Providers: [{ Name: "auth0" }] } },
          { Action: "allow", HTTP: { PathPrefix: "/" } }
        ], okta))
      )
      const ask = yield* Http.http2(port, web)
      const one = bearer(yield* first.sign())
      assert.deepStrictEqual(Object.keys(parse(yield* ask({ path: "/", headers: one })).tokens), ["okta"])
      const refused = yield* ask({ path: "/both", headers: one })
      assert.strictEqual(refused.status, 403)
      assert.include(denied(refused), "auth0 (the request carries none)")
      const both = parse(yield* ask({ path: "/both", headers: { ...one, "x-second": yield* second.sign() } }))
      assert.deepStrictEqual(Object.keys(both.tokens), ["okta", "auth0"])
    }))

  it.live("are still what a request at hand came with after they were taken out of it", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { api, mesh, port, web } = yield* start([
        Tokens.entry([pair.jwk]),
        Tokens.entry([pair.jwk], { Name: "other" })
      ])
      const ask = yield* Http.http2(port, web)
      const session = yield* Http.session(port, web)
      const events = session.request({ ":path": "/events", ...bearer(yield* pair.sign({ role: "user" })) })
      events.on("error", () => {})
      yield* Effect.callback<void>((resume) => void events.once("response", () => resume(Effect.void)))
      const demand = (provider: Intention.JwtProvider) =>
        SubscriptionRef.set(
          api.intentions,
          policy(Intention.make("web", "api", "allow", { JWT: { Providers: [provider] } }))
        )
      yield* demand({ Name: "other" })
      // Judged by both: the first change has been heard when the second one is.
      yield* demand({ Name: "other", VerifyClaims: [{ Path: ["role"], Value: "user" }] })
      assert.strictEqual((yield* ask({ path: "/", headers: bearer(yield* pair.sign({ role: "user" })) })).status, 200)
      assert.isFalse(events.closed)
      yield* demand({ Name: "other", VerifyClaims: [{ Path: ["role"], Value: "admin" }] })
      yield* eventually(() => events.closed)
      assert.strictEqual(mesh.stats().aborted["denied"], 1)
    }))

  it.live("are only recorded in audit mode", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { mesh, port, web } = yield* start([Tokens.entry([pair.jwk])], Audit.authorizer(Audit.everywhere, guarded))
      const ask = yield* Http.http2(port, web)
      assert.strictEqual((yield* ask({ path: "/" })).status, 200)
      assert.strictEqual((yield* ask({ path: "/", headers: bearer(yield* pair.sign()) })).status, 200)
      assert.deepStrictEqual(mesh.denials().map(({ audited, refusals }) => [refusals, audited]), [[1, 1]])
    }))

  it.live("wait for a provider that has just been named", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const { mesh, port, provide, web } = yield* start([])
      const ask = yield* Http.http2(port, web)
      const waiting = yield* Effect.forkChild(ask({ path: "/", headers: bearer(yield* pair.sign()) }))
      yield* eventually(() => mesh.stats().handling === 1)
      yield* provide([Tokens.entry([pair.jwk])])
      assert.strictEqual((yield* Fiber.join(waiting)).status, 200)
    }))

  it.live("keep their reason to themselves when told so", () =>
    Effect.gen(function*() {
      const { port, web } = yield* start([Tokens.entry([])], guarded, { reasonHeader: false })
      const ask = yield* Http.http2(port, web)
      const answer = yield* ask({ path: "/" })
      assert.strictEqual(answer.status, 403)
      assert.strictEqual(answer.headers["x-mesh-denied"], "by policy")
    }))

  it.live("are verified by keys from a server, the new ones and, while it is away, the last ones", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* Tokens.keyPair("1"), yield* Tokens.keyPair("2")]
      let published = Tokens.jwks(first.jwk)
      let away = false
      const keys = yield* badAgent((_, response) => {
        response.statusCode = away ? 503 : 200
        response.end(away ? "" : published)
      })
      const { port, web } = yield* start([
        Tokens.remoteEntry(`http://${keys.address}/keys`, { CacheDuration: "100ms" })
      ])
      const ask = yield* Http.http2(port, web)
      const statusOf = (pair: Tokens.KeyPair) =>
        Effect.flatMap(
          pair.sign(),
          (token) => Effect.map(ask({ path: "/", headers: bearer(token) }), ({ status }) => status)
        )
      assert.deepStrictEqual([yield* statusOf(first), yield* statusOf(second)], [200, 403])
      published = Tokens.jwks(second.jwk)
      assert.strictEqual(yield* statusOf(second), 200, "a token of a new key makes the server ask for it")
      assert.strictEqual(yield* statusOf(first), 403, "the old key is gone with it")
      away = true
      const before = keys.requests.length
      yield* eventually(() => keys.requests.length > before)
      assert.strictEqual(yield* statusOf(second), 200)
      assert.deepStrictEqual([...new Set(keys.requests)], ["GET /keys"])
    }))

  const nonsense: Record<string, (response: Http1.ServerResponse) => void> = {
    endless: (response) => {
      let open = true
      response.once("close", () => {
        open = false
      })
      // In turns of its own: writes that fail call back at once, and nobody would hear of the close.
      const more = () => void response.write("x".repeat(65_536), () => open && setImmediate(more))
      more()
    },
    elsewhere: (response) => void response.writeHead(302, { location: "/other" }).end(),
    "no list of keys": (response) => void response.end("<html>")
  }
  it.live.each(Object.keys(nonsense))(
    "are refused when the answer with their keys is %s",
    (what) =>
      Effect.gen(function*() {
        const pair = yield* Tokens.keyPair("a")
        const keys = yield* badAgent((_, response) => nonsense[what]!(response))
        const { port, web } = yield* start([Tokens.remoteEntry(`http://${keys.address}/keys`)])
        const ask = yield* Http.http2(port, web)
        const { headers, status } = yield* ask({ path: "/", headers: bearer(yield* pair.sign()) })
        assert.strictEqual(status, 403)
        assert.include(headers["x-mesh-denied"], "okta (the keys of its provider can not be had at the moment)")
        assert.deepStrictEqual([...new Set(keys.requests)], ["GET /keys"])
      })
  )

  it.live("are refused when their keys do not come in time, and do not hold up who closes", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const asked = yield* Deferred.make<void>()
      const keys = yield* badAgent(() => Deferred.doneUnsafe(asked, Effect.void))
      const { port, web } = yield* start([
        Tokens.remoteEntry(`http://${keys.address}/keys`, { RequestTimeoutMs: 200 })
      ])
      yield* Deferred.await(asked)
      const ask = yield* Http.http2(port, web)
      assert.strictEqual((yield* ask({ path: "/", headers: bearer(yield* pair.sign()) })).status, 403)
    }))

  it.live("let a request at hand go on no longer than their keys may take, once a change demands them", () =>
    Effect.gen(function*() {
      const pair = yield* Tokens.keyPair("a")
      const keys = yield* badAgent(() => {})
      const { api, mesh, port, web } = yield* start(
        [Tokens.remoteEntry(`http://${keys.address}/keys`, { RequestTimeoutMs: 200 })],
        policy(Intention.make("web", "api", "allow"))
      )
      const ask = yield* Http.http2(port, web)
      const headers = bearer(yield* pair.sign({ role: "user" }))
      const events = yield* Effect.forkChild(Effect.exit(ask({ path: "/events", headers })))
      yield* eventually(() => mesh.stats().handling === 1)
      yield* SubscriptionRef.set(api.intentions, guarded)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(events)))
      assert.strictEqual(mesh.stats().aborted["denied"], 1)
    }))
})

const servers = [
  ["node:http", (handle: Http1.RequestListener) => Http1.createServer(handle), Http.http1],
  [
    "node:http2",
    (handle: Http1.RequestListener) =>
      Http2.createServer((request, response) =>
        // The parts that are looked at are the same.
        handle(
          request as unknown as Http1.IncomingMessage,
          response as unknown as Http1.ServerResponse & { req: never }
        )
      ),
    Http.http2
  ]
] as const

describe.each(servers)("tokens at a server of %s", (_, server, client) => {
  it.live("are verified, and taken out of the requests that it gets", () =>
    Effect.gen(function*() {
      const keys = yield* Tokens.keyPair("a")
      const { api, materialOf, serve } = yield* pair()
      const forwarding = { Forwarding: { HeaderName: "X-Payload", PadForwardPayloadHeader: false } }
      yield* SubscriptionRef.set(
        api.providers,
        JwtProviders.fromList([Tokens.provider(Tokens.entry([keys.jwk], forwarding))])
      )
      yield* SubscriptionRef.set(api.intentions, guarded)
      const { port } = yield* serve(server((request, response) =>
        void response.end(JSON.stringify({
          url: request.url,
          headers: request.headers,
          raw: request.rawHeaders,
          tokens: Object.fromEntries(api.mesh.tokensOf(request))
        }))
      ))
      const ask = yield* client(port, yield* materialOf("web"))
      const token = yield* keys.sign({ sub: "alice" })
      assert.strictEqual((yield* ask({ path: "/" })).status, 403)
      assert.strictEqual((yield* ask({ path: "/admin", headers: bearer(token) })).status, 403)
      for (
        const given of [{ path: "/a/../x?b", headers: bearer(token) }, { path: `/a/../x?access_token=${token}&b` }]
      ) {
        const got = parse(yield* ask({ ...given, headers: { ...given.headers, "x-payload": "forged" } }))
        assert.strictEqual(got.url, "/x?b")
        assert.deepStrictEqual(got.tokens, { okta: { iss: Tokens.issuer, sub: "alice" } })
        assert.strictEqual(got.headers["x-payload"], token.split(".")[1])
        assert.notInclude(JSON.stringify([got.headers, got.raw]), token)
        assert.notInclude(JSON.stringify(got), "forged")
      }
      assert.deepStrictEqual(parse(yield* ask({ path: "/free" })).tokens, {})
    }))
})

it.live("tokens are required of upgrades too", () =>
  Effect.gen(function*() {
    const keys = yield* Tokens.keyPair("a")
    const { api, materialOf, serve } = yield* pair()
    yield* SubscriptionRef.set(api.providers, JwtProviders.fromList([Tokens.provider(Tokens.entry([keys.jwk]))]))
    yield* SubscriptionRef.set(api.intentions, guarded)
    const server = Http1.createServer().on("upgrade", (request, socket) => {
      const { sub } = api.mesh.tokensOf(request).get("okta") ?? {}
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\nx-sub: ${String(sub)}\r\n\r\n`
      )
    })
    const { port } = yield* serve(server)
    const { client } = yield* materialOf("web")
    const upgrade = (headers: Record<string, string>) =>
      Effect.callback<string>((resume) => {
        const options: Https.RequestOptions & Tls.ConnectionOptions = {
          host: "127.0.0.1",
          port,
          secureContext: client,
          rejectUnauthorized: false,
          headers: { connection: "upgrade", upgrade: "x", ...headers }
        }
        const request = Https.get(options)
        request.on("response", (response) => resume(Effect.succeed(String(response.statusCode))))
        request.on("upgrade", (response) => resume(Effect.succeed(`upgraded for ${String(response.headers["x-sub"])}`)))
        return Effect.sync(() => request.destroy())
      })
    assert.strictEqual(yield* upgrade({}), "403")
    assert.strictEqual(yield* upgrade(bearer(yield* keys.sign({ sub: "alice" }))), "upgraded for alice")
  }))
