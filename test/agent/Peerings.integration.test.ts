import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, type Schema } from "effect"
import * as Datacenters from "../../src/agent/Datacenters.ts"

interface Agent {
  readonly address: string
}

const ask = (agent: Agent, method: string, path: string, body?: Schema.Json) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${agent.address}${path}`, {
      method,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, index: response.headers.get("x-consul-index") ?? "", text: await response.text() }
  })

const json = (agent: Agent, path: string, method = "GET", body?: Schema.Json) =>
  Effect.map(ask(agent, method, path, body), ({ status, text }) => {
    assert.strictEqual(status, 200, text)
    return text === "" ? undefined : JSON.parse(text)
  })

const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(
    Effect.catchDefect(effect, Effect.fail),
    Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(500)])
  )

const gateway = {
  Kind: "mesh-gateway",
  Name: "gw",
  Port: 8444,
  Address: "127.0.0.3",
  TaggedAddresses: { wan: { Address: "127.0.0.4", Port: 9444 } }
}

const exported = (...names: ReadonlyArray<string>) => ({
  Kind: "exported-services",
  Name: "default",
  Services: names.map((Name) => ({ Name, Consumers: [{ Peer: "dc1" }] }))
})

/** `dc1` sees `east`, which exports `api` through its gateway. */
const pair = Effect.gen(function*() {
  const { agents: [dc1], peers, wan } = yield* Datacenters.make({ datacenters: ["dc1"], peers: ["east"], port: 0 })
  const east = peers[0]!
  yield* json(east, "/v1/agent/service/register", "PUT", gateway)
  yield* json(east, "/v1/agent/service/register", "PUT", { Name: "api", Port: 7001 })
  yield* json(east, "/v1/agent/service/register", "PUT", { Name: "secret", Port: 7002 })
  yield* json(east, "/v1/config", "PUT", exported("api"))
  return { dc1, east, wan }
})

describe("Peerings", () => {
  it.live("show what is exported, behind the gateways of the other side and under its names", () =>
    Effect.gen(function*() {
      const { dc1, east } = yield* pair
      assert.notStrictEqual(dc1.trustDomain, east.trustDomain)
      const [found] = yield* eventually(
        Effect.tap(
          json(dc1, "/v1/health/connect/api?peer=east"),
          (list) => Effect.sync(() => assert.strictEqual(list.length, 1))
        )
      )
      // As a real agent of version 1.14 shows it.
      assert.deepStrictEqual(found.Service.Connect.PeerMeta, {
        SNI: [`api.default.default.dc1.external.${east.trustDomain}`],
        SpiffeID: [
          `spiffe://${east.trustDomain}/ns/default/dc/east/svc/api`,
          `spiffe://${east.trustDomain}/gateway/mesh/dc/east`
        ],
        Protocol: "tcp"
      })
      assert.deepInclude(found.Service, {
        Address: "127.0.0.3",
        Port: 8444,
        PeerName: "east",
        ID: "api-sidecar-proxy-instance-0"
      })
      assert.deepStrictEqual(found.Service.TaggedAddresses.wan, { Address: "127.0.0.4", Port: 9444 })
      assert.strictEqual(found.Node.PeerName, "east")
      assert.strictEqual(found.Checks[0].Name, "overall-check")
      const [instance] = yield* json(dc1, "/v1/health/service/api?peer=east")
      assert.deepInclude(instance.Service, { ID: "api", Port: 7001, PeerName: "east" })
      assert.deepStrictEqual(yield* json(dc1, "/v1/health/service/secret?peer=east"), [])
      assert.deepStrictEqual(yield* json(dc1, "/v1/health/service/api"), [])
      assert.deepStrictEqual((yield* json(dc1, "/v1/peering/east")).StreamStatus.ImportedServices, ["api"])
      assert.deepStrictEqual((yield* json(east, "/v1/peering/dc1")).StreamStatus.ExportedServices, ["api"])
    }))

  it.live("follow what is exported while the line is open, and keep what they heard", () =>
    Effect.gen(function*() {
      const { dc1, east, wan } = yield* pair
      const path = "/v1/health/service/secret?peer=east"
      const { index } = yield* ask(dc1, "GET", path)
      const news = yield* Effect.forkChild(json(dc1, `${path}&index=${index}&wait=1m`), { startImmediately: true })
      yield* json(east, "/v1/config", "PUT", exported("secret"))
      yield* Fiber.join(news)
      yield* eventually(Effect.map(json(dc1, path), (list) => assert.strictEqual(list.length, 1)))
      wan.set("east", "dc1", { isCut: true })
      yield* json(east, "/v1/config/exported-services/default", "DELETE")
      assert.strictEqual((yield* json(dc1, path)).length, 1)
      wan.set("east", "dc1", { isCut: false })
      yield* eventually(Effect.map(json(dc1, path), (list) => assert.deepStrictEqual(list, [])))
    }))

  it.live("have the roots of the other side, also those of before a rotation", () =>
    Effect.gen(function*() {
      const { dc1, east } = yield* pair
      const pems = (agent: Agent, peer: string) =>
        Effect.map(json(agent, `/v1/peering/${peer}`), ({ PeerCAPems }) => PeerCAPems as ReadonlyArray<string>)
      const roots = (agent: Agent) =>
        Effect.map(
          json(agent, "/v1/agent/connect/ca/roots"),
          ({ Roots }) => Roots.map(({ RootCert }: { RootCert: string }) => RootCert) as ReadonlyArray<string>
        )
      assert.deepStrictEqual(yield* pems(dc1, "east"), yield* roots(east))
      assert.deepStrictEqual(yield* pems(east, "dc1"), yield* roots(dc1))
      yield* east.rotateRoots
      const after = yield* roots(east)
      assert.strictEqual(after.length, 2)
      yield* eventually(Effect.map(pems(dc1, "east"), (list) => assert.deepStrictEqual(list, after)))
    }))

  it.live("are made by a token, once, and ended from either side", () =>
    Effect.gen(function*() {
      const { dc1, east } = yield* pair
      yield* json(dc1, "/v1/peering/east", "DELETE")
      assert.deepStrictEqual(yield* json(dc1, "/v1/peerings"), [])
      assert.deepInclude(yield* json(east, "/v1/peering/dc1"), { State: "TERMINATED" })
      assert.deepStrictEqual(yield* json(dc1, "/v1/health/connect/api?peer=east"), [])
      assert.deepInclude(yield* ask(dc1, "GET", "/v1/peering/east"), {
        status: 404,
        text: "Peering not found for \"east\""
      })
      assert.deepInclude(yield* ask(dc1, "POST", "/v1/peering/token", {}), {
        status: 400,
        text: "PeerName is required in the payload when generating a new peering token."
      })
      assert.deepInclude(yield* ask(dc1, "POST", "/v1/peering/establish", { PeerName: "x", PeeringToken: "zz" }), {
        status: 500,
        text: "rpc error: code = Unknown desc = failed to decode token: illegal base64 data at input byte 0"
      })
      const { PeeringToken } = yield* json(east, "/v1/peering/token", "POST", { PeerName: "one" })
      assert.deepInclude(yield* json(east, "/v1/peering/one"), { State: "PENDING" })
      assert.deepStrictEqual(
        yield* json(dc1, "/v1/peering/establish", "POST", { PeerName: "orient", PeeringToken }),
        {}
      )
      const peering = yield* json(dc1, "/v1/peering/orient")
      assert.deepInclude(peering, {
        State: "ACTIVE",
        PeerServerName: `server.east.peering.${east.trustDomain}`,
        Remote: { Partition: "", Datacenter: "east" }
      })
      const again = yield* ask(dc1, "POST", "/v1/peering/establish", { PeerName: "x", PeeringToken })
      assert.strictEqual(again.status, 500)
    }))
})
