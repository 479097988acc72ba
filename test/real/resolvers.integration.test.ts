import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as Resolver from "../../src/outbound/Resolver.ts"
import * as agent from "../support/consul.ts"

/** Serves as `service`, instance `id`, and says which instance it is. */
const serve = Effect.fnUntraced(
  function*(service: string, options: Partial<agent.Service> = {}, protocol = "http") {
    yield* agent.entry({ Kind: "service-defaults", Name: service, Protocol: protocol })
    const id = options.id ?? service
    const routes = HttpRouter.serve(HttpRouter.add("GET", "/*", Effect.succeed(HttpServerResponse.text(id))), {
      disableLogger: true,
      disableListenLog: true
    })
    const context = yield* Layer.build(
      routes.pipe(
        Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: 0 })),
        Layer.provide(Mesh.layer({ service }))
      )
    )
    const { port } = yield* MeshHttpServer.MeshHttpServer.pipe(Effect.provideContext(context))
    yield* agent.register({ name: service, id, port, native: true, ...options })
    return id
  }
)

/** The ways of `web` into the mesh. `to` is by HTTP, `dial` is without; both say who answered. */
const caller = Effect.fnUntraced(function*(web: string, options?: MeshHttpClient.Options) {
  const context = yield* Layer.build(
    MeshHttpClient.layer(options).pipe(Layer.provideMerge(Mesh.layer({ service: web })))
  )
  const client = yield* HttpClient.HttpClient.pipe(Effect.provideContext(context))
  const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(context))
  const get = (host: string) => Effect.flatMap(client.get(`http://${host}/`), (response) => response.text)
  const dial = (to: Resolver.Input) => Effect.scoped(Effect.map(dialer.dial(to), ({ peer }) => peer.service))
  const failure = (host: string) =>
    Effect.flatMap(Effect.flip(get(host)), (error) => Effect.fromOption(MeshHttpClient.failure(error)))
  return { get, dial, failure }
})

const until = <A, E, R>(ask: Effect.Effect<A, E, R>, expected: A) =>
  agent.eventually(
    Effect.filterOrFail(ask, (said) => said === expected, (said) => `${said} answers, not ${expected}`)
  )

/** What everybody says in this many turns, each once. */
const everybody = Effect.fnUntraced(function*<E, R>(ask: Effect.Effect<string, E, R>, turns = 6) {
  const said = new Set<string>()
  for (let turn = 0; turn < turns; turn++) said.add(yield* ask)
  return [...said].toSorted()
})

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("names of the mesh", (it) => {
  it.effect("lead where the chain of an HTTP service redirects to", () =>
    Effect.gen(function*() {
      const [web, api, old] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("old")]
      yield* serve(api)
      yield* agent.allow(api, web)
      yield* agent.entry({ Kind: "service-defaults", Name: old, Protocol: "http" })
      yield* agent.entry({ Kind: "service-resolver", Name: old, Redirect: { Service: api } })
      const { dial, get } = yield* caller(web)
      yield* until(get(`${old}.service.consul`), api)
      assert.strictEqual(yield* dial({ service: old }), api)
    }))

  it.effect("lead where the chain of an HTTP service fails over to, and back", () =>
    Effect.gen(function*() {
      const [web, api, backup] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("backup")]
      yield* serve(api)
      yield* serve(backup)
      yield* agent.allow(api, web)
      yield* agent.allow(backup, web)
      yield* agent.entry({ Kind: "service-resolver", Name: api, Failover: { "*": { Service: backup } } })
      const { dial, get } = yield* caller(web)
      yield* until(get(api), api)
      assert.strictEqual(yield* dial({ service: api }), api)
      yield* agent.maintenance(api, true)
      yield* until(get(api), backup)
      yield* until(dial({ service: api }), backup)
      yield* agent.maintenance(api, false)
      yield* until(get(api), api)
      yield* until(dial({ service: api }), api)
    }))

  it.effect("of an HTTP service with a splitter and a router lead requests along them, and connections to the service itself", () =>
    Effect.gen(function*() {
      const [web, api, canary] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("canary")]
      yield* serve(api)
      yield* serve(canary)
      yield* agent.allow(api, web)
      yield* agent.allow(canary, web)
      yield* agent.entry({ Kind: "service-splitter", Name: api, Splits: [{ Weight: 100, Service: canary }] })
      yield* agent.entry({
        Kind: "service-router",
        Name: api,
        Routes: [{ Match: { HTTP: { PathPrefix: "/" } }, Destination: { Service: canary } }]
      })
      const { dial, get } = yield* caller(web)
      yield* until(get(api), canary)
      assert.strictEqual(yield* dial({ service: api }), api)
    }))

  it.effect("reach a subset, and what it fails over to", () =>
    Effect.gen(function*() {
      const [web, api, backup] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("backup")]
      const subset = (version: string) => ({ Filter: `Service.Meta.version == ${version}` })
      const one = yield* serve(api, { id: `${api}-1`, meta: { version: "1" } })
      const two = yield* serve(api, { id: `${api}-2`, meta: { version: "2" } })
      yield* serve(backup)
      yield* agent.allow(api, web)
      yield* agent.allow(backup, web)
      yield* agent.entry({
        Kind: "service-resolver",
        Name: api,
        Subsets: { v1: subset("1"), v2: subset("2") },
        Failover: { v2: { Service: backup } }
      })
      const { dial, failure, get } = yield* caller(web)
      yield* until(get(`v1.${api}.service.consul`), one)
      yield* until(get(`v2.${api}.service.consul`), two)
      assert.deepStrictEqual(yield* everybody(get(`v1.${api}.service.consul`)), [one])
      assert.deepStrictEqual(yield* everybody(get(`v2.${api}.service.dc1.consul`)), [two])
      assert.deepStrictEqual(yield* everybody(get(api)), [one, two])
      assert.strictEqual(yield* dial({ service: api, subset: "v2" }), api)

      yield* agent.maintenance(two, true)
      yield* until(get(`v2.${api}.service.consul`), backup)
      yield* until(dial(Resolver.service(api, { subset: "v2" })), backup)
      yield* agent.maintenance(one, true)
      const nobody = yield* agent.eventually(failure(`v1.${api}.service.consul`))
      assert.deepStrictEqual([nobody.service, nobody.reason._tag], [api, "NoHealthyInstance"])

      const unknown = yield* failure(`v9.${api}.service.consul`)
      assert.strictEqual(unknown.reason._tag, "UnknownName")
      assert.include(unknown.message, `${api} has no subset v9 (but v1, v2): define it in the service-resolver`)
      const dialled = yield* Effect.flip(dial({ service: api, subset: "v9" }))
      assert.strictEqual(dialled.reason._tag, "UnknownName")
      yield* agent.entry({ Kind: "service-resolver", Name: api, Subsets: { v9: {} } })
      yield* agent.maintenance(one, false)
      yield* until(get(`v9.${api}.service.consul`), one)
    }))

  it.effect("reach what a prepared query finds, whichever service that is", () =>
    Effect.gen(function*() {
      const [web, api, geo] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("geo")]
      const one = yield* serve(api, { id: `${api}-1`, tags: ["a", "b"] })
      const two = yield* serve(api, { id: `${api}-2`, tags: ["a"] })
      yield* agent.allow(api, web)
      const id = yield* agent.query({ Name: geo, Service: { Service: api, OnlyPassing: true, Tags: ["a"] } })
      const { dial, get } = yield* caller(web, {
        resolve: (host) => host === "polled.example.com" ? Resolver.query(geo, { interval: "20 millis" }) : undefined
      })
      const polled = Resolver.query(id, { interval: "20 millis" })
      const both = [one, two].join()
      yield* until(Effect.map(everybody(get(`${geo}.query.consul`)), (said) => said.join()), both)
      assert.strictEqual((yield* everybody(get(`${geo}.query.dc1.consul`))).join(), both)
      assert.strictEqual(yield* dial(polled), api)

      const consul = yield* ConsulClient.ConsulClient
      yield* consul.call("update", (client) =>
        client.query.update({
          params: { id },
          query: {},
          payload: { Name: geo, Service: { Service: api, Tags: ["a", "!b"] } }
        }))
      yield* agent.eventually(
        Effect.filterOrFail(everybody(get("polled.example.com")), (said) => said.join() === two, (said) => said.join())
      )
      yield* agent.maintenance(two, true)
      yield* agent.eventually(Effect.flip(dial(polled)))
      const nobody = yield* Effect.flip(dial(polled))
      assert.deepStrictEqual([nobody.service, nobody.reason._tag], [`${id}.query`, "NoHealthyInstance"])
    }))

  it.effect("of a prepared query lead nowhere before there is one, and on after it is gone", () =>
    Effect.gen(function*() {
      const [web, api, geo] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("geo")]
      yield* serve(api)
      yield* agent.allow(api, web)
      const { dial, failure } = yield* caller(web)
      const polled = Resolver.query(geo, { interval: "20 millis" })
      const unknown = yield* Effect.flip(dial(polled))
      assert.strictEqual(unknown.reason._tag, "UnknownName")
      assert.include(unknown.message, `there is no prepared query ${geo}: create it`)
      assert.strictEqual((yield* failure(`${geo}.query.consul`)).reason._tag, "UnknownName")

      const scope = yield* Scope.make()
      yield* Scope.provide(agent.query({ Name: geo, Service: { Service: api } }), scope)
      yield* until(dial(polled), api)
      yield* Scope.close(scope, Exit.void)
      const executed = yield* ConsulClient.ConsulClient.pipe(
        Effect.flatMap((consul) =>
          Effect.flip(consul.call("execute", (client) => client.query.execute({ params: { query: geo }, query: {} })))
        )
      )
      assert.strictEqual(executed.reason._tag, "NotFound")
      assert.strictEqual(yield* dial(polled), api)
    }))
})
