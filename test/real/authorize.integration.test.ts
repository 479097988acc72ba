/** Asking the agent who may connect: what it answers, and a service that goes by it. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as agent from "../support/consul.ts"
import * as Http from "../support/http.ts"
import * as Listeners from "../support/listeners.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"
const path = (service: string) => `/ns/default/dc/dc1/svc/${service}`

/** `yes`, `no` or the status, and the reason. */
const ask = (
  payload: { readonly Target: string; readonly ClientCertURI: string; readonly ClientCertSerial?: string }
) =>
  Effect.flatMap(
    ConsulClient.ConsulClient,
    (consul) => consul.call("authorize", (api) => api.agent.authorize({ query: {}, payload }))
  ).pipe(
    Effect.map(({ body }) => `${body.Authorized ? "yes" : "no"}: ${body.Reason}`),
    Effect.catchReason("ConsulError", "InvalidRequest", ({ body, status }) => Effect.succeed(`${status}: ${body}`))
  )

/** Before 1.17, the policy of ACLs was that of intentions. */
const asNamedNow = (answer: string): string =>
  answer.replace("Default behavior configured by ACLs", "Default intention policy")

const join = (service: string, options: Partial<Mesh.Options> = {}) => Layer.build(Mesh.layer({ service, ...options }))

/** A connection as `service`, by its certificate of the mesh. */
const connect = Effect.fnUntraced(function*(service: string, port: number) {
  const contexts = yield* SecureContexts.SecureContexts.pipe(Effect.provideContext(yield* join(service)))
  const { socket } = yield* TlsClients.connect(port, undefined, { secureContext: contexts.current().client })
  return { socket, record: Sockets.record(socket) }
})

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("authorize", (it) => {
  it.effect("answers by intentions, whatever serial, trust domain and datacenter are", () =>
    Effect.gen(function*() {
      const [web, batch, api] = [agent.fresh("web"), agent.fresh("batch"), agent.fresh("api")]
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        Sources: [{ Name: web, Action: "allow" }, { Name: batch, Action: "deny" }]
      })
      const from = (uri: string, ClientCertSerial?: string) =>
        ask({ Target: api, ClientCertURI: uri, ...(ClientCertSerial === undefined ? {} : { ClientCertSerial }) })
      const matched = (name: string, action: string) =>
        `Matched L4 intention: default/${name} => default/${api} (Precedence: 9, Action: ${action})`
      const allowed = `yes: ${matched(web, "ALLOW")}`
      // Agents answer from a cache.
      yield* agent.eventually(
        Effect.filterOrFail(from(`spiffe://${trustDomain}${path(web)}`), (answer) => answer === allowed)
      )
      for (
        const [uri, serial, expected] of [
          [`spiffe://${trustDomain}${path(web)}`, "0a:1b:2c", allowed],
          [`spiffe://${trustDomain}${path(web)}`, "no serial at all", allowed],
          [`spiffe://other.consul/ap/default/ns/default/dc/elsewhere/svc/${web}`, undefined, allowed],
          [`spiffe://${trustDomain}${path(batch)}`, undefined, `no: ${matched(batch, "DENY")}`],
          [`spiffe://${trustDomain}${path("nobody")}`, undefined, "no: Default intention policy"],
          [`spiffe://${trustDomain}/ns/team/dc/dc1/svc/${web}`, undefined, "no: Default intention policy"],
          [
            `spiffe://${trustDomain}/ap/east${path(web)}`,
            undefined,
            "400: Mismatched partitions: \"east\" != \"default\""
          ],
          ["https://web.example", undefined, "400: ClientCertURI not a valid Connect identifier"],
          ["", undefined, "400: ClientCertURI not a valid Connect identifier"],
          [
            `spiffe://${trustDomain}/agent/client/dc/dc1/id/node`,
            undefined,
            "400: ClientCertURI not a valid Service identifier"
          ],
          [`spiffe://${trustDomain}`, undefined, "400: ClientCertURI not a valid Service identifier"]
        ] as const
      ) assert.strictEqual(asNamedNow(yield* from(uri, serial)), expected, uri)
      const nobody = yield* ask({ Target: "", ClientCertURI: "" })
      assert.strictEqual(nobody, "400: Target service must be specified")
    }))

  it.effect("refuses where an intention has permissions, whatever they allow", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      yield* agent.entry({ Kind: "service-defaults", Name: api, Protocol: "http" })
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        Sources: [{ Name: web, Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }] }]
      })
      yield* agent.eventually(
        Effect.filterOrFail(
          ask({ Target: api, ClientCertURI: `spiffe://${trustDomain}${path(web)}` }),
          (answer) =>
            answer === `no: Matched L7 intention: default/${web} => default/${api} (Precedence: 9, Permissions: 1)`
        )
      )
    }))

  it.effect("is what a service goes by that asks it: for new connections, and for open ones on its schedule", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const consul = yield* ConsulClient.ConsulClient
      const intend = (Action: "allow" | "deny") =>
        consul.call(
          "intend",
          (client) => client.connect.setIntention({ query: { source: web, destination: api }, payload: { Action } })
        )
      yield* Effect.addFinalizer(() =>
        consul.call(
          "forget",
          (client) => client.connect.deleteIntention({ query: { source: web, destination: api } })
        ).pipe(Effect.ignore)
      )
      const listener = yield* MeshListener.make({
        host: "127.0.0.1",
        port: 0,
        handle: Listeners.shout,
        reauthorize: Schedule.spaced("50 millis")
      }).pipe(Effect.provideContext(yield* join(api, { authorization: "ask" })))
      const refused = yield* connect(web, listener.port)
      assert.strictEqual(yield* refused.record.ending, "ECONNRESET")
      assert.deepStrictEqual(listener.stats().refused, { denied: 1 })

      yield* intend("allow")
      const served = yield* agent.eventually(Effect.gen(function*() {
        const { record, socket } = yield* connect(web, listener.port)
        socket.write("hello")
        yield* Effect.raceFirst(
          record.until("HELLO"),
          Effect.flatMap(record.ending, (ending) => record.text() === "HELLO" ? Effect.void : Effect.fail(ending))
        )
        return record
      }))
      yield* intend("deny")
      assert.strictEqual(yield* served.ending, "ECONNRESET")
      assert.strictEqual(listener.stats().cut, 1)
    }))

  it.effect("lets connections in to an HTTP server that asks it, whose requests are then not judged", () =>
    Effect.gen(function*() {
      const [web, batch, api] = [agent.fresh("web"), agent.fresh("batch"), agent.fresh("api")]
      yield* agent.entry({ Kind: "service-defaults", Name: api, Protocol: "http" })
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        Sources: [
          { Name: web, Action: "allow" },
          { Name: batch, Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }] }
        ]
      })
      const server = yield* Layer.build(
        HttpRouter.serve(
          HttpRouter.add(
            "GET",
            "/*",
            Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => HttpServerResponse.text(caller.service))
          ),
          { disableLogger: true, disableListenLog: true }
        ).pipe(
          Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0 })),
          Layer.provide(Mesh.layer({ service: api, authorization: "ask" }))
        )
      )
      const { port, stats } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(server))
      const call = (service: string) =>
        Effect.gen(function*() {
          const contexts = yield* SecureContexts.SecureContexts.pipe(Effect.provideContext(yield* join(service)))
          return yield* (yield* Http.http2(port, contexts.current()))({ path: "/a" })
        })
      const answer = yield* agent.eventually(call(web))
      assert.deepStrictEqual([answer.status, answer.body], [200, web])
      const before = stats().connections.refused.denied ?? 0
      assert.strictEqual((yield* Effect.flip(call(batch)))._tag, "NoAnswer")
      assert.strictEqual(stats().connections.refused.denied, before + 1)
    }))
})
