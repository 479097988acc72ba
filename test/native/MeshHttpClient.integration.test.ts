import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Schedule, Stream, SubscriptionRef } from "effect"
import { HttpBody, HttpClientRequest, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as Endpoints from "../../src/watch/Endpoints.ts"
import * as PreparedQueries from "../../src/watch/PreparedQueries.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"
import { apis, authorityOf, client, failureOf, instance } from "../support/httpMesh.ts"
import { closedPort, eventually } from "../support/sockets.ts"

describe("MeshHttpClient", () => {
  it.live.each(["http://api/", "https://api:4711/", "http://api.service.consul/", "http://api.service.dc1.consul/"])(
    "calls the service that %s names",
    (url) =>
      Effect.gen(function*() {
        const { dispatcher, get } = yield* apis(1)
        assert.strictEqual(yield* get(url), "api-0")
        assert.deepStrictEqual(dispatcher.stats().requests, { "web api 200": 1 })
      })
  )

  it.live("says what is wrong with another name", () =>
    Effect.gen(function*() {
      const { get } = yield* apis(1)
      const error = yield* failureOf(get("http://example.com/"))
      assert.strictEqual(error.reason._tag, "UnknownName")
    }))

  it.live("takes turns between instances, and keeps their connections", () =>
    Effect.gen(function*() {
      const { get, instances } = yield* apis(2)
      for (let i = 0; i < 10; i++) yield* get("http://api/")
      assert.deepStrictEqual(instances.map(({ asked }) => asked()), [5, 5])
      assert.deepStrictEqual(instances.map(({ stats }) => stats().connections.accepted), [1, 1])
    }))

  it.live("lets go of the connections of an instance that has left", () =>
    Effect.gen(function*() {
      const { discovery, get, instances } = yield* apis(2)
      const [leaving, staying] = instances
      yield* get("http://api/")
      yield* get("http://api/")
      assert.strictEqual(leaving!.stats().connections.open, 1)
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(staying!.port)])
      yield* get("http://api/")
      yield* eventually(() => leaving!.stats().connections.open === 0)
      assert.isAtLeast(staying!.stats().connections.open, 1)
    }))

  it.live("speaks HTTP/2 when told so", () =>
    Effect.gen(function*() {
      const { get, instances } = yield* apis(1, { pool: { http2: true, connections: 1 } })
      yield* get("http://api/")
      yield* Effect.all(Array.from({ length: 20 }, () => get("http://api/")), { concurrency: "unbounded" })
      assert.deepStrictEqual(instances.map(({ asked, stats }) => [asked(), stats().connections.accepted]), [[21, 1]])
    }))

  it.live("sends bodies and hands on headers", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const api = yield* Mesh.member("api", authority)
      const { port } = yield* instance(
        api,
        "api",
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          return HttpServerResponse.text(`${request.headers["host"]} ${yield* Effect.orDie(request.text)}`)
        })
      )
      const discovery = yield* Mesh.discovery({ api: [Mesh.endpoint(port)] })
      const { http } = yield* client(authority, discovery.layer)
      const response = yield* http.execute(
        HttpClientRequest.post("http://api.service.consul/").pipe(HttpClientRequest.bodyText("hello"))
      )
      assert.strictEqual(yield* response.text, "api.service.consul hello")
    }))

  it.live("goes to another instance where one does not answer, and ejects it", () =>
    Effect.gen(function*() {
      const { discovery, get, instances } = yield* apis(1)
      const dead = yield* closedPort
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(dead), Mesh.endpoint(instances[0]!.port)])
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* get("http://api/"), "api-0")
      assert.strictEqual(instances[0]!.asked(), 20)
    }))

  it.live("leaves a failing instance alone for a while, then tries it again", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const api = yield* Mesh.member("api", authority)
      let status = 500
      const flaky = yield* instance(api, "flaky", Effect.sync(() => HttpServerResponse.text("flaky", { status })))
      const good = yield* instance(api, "good")
      const discovery = yield* Mesh.discovery({ api: [flaky, good].map(({ port }) => Mesh.endpoint(port)) })
      const { get } = yield* client(authority, discovery.layer, {
        outliers: { maxFailures: 2, intervalMillis: 10, baseEjectionMillis: 1500 }
      })
      for (let i = 0; i < 10; i++) yield* get("http://api/")
      assert.strictEqual(flaky.asked(), 2)
      status = 200
      yield* eventuallyEffect(Effect.map(get("http://api/"), () => flaky.asked() > 2))
    }))

  it.live("says in its own message what has happened, and not only in the cause, with a stream to send too", () =>
    Effect.gen(function*() {
      const { layer } = yield* Mesh.discovery({ db: [] })
      const { http } = yield* client(yield* authorityOf, layer)
      const stream = HttpBody.stream(Stream.make(new Uint8Array(1)))
      for (const asking of [http.get("http://db/"), http.post("http://db/", { body: stream })]) {
        assert.match(
          (yield* Effect.flip(asking)).message,
          /^Transport: the request to db failed: .+ \((GET|POST) http:\/\/db\/\)$/
        )
      }
    }))

  it.live("names the instance that has another identity than it should", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const impostor = yield* instance(yield* Mesh.member("impostor", authority), "impostor")
      const discovery = yield* Mesh.discovery({ api: [Mesh.endpoint(impostor.port)] })
      const { get } = yield* client(authority, discovery.layer)
      const error = yield* failureOf(get("http://api/"))
      assert.strictEqual(error.reason._tag, "UnexpectedIdentity")
      assert.deepStrictEqual([error.instance, error.address, error.sent], [
        `node/${impostor.port}`,
        `127.0.0.1:${impostor.port}`,
        false
      ])
      assert.strictEqual(impostor.asked(), 0)
    }))

  it.live("repeats what does no harm when an instance dies, and says of the rest which one it was", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const api = yield* Mesh.member("api", authority)
      const doomed = yield* Mesh.member("api", authority)
      const dying = yield* instance(doomed, "dying", Effect.never)
      const good = yield* instance(api, "good")
      const discovery = yield* Mesh.discovery({ api: [Mesh.endpoint(dying.port)] })
      const { dispatcher, get, http } = yield* client(authority, discovery.layer)
      const getting = yield* Effect.forkChild(get("http://api/"))
      const posting = yield* Effect.forkChild(failureOf(http.post("http://api/")))
      yield* eventually(() => dying.asked() === 2)
      yield* discovery.setInstances(Mesh.target("api").id, [dying, good].map(({ port }) => Mesh.endpoint(port)))
      yield* SubscriptionRef.set(doomed.intentions, Mesh.policy("api", {})) // cuts its connections
      assert.strictEqual(yield* Fiber.join(getting), "good")
      const failed = yield* Fiber.join(posting)
      assert.deepStrictEqual([failed.reason._tag, failed.instance, failed.sent], [
        "ConnectionLost",
        `node/${dying.port}`,
        true
      ])
      assert.strictEqual(dispatcher.stats().active, 0)
    }))

  it.live("never retries when told so", () =>
    Effect.gen(function*() {
      const { discovery, get, instances } = yield* apis(1, { retry: Schedule.recurs(0) })
      const dead = yield* closedPort
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(dead), Mesh.endpoint(instances[0]!.port)])
      const error = yield* failureOf(get("http://api/"))
      assert.strictEqual(error.reason._tag, "ConnectFailed")
    }))

  it.live("says that nobody is healthy, and goes on when somebody is", () =>
    Effect.gen(function*() {
      const { discovery, get, instances } = yield* apis(1)
      const { port } = instances[0]!
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(port, 0)])
      const error = yield* failureOf(get("http://api/"))
      assert.match(error.message, /^the request to api failed: its only instance is not healthy\. /)
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(port)])
      assert.strictEqual(yield* get("http://api/"), "api-0")
    }))

  it.live("follows redirects, and failover by health", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const first = yield* instance(yield* Mesh.member("first", authority), "first")
      const second = yield* instance(yield* Mesh.member("second", authority), "second")
      const discovery = yield* Mesh.discovery({
        first: [Mesh.endpoint(first.port)],
        second: [Mesh.endpoint(second.port)]
      })
      yield* discovery.setRoute("api", {
        targets: [Mesh.target("first"), Mesh.target("second")],
        connectTimeoutMillis: 2000
      })
      const { get } = yield* client(authority, discovery.layer)
      assert.strictEqual(yield* get("http://api/"), "first")
      yield* discovery.setInstances(Mesh.target("first").id, [Mesh.endpoint(first.port, 0)])
      assert.strictEqual(yield* get("http://api/"), "second")
      yield* discovery.setRoute("api", { targets: [Mesh.target("first")], connectTimeoutMillis: 2000 })
      yield* discovery.setInstances(Mesh.target("first").id, [Mesh.endpoint(first.port)])
      assert.strictEqual(yield* get("http://api/"), "first")
    }))

  it.live("fails over from a target that has nobody healthy, not from one that is not known yet", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const [first, second] = [
        yield* instance(yield* Mesh.member("first", authority), "first"),
        yield* instance(yield* Mesh.member("second", authority), "second")
      ]
      const arrived = yield* Deferred.make<ReadonlyArray<Endpoints.Endpoint>>()
      let known: ReadonlyArray<Endpoints.Endpoint> | undefined
      const late: Watched.Watched<ReadonlyArray<Endpoints.Endpoint>> = {
        ...Watched.constant("the first", []),
        get: Deferred.await(arrived),
        latest: () => known
      }
      let connectTimeoutMillis = 60_000
      const discovery = Layer.mergeAll(
        DiscoveryChains.layerStatic(() =>
          Watched.constant("the chain", {
            targets: [Mesh.target("first"), Mesh.target("second")],
            connectTimeoutMillis
          })
        ),
        Endpoints.layerStatic(({ service }) =>
          service === "first" ? late : Watched.constant("the second", [Mesh.endpoint(second.port)])
        ),
        PreparedQueries.layerStatic()
      )
      const patient = yield* client(authority, discovery)
      const asking = yield* Effect.forkChild(patient.get("http://api/"), { startImmediately: true })
      connectTimeoutMillis = 2000
      // Nothing is known of the first target, hence the second one has to do after a while, and then at once.
      const impatient = yield* client(authority, discovery)
      assert.strictEqual(yield* impatient.get("http://api/"), "second")
      assert.strictEqual(yield* impatient.get("http://api/"), "second")
      const asked = yield* Effect.forkChild(patient.get("http://api/"), { startImmediately: true })
      known = [Mesh.endpoint(first.port)]
      yield* Deferred.succeed(arrived, known)
      assert.deepStrictEqual([yield* Fiber.join(asking), yield* Fiber.join(asked)], ["first", "first"])
      assert.strictEqual(yield* impatient.get("http://api/"), "first")
    }))

  it.live("sends equal requests to one instance where the resolver hashes them", () =>
    Effect.gen(function*() {
      const { discovery, http } = yield* apis(4)
      yield* discovery.setRoute("api", {
        targets: [Mesh.target("api")],
        connectTimeoutMillis: 2000,
        balancing: {
          policy: LoadBalancer.ringHash(),
          hashBy: [{ field: "header", name: "x-user", terminal: false }]
        }
      })
      const asUser = (user: string) =>
        Effect.flatMap(http.get("http://api/", { headers: { "x-user": user } }), (response) => response.text)
      const answers = new Map<string, ReadonlySet<string>>()
      for (let i = 0; i < 40; i++) {
        const user = `user ${i % 10}`
        answers.set(user, new Set([...answers.get(user) ?? [], yield* asUser(user)]))
      }
      assert.isTrue([...answers.values()].every(({ size }) => size === 1))
      assert.isAbove(new Set([...answers.values()].flatMap((set) => [...set])).size, 1)
    }))

  it.live("hands on what the other side refuses", () =>
    Effect.gen(function*() {
      const { api, http } = yield* apis(1)
      yield* SubscriptionRef.set(api.intentions, { ...Mesh.policy("api", {}), http: true })
      const response = yield* http.get("http://api/")
      assert.strictEqual(response.status, 403)
    }))

  it.live("gives up a request that is interrupted", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const slow = yield* instance(yield* Mesh.member("api", authority), "slow", Effect.never)
      const discovery = yield* Mesh.discovery({ api: [Mesh.endpoint(slow.port)] })
      const { dispatcher, get } = yield* client(authority, discovery.layer)
      const getting = yield* Effect.forkChild(get("http://api/"))
      yield* eventually(() => slow.asked() === 1)
      yield* Fiber.interrupt(getting)
      yield* eventually(() => dispatcher.stats().active === 0 && slow.stats().handling === 0)
    }))

  it.live("serves every request while root and leaves are replaced, on the connections it has and on new ones", () =>
    Effect.gen(function*() {
      const { api, authority, get, web } = yield* apis(2, { pool: { maxAgeMillis: 20 } })
      const failures: Array<unknown> = []
      let asked = 0
      const traffic = yield* Effect.forkChild(
        get("http://api/").pipe(
          Effect.catch((error) =>
            Effect.sync(() => failures.push(Option.getOrUndefined(MeshHttpClient.failure(error))?.message))
          ),
          Effect.tap(Effect.sync(() => asked++)),
          Effect.forever
        )
      )
      const phase = Effect.suspend(() => {
        const until = asked + 50
        return eventually(() => asked >= until)
      })
      yield* phase
      const next = yield* Effect.promise(() => Certificates.root("next"))
      for (const member of [api, web]) yield* SubscriptionRef.set(member.roots, Certificates.bundle(authority, next))
      yield* phase
      yield* SubscriptionRef.set(api.leaf, yield* Effect.promise(() => Certificates.leafOf(next, "api")))
      yield* phase
      yield* SubscriptionRef.set(web.leaf, yield* Effect.promise(() => Certificates.leafOf(next, "web")))
      yield* phase
      for (const member of [api, web]) yield* SubscriptionRef.set(member.roots, Certificates.bundle(next))
      yield* phase
      yield* Fiber.interrupt(traffic)
      assert.deepStrictEqual(failures, [])
    }))
})

const eventuallyEffect = <E, R>(holds: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(holds, (yes) => yes ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), eventuallyEffect(holds)))
