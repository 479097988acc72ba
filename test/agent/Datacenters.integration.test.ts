import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, type Schema, Scope } from "effect"
import { X509Certificate } from "node:crypto"
import * as Datacenters from "../../src/agent/Datacenters.ts"

interface Reply {
  readonly status: number
  readonly index: string
  readonly text: string
}

interface Agent {
  readonly address: string
}

const ask = (agent: Agent, method: string, path: string, body?: Schema.Json): Effect.Effect<Reply> =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${agent.address}${path}`, {
      method,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, index: response.headers.get("x-consul-index") ?? "", text: await response.text() }
  })

const get = (agent: Agent, path: string) => ask(agent, "GET", path)
const json = (agent: Agent, path: string) =>
  Effect.map(get(agent, path), ({ status, text }) => {
    assert.strictEqual(status, 200, text)
    return JSON.parse(text)
  })
const put = (agent: Agent, path: string, body?: Schema.Json) =>
  Effect.tap(
    ask(agent, "PUT", path, body),
    ({ status, text }) => Effect.sync(() => assert.strictEqual(status, 200, text))
  )

const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(
    Effect.catchDefect(effect, Effect.fail),
    Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(500)])
  )

const two = Effect.map(
  Datacenters.make({ datacenters: ["dc1", "dc2"], port: 0 }),
  ({ agents, wan }) => ({ dc1: agents[0], dc2: agents[1]!, wan })
)

const gateway = {
  Kind: "mesh-gateway",
  Name: "mesh-gateway",
  Port: 8443,
  Address: "127.0.0.1",
  TaggedAddresses: { wan: { Address: "198.51.100.7", Port: 443 } }
}

const addressesOf = (entries: ReadonlyArray<{ readonly Service: { readonly Port: number } }> | undefined) =>
  entries?.map(({ Service }) => Service.Port)

describe("Datacenters", () => {
  it.live("each answer for the others, with their own services, and wait there", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* two
      yield* put(dc2, "/v1/agent/service/register", { Name: "api", Port: 7001, Connect: { SidecarService: {} } })
      assert.deepStrictEqual(yield* json(dc1, "/v1/health/connect/api"), [])
      const [found] = yield* json(dc1, "/v1/health/connect/api?dc=dc2")
      assert.strictEqual(found.Node.Datacenter, "dc2")
      assert.strictEqual(found.Service.Port, 22_000)
      assert.deepStrictEqual(yield* json(dc2, "/v1/catalog/datacenters"), ["dc2", "dc1"])

      const { index } = yield* get(dc1, "/v1/health/connect/api?dc=dc2")
      const next = yield* Effect.forkChild(json(dc1, `/v1/health/connect/api?dc=dc2&index=${index}&wait=1m`), {
        startImmediately: true
      })
      yield* eventually(Effect.map(dc2.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* put(dc2, "/v1/agent/service/register", { ID: "api2", Name: "api", Port: 7002, Connect: { Native: true } })
      assert.strictEqual((yield* Fiber.join(next)).length, 2)
    }))

  it.live("close with their scope, questions that wait at another one included", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { dc1, dc2 } = yield* Scope.provide(two, scope)
      const waiting = yield* Effect.forkChild(
        Effect.exit(Effect.tryPromise(() => fetch(`${dc1.address}/v1/health/connect/web?dc=dc2&index=1&wait=10m`))),
        { startImmediately: true }
      )
      yield* eventually(Effect.map(dc2.blocked, (blocked) => assert.strictEqual(blocked, 1)))
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.strictEqual(yield* dc2.blocked, 0)
    }))

  it.live("say in Consul's words that there is no path, and where an error came from", () =>
    Effect.gen(function*() {
      const { dc1, dc2, wan } = yield* two
      assert.deepInclude(yield* get(dc1, "/v1/catalog/services?dc=nope"), {
        status: 500,
        text: "No path to datacenter"
      })
      const failed = yield* get(dc1, "/v1/health/service/web?dc=dc2&filter=bad(")
      assert.match(failed.text, /^rpc error making call: Failed to create boolean expression evaluator/)
      assert.strictEqual((yield* get(dc1, "/v1/config/service-defaults/none?dc=dc2")).status, 404)

      const { index } = yield* get(dc1, "/v1/health/connect/api?dc=dc2")
      const waiting = yield* Effect.forkChild(get(dc1, `/v1/health/connect/api?dc=dc2&index=${index}&wait=1m`), {
        startImmediately: true
      })
      yield* Effect.yieldNow
      wan.set("dc2", "dc1", { isCut: true })
      assert.include(["rpc error making call: EOF", "No path to datacenter"], (yield* Fiber.join(waiting)).text)
      assert.strictEqual((yield* get(dc1, "/v1/health/connect/api?dc=dc2")).text, "No path to datacenter")
      yield* put(dc2, "/v1/development/lines/dc1/dc2?cut=false&delay=5ms")
      assert.deepStrictEqual(yield* json(dc1, "/v1/development/lines"), [
        { Between: ["dc1", "dc2"], Cut: false, DelayMs: 5 }
      ])
      assert.strictEqual((yield* get(dc1, "/v1/health/connect/api?dc=dc2")).status, 200)
      assert.strictEqual((yield* ask(dc1, "PUT", "/v1/development/lines/dc1/dc3?cut=true")).status, 400)
    }))

  it.live("keep what the primary has of config entries and intentions, and catch up after they were cut off", () =>
    Effect.gen(function*() {
      const { dc1, dc2, wan } = yield* two
      // Where it is written from plays no role, nor which datacenter it names.
      yield* put(dc2, "/v1/config?dc=nope", { Kind: "service-defaults", Name: "api", Protocol: "http" })
      yield* put(dc2, "/v1/connect/intentions/exact?source=web&destination=api", { Action: "deny" })
      assert.deepInclude(yield* json(dc1, "/v1/config/service-defaults/api"), { Protocol: "http" })
      yield* eventually(
        Effect.map(
          json(dc2, "/v1/connect/intentions/match?by=destination&name=api"),
          ({ api }) => assert.strictEqual(api[0].Action, "deny")
        )
      )
      wan.set("dc1", "dc2", { isCut: true })
      yield* put(dc1, "/v1/connect/intentions/exact?source=web&destination=api", { Action: "allow" })
      assert.strictEqual((yield* ask(dc2, "PUT", "/v1/config", { Kind: "mesh" })).text, "No path to datacenter")
      const [kept] = (yield* json(dc2, "/v1/connect/intentions/match?by=destination&name=api")).api
      assert.strictEqual(kept.Action, "deny")
      wan.set("dc1", "dc2", { isCut: false })
      yield* eventually(
        Effect.map(
          json(dc2, "/v1/connect/intentions/match?by=destination&name=api"),
          ({ api }) => assert.strictEqual(api[0].Action, "allow")
        )
      )
    }))

  it.live("have one trust domain and the same roots, with leaves of the secondary by an intermediate", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* two
      const roots = (agent: Agent) => json(agent, "/v1/agent/connect/ca/roots")
      const leaf = (agent: Agent) => json(agent, "/v1/agent/connect/ca/leaf/web")
      const before = yield* roots(dc1)
      const there = yield* roots(dc2)
      assert.strictEqual(there.TrustDomain, before.TrustDomain)
      assert.strictEqual(there.ActiveRootID, before.ActiveRootID)

      const check = Effect.gen(function*() {
        const active = (yield* roots(dc2)).Roots.find(({ Active }: { Active: boolean }) => Active)
        const { CertPEM, ServiceURI } = yield* leaf(dc2)
        const chain = CertPEM.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem: string) => pem !== "")
          .map((pem: string) => new X509Certificate(pem)) as Array<X509Certificate>
        const [own] = chain
        const intermediate = chain.find((each) => own!.checkIssued(each))!
        assert.strictEqual(ServiceURI, `spiffe://${before.TrustDomain}/ns/default/dc/dc2/svc/web`)
        assert.isTrue(own!.verify(intermediate.publicKey))
        assert.isTrue(intermediate.ca)
        assert.isTrue(intermediate.verify(new X509Certificate(active.RootCert).publicKey))
        assert.strictEqual(active.IntermediateCerts.at(-1), intermediate.toString())
        return active.ID as string
      })
      assert.strictEqual(yield* check, before.ActiveRootID)

      yield* dc2.rotateRoots
      const { ActiveRootID, Roots } = yield* roots(dc1)
      assert.notStrictEqual(ActiveRootID, before.ActiveRootID)
      yield* eventually(Effect.map(check, (id) => assert.strictEqual(id, ActiveRootID)))
      assert.strictEqual((yield* roots(dc2)).Roots.length, Roots.length)
    }))

  it.live("tell each other of their mesh gateways", () =>
    Effect.gen(function*() {
      const { dc1, dc2, wan } = yield* two
      const path = "/v1/internal/federation-states/mesh-gateways"
      assert.deepStrictEqual(yield* json(dc1, path), {})
      const { index } = yield* get(dc1, path)
      const news = yield* Effect.forkChild(json(dc1, `${path}?index=${index}&wait=1m`), { startImmediately: true })
      yield* put(dc2, "/v1/agent/service/register", gateway)
      const [entry] = (yield* Fiber.join(news)).dc2
      assert.deepStrictEqual(entry.Service.TaggedAddresses.wan, { Address: "198.51.100.7", Port: 443 })
      assert.strictEqual(entry.Service.Kind, "mesh-gateway")

      yield* put(dc1, "/v1/agent/service/register", { ...gateway, Port: 8444 })
      yield* eventually(
        Effect.map(json(dc2, path), (all) => {
          assert.deepStrictEqual([addressesOf(all.dc1), addressesOf(all.dc2)], [[8444], [8443]])
        })
      )
      // What is known of a datacenter out of reach stays known.
      wan.set("dc1", "dc2", { isCut: true })
      yield* put(dc2, "/v1/agent/service/deregister/mesh-gateway")
      assert.deepStrictEqual(addressesOf((yield* json(dc1, path)).dc2), [8443])
      wan.set("dc1", "dc2", { isCut: false })
      yield* eventually(Effect.map(json(dc1, path), (all) => assert.isUndefined(all.dc2)))
    }))

  it.live("refuse a gateway that stands for a service", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* two
      const refused = yield* ask(dc1, "PUT", "/v1/agent/service/register", {
        Kind: "mesh-gateway",
        Name: "mesh-gateway",
        Proxy: { DestinationServiceName: "x", LocalServicePort: 3 }
      })
      assert.deepInclude(refused, {
        status: 400,
        text: "Validation failed: 3 errors occurred:\n\t* Port must be non-zero for a mesh-gateway\n" +
          "\t* The Proxy.DestinationServiceName configuration is invalid for a mesh-gateway\n" +
          "\t* The Proxy.LocalServicePort configuration is invalid for a mesh-gateway\n\n"
      })
    }))

  it.live("compile chains for where they are asked, or for where the question says", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* two
      const target = (path: string) => Effect.map(json(dc1, path), ({ Chain }) => Object.keys(Chain.Targets))
      assert.deepStrictEqual(yield* target("/v1/discovery-chain/web"), ["web.default.default.dc1"])
      assert.deepStrictEqual(yield* target("/v1/discovery-chain/web?dc=dc2"), ["web.default.default.dc2"])
      assert.deepStrictEqual(yield* target("/v1/discovery-chain/web?dc=dc2&compile-dc=dc7"), [
        "web.default.default.dc7"
      ])
    }))

  it.live("register in another datacenter by the body of the request", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* two
      const registration = { Node: "db1", Address: "192.0.2.1", Service: { Service: "db", Port: 5432 } }
      yield* put(dc1, "/v1/catalog/register", { ...registration, Datacenter: "dc2" })
      assert.strictEqual((yield* json(dc2, "/v1/catalog/service/db"))[0].Datacenter, "dc2")
      const lost = yield* ask(dc1, "PUT", "/v1/catalog/register", { ...registration, Datacenter: "dc3" })
      assert.deepInclude(lost, { status: 500, text: "No path to datacenter" })
    }))
})
