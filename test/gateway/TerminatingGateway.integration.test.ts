import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import type { TLSSocket } from "node:tls"
import * as Certificates from "../support/certificates.ts"
import * as Gateways from "../support/gateways.ts"
import * as HostileHellos from "../support/hostileHellos.ts"
import * as sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const { call, eventually } = Gateways

const serviceOf = (peer: string) => peer.slice(peer.indexOf("/dc/"))

/** An HTTP server over TLS that asks its clients for a certificate, and tells what it has seen. */
const outsideHttps = Effect.gen(function*() {
  const authority = yield* Effect.promise(() => Certificates.root("outside"))
  const server = yield* Effect.promise(() => Certificates.issue(authority, { uris: [], dns: ["billing.example"] }))
  const client = yield* Effect.promise(() => Certificates.issue(authority, { uris: [], dns: ["client.example"] }))
  const paths = yield* TlsClients.files(client, authority)
  const seen: Array<{
    readonly path: string | undefined
    readonly servername: unknown
    readonly client: string
    readonly headers: Http.IncomingHttpHeaders
  }> = []
  const port = yield* Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly server: Https.Server }>((resume) => {
      const listening = Https.createServer({
        cert: server.chainPem,
        key: server.keyPem,
        ca: authority.pem,
        requestCert: true,
        rejectUnauthorized: true
      }, (request, response) => {
        const socket = request.socket as TLSSocket
        seen.push({
          path: request.url,
          servername: (socket as unknown as { readonly servername: unknown }).servername,
          client: socket.getPeerX509Certificate()?.subjectAltName ?? "",
          headers: request.headers
        })
        response.end(`${request.method} ${request.url}`)
      })
      listening.listen(
        0,
        "127.0.0.1",
        () => resume(Effect.succeed({ port: (listening.address() as Net.AddressInfo).port, server: listening }))
      )
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  return { port: port.port, seen, paths, authority }
})

const request = (port: number, method: string, path: string) =>
  Effect.callback<{ readonly status: number; readonly body: string }>((resume) => {
    const sent = Http.request({ port, host: "127.0.0.1", method, path, agent: false }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += chunk))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode!, body })))
      response.on("error", () => resume(Effect.succeed({ status: 0, body })))
    })
    sent.on("error", () => resume(Effect.succeed({ status: 0, body: "" })))
    sent.end()
  })

/** `billing` outside, which answers in upper case, linked, and `web`, which may call it. */
const linked = Effect.gen(function*() {
  const { dc1, sni } = yield* Gateways.one
  const { port } = yield* sockets.shouting
  yield* dc1.outside("billing", port)
  yield* dc1.link({ Name: "billing" })
  const gateway = yield* dc1.terminating()
  return { dc1, sni, gateway, web: yield* dc1.identity("web") }
})

/** `billing` outside over HTTPS, linked, and where `web` calls it. */
const linkedHttps = (outside: Effect.Success<typeof outsideHttps>, Source: Schema.JsonObject = { Action: "allow" }) =>
  Effect.gen(function*() {
    const { dc1 } = yield* Gateways.one
    const { cert: CertFile, key: KeyFile, root: CAFile } = outside.paths
    const link = (SNI: string) => dc1.link({ Name: "billing", CAFile, CertFile, KeyFile, SNI })
    yield* dc1.write({ Kind: "service-defaults", Name: "billing", Protocol: "http" })
    yield* dc1.write({ Kind: "service-intentions", Name: "billing", Sources: [{ Name: "web", ...Source }] })
    yield* dc1.outside("billing", outside.port)
    yield* link("billing.example")
    yield* dc1.terminating()
    const web = yield* dc1.service("web", { upstreams: ["billing"] })
    return { link, port: web.portTo("billing") }
  })

describe("TerminatingGateway", () => {
  it.live("is each linked service to its callers, and passes their bytes to an instance outside", () =>
    Effect.gen(function*() {
      const { gateway, sni, web } = yield* linked
      const { answer, peer } = yield* eventually(call(gateway.port, web, sni("billing")))
      assert.deepStrictEqual([answer, serviceOf(peer)], ["HELLO", "/dc/dc1/svc/billing"])
      yield* Effect.flip(call(gateway.port, web, sni("other")))
      assert.deepStrictEqual(gateway.status().listeners.map(({ name }) => name), [
        "terminating default",
        "service billing"
      ])
    }))

  it.live("finds services that are registered or linked with capitals, in a datacenter of such a name", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.capitals
      const [billing, mail] = [yield* sockets.shouting, yield* sockets.shouting]
      yield* dc1.outside("Billing", billing.port)
      yield* dc1.outside("mail", mail.port)
      yield* dc1.link({ Name: "Billing" }, { Name: "Mail" })
      const gateway = yield* dc1.terminating()
      const web = yield* dc1.identity("web")
      for (const name of [sni("Billing", "DC1"), sni("billing", "dc1"), sni("mail", "DC1"), sni("Mail", "DC1")]) {
        assert.strictEqual((yield* eventually(call(gateway.port, web, name))).answer, "HELLO", name)
      }
    }))

  it.live("is found by sidecars under the name of the service, and enforces its intentions on open connections too", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* linked
      const web = yield* dc1.service("web", { upstreams: ["billing"] })
      const port = web.portTo("billing")
      yield* eventually(Effect.map(sockets.said(port), (answer) => assert.strictEqual(answer, "HELLO")))
      const open = yield* sockets.connect(port)
      open.write("first")
      yield* Effect.callback<void>((resume) => void open.once("data", () => resume(Effect.void)))
      const closed = Effect.callback<void>((resume) => {
        if (open.destroyed) return resume(Effect.void)
        open.resume().once("close", () => resume(Effect.void))
      })
      yield* dc1.write({ Kind: "service-intentions", Name: "billing", Sources: [{ Name: "web", Action: "deny" }] })
      yield* closed
      assert.strictEqual(yield* Effect.flip(sockets.said(port, "again")), "closed")
    }))

  it.live("judges each request where the service speaks HTTP, and speaks TLS outside with its own authority, name and certificate", () =>
    Effect.gen(function*() {
      const outside = yield* outsideHttps
      const { port } = yield* linkedHttps(outside, {
        Permissions: [
          { Action: "allow", HTTP: { PathPrefix: "/invoices", Methods: ["GET"] } },
          { Action: "deny", HTTP: { PathPrefix: "/" } }
        ]
      })
      yield* eventually(
        Effect.map(
          request(port, "GET", "/invoices/1"),
          ({ body, status }) => assert.deepStrictEqual([status, body], [200, "GET /invoices/1"])
        )
      )
      assert.strictEqual((yield* request(port, "POST", "/invoices/1")).status, 403)
      assert.strictEqual((yield* request(port, "GET", "/customers")).status, 403)
      const { seen } = outside
      assert.isTrue(seen.every(({ path }) => path === "/invoices/1"))
      const [first] = seen
      assert.strictEqual(first!.servername, "billing.example")
      assert.include(first!.client, "client.example")
      assert.notProperty(first!.headers, "x-forwarded-client-cert")
    }))

  it.live("refuses an outside whose certificate is of another authority or another name, and takes files that are replaced", () =>
    Effect.gen(function*() {
      const outside = yield* outsideHttps
      const { authority, paths, seen } = outside
      const stranger = yield* Effect.promise(() => Certificates.root("stranger"))
      writeFileSync(paths.root, stranger.pem)
      const { link, port } = yield* linkedHttps(outside)
      yield* eventually(Effect.map(request(port, "GET", "/"), ({ body, status }) => {
        assert.strictEqual(status, 503)
        assert.notInclude(body, "no healthy upstream")
      }))
      assert.strictEqual(seen.length, 0)
      writeFileSync(paths.root, authority.pem)
      assert.include(readFileSync(paths.root, "utf8"), "CERTIFICATE")
      yield* eventually(Effect.map(request(port, "GET", "/"), ({ status }) => assert.strictEqual(status, 200)))
      yield* link("other.example")
      const before = seen.length
      // A connection that was made before may still be there for a while.
      yield* eventually(Effect.map(request(port, "GET", "/"), ({ status }) => assert.strictEqual(status, 503)))
      assert.isAtLeast(seen.length, before)
    }))

  it.live("follows its config entry: services come and go, and others are not touched", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      const [billing, mail] = [yield* sockets.shouting, yield* sockets.shouting]
      yield* dc1.outside("billing", billing.port)
      yield* dc1.outside("mail", mail.port)
      const gateway = yield* dc1.terminating()
      const web = yield* dc1.identity("web")
      yield* Effect.flip(call(gateway.port, web, sni("billing")))
      yield* dc1.link({ Name: "billing" })
      yield* eventually(call(gateway.port, web, sni("billing")))
      yield* dc1.link({ Name: "billing" }, { Name: "mail" })
      yield* eventually(call(gateway.port, web, sni("mail")))
      const open = yield* Gateways.connect(gateway.port, web, sni("billing"))
      assert.strictEqual(yield* Gateways.say(open, "a"), "A")
      yield* dc1.link({ Name: "mail" })
      yield* eventually(Effect.flip(call(gateway.port, web, sni("billing"))))
      assert.strictEqual(yield* Gateways.say(open, "b"), "B")
      assert.strictEqual((yield* call(gateway.port, web, sni("mail"))).answer, "HELLO")
    }))

  it.live("serves a service that is linked again, also after connections of before have ended", () =>
    Effect.gen(function*() {
      const { dc1, gateway, sni, web } = yield* linked
      yield* eventually(call(gateway.port, web, sni("billing")))
      const open = yield* Gateways.connect(gateway.port, web, sni("billing"))
      assert.strictEqual(yield* Gateways.say(open, "a"), "A")
      yield* dc1.link()
      yield* eventually(Effect.flip(call(gateway.port, web, sni("billing"))))
      yield* dc1.link({ Name: "billing" })
      yield* eventually(call(gateway.port, web, sni("billing")))
      assert.strictEqual(yield* Gateways.say(open, "b"), "B")
      open.socket.destroy()
      yield* eventually(
        Effect.sync(() => assert.isTrue(gateway.status().listeners.every(({ state }) => state._tag === "Listening")))
      )
      assert.strictEqual((yield* call(gateway.port, web, sni("billing"))).answer, "HELLO")
    }))

  it.live("turns away whatever leads to no service, and nobody outside hears of it", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      let reached = 0
      const counting = sockets.server((socket) => {
        reached++
        socket.end("HELLO")
      })
      for (const service of ["api", "db"]) yield* dc1.outside(service, (yield* counting).port)
      yield* dc1.link({ Name: "api" }, { Name: "db" })
      const gateway = yield* dc1.terminating()
      const web = yield* dc1.identity("web")
      // Whoever asks for the service gets there.
      yield* eventually(call(gateway.port, web, sni("api")))
      const before = reached
      assert.isAbove(before, 0)
      const refusals = () => gateway.status().listeners[0]!.counts.refused
      for (const { bytes, reason, terminating = reason, what } of HostileHellos.all) {
        const refused = refusals()[terminating] ?? 0
        assert.strictEqual(yield* Gateways.answerTo(gateway.port, bytes(sni)), "", what)
        assert.strictEqual(refusals()[terminating], refused + 1, `${what}: ${JSON.stringify(refusals())}`)
      }
      assert.strictEqual(reached, before)
    }))

  it.live("does not let in who has no certificate of the mesh", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      let reached = 0
      const billing = yield* sockets.server((socket) => {
        reached++
        socket.destroy()
      })
      yield* dc1.outside("billing", billing.port)
      yield* dc1.link({ Name: "billing" })
      const gateway = yield* dc1.terminating()
      const web = yield* dc1.identity("web")
      yield* eventually(
        Effect.sync(() => assert.isTrue(gateway.status().listeners.every(({ state }) => state._tag === "Listening")))
      )
      const stranger = yield* Effect.promise(() => Certificates.root("stranger"))
      const { certPem, keyPem } = yield* Effect.promise(() => Certificates.issue(stranger))
      yield* Effect.flip(call(gateway.port, { ...web, cert: certPem, key: keyPem }, sni("billing")))
      assert.strictEqual(reached, 0)
    }))
})
