/**
 * Sidecars and mesh gateways of ours under two real Consuls, joined over WAN or as peers. CONSUL_BIN names the program, or, under
 * `npm run test:consul`, it is `consul` on the PATH. Without one this is skipped, and says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as agent from "../support/consul.ts"
import * as Gateways from "../support/gateways.ts"
import * as programs from "../support/programs.ts"
import * as RealConsul from "../support/realConsul.ts"
import * as sockets from "../support/sockets.ts"

type Datacenter = Effect.Success<ReturnType<typeof Gateways.datacenter>>

/** Until this is the answer. Consul copies entries from the primary once a second. */
const hears = (port: number, wanted: string) =>
  agent.eventually(
    Effect.filterOrFail(sockets.said(port), (said) => said === wanted, (said) => `it says ${said}`),
    30
  )

const refused = (port: number) => agent.eventually(Effect.flip(sockets.said(port)), 30)

/** A service whose application answers where it is. */
const serve = Effect.fnUntraced(function*(datacenter: Datacenter, service: string) {
  const { port } = yield* sockets.server((socket) => {
    socket.on("data", () => socket.write(datacenter.name))
    socket.on("end", () => socket.end())
  })
  return yield* datacenter.service(service, { port })
})

const maintenance = ({ call }: Datacenter, service: string, enable: boolean) =>
  call(
    "maintenance",
    (api) => api.agent.serviceMaintenance({ params: { id: `${service}-sidecar-proxy` }, query: { enable } })
  )

/** How many connections a gateway has taken. */
const taken = (gateway: Effect.Success<ReturnType<Datacenter["gateway"]>>) =>
  gateway.status().listeners[0]!.counts.accepted

const two = Effect.gen(function*() {
  const consuls = yield* RealConsul.pair
  const dc1 = yield* Gateways.datacenter(consuls.dc1.address, "dc1")
  const dc2 = yield* Gateways.datacenter(consuls.dc2.address, "dc2")
  return { dc1, dc2, here: yield* dc1.gateway(), there: yield* dc2.gateway() }
})

class Two extends Context.Service<Two, Effect.Success<typeof two>>()("test/Two") {}

const why = RealConsul.binary === undefined ? " (skipped: no Consul; name the program in CONSUL_BIN)" : ""

describe.skipIf(RealConsul.binary === undefined)(`under two real Consuls${why}`, () => {
  it.layer(Layer.effect(Two, two), { timeout: 120_000, excludeTestServices: true })("joined over WAN", (it) => {
    it.effect(
      "another datacenter is called through its gateway, through ours as well, and past both",
      () =>
        Effect.gen(function*() {
          const { dc1, dc2, here, there } = yield* Two
          yield* serve(dc2, "modes")
          const [remote, local, none] = yield* Effect.forEach(["remote", "local", "none"], (Mode) =>
            Effect.map(
              dc1.caller(`caller-${Mode}`, [{ DestinationName: "modes", Datacenter: "dc2", MeshGateway: { Mode } }]),
              ({ ports: [port] }) => port
            ))
          const counted = (port: number) =>
            Effect.gen(function*() {
              yield* hears(port, "dc2")
              const before = [taken(here), taken(there)]
              yield* hears(port, "dc2")
              return [taken(here) - before[0]!, taken(there) - before[1]!]
            })
          assert.deepStrictEqual(yield* counted(remote!), [0, 1])
          assert.deepStrictEqual(yield* counted(local!), [1, 1])
          assert.deepStrictEqual(yield* counted(none!), [0, 0])
        }),
      120_000
    )

    it.effect(
      "another datacenter stands in where nobody is left at home, and is left again",
      () =>
        Effect.gen(function*() {
          const { dc1, dc2, here, there } = yield* Two
          yield* dc1.write({ Kind: "service-defaults", Name: "both", MeshGateway: { Mode: "local" } })
          yield* dc1.write({ Kind: "service-resolver", Name: "both", Failover: { "*": { Datacenters: ["dc2"] } } })
          yield* serve(dc1, "both")
          yield* serve(dc2, "both")
          const { ports: [port] } = yield* dc1.caller("client", [{ DestinationName: "both" }])
          yield* hears(port!, "dc1")
          const before = [taken(here), taken(there)]
          yield* maintenance(dc1, "both", true)
          yield* hears(port!, "dc2")
          assert.isAbove(taken(here), before[0]!)
          assert.isAbove(taken(there), before[1]!)
          yield* maintenance(dc1, "both", false)
          yield* hears(port!, "dc1")
        }),
      120_000
    )

    it.effect(
      "an intention that is written in the primary denies callers from there in the other",
      () =>
        Effect.gen(function*() {
          const { dc1, dc2 } = yield* Two
          yield* serve(dc2, "judged")
          const { ports: [port] } = yield* dc1.caller("asker", [{
            DestinationName: "judged",
            Datacenter: "dc2",
            MeshGateway: { Mode: "local" }
          }])
          const judge = (Action: string) =>
            dc1.write({ Kind: "service-intentions", Name: "judged", Sources: [{ Name: "asker", Action }] })
          yield* hears(port!, "dc2")
          yield* judge("deny")
          yield* refused(port!)
          yield* judge("allow")
          yield* hears(port!, "dc2")
        }),
      120_000
    )
  })

  it.live(
    "that are peers, a service that is exported is called, and lets in whom an intention with the peer allows",
    () =>
      Effect.gen(function*() {
        const consuls = yield* RealConsul.peers
        const dc1 = yield* Gateways.datacenter(consuls.dc1.address, "dc1")
        const east = yield* Gateways.datacenter(consuls.east.address, "east")
        const gateway = `127.0.0.1:${yield* agent.freePort}`
        yield* programs.run(process.execPath, [
          ...["src/cli/bin.ts", "gateway", "--mesh", "--register", "--address", gateway],
          ...["--http-addr", consuls.east.address]
        ])
        yield* serve(east, "api")
        const intention = (Action: string) =>
          east.write({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Peer: "dc1", Action }] })
        yield* intention("allow")
        const { ports: [port] } = yield* dc1.caller("web", [{ DestinationName: "api", DestinationPeer: "east" }])
        yield* refused(port!)
        yield* east.exportTo("dc1", "api")
        yield* hears(port!, "east")
        yield* intention("deny")
        yield* refused(port!)
        yield* intention("allow")
        yield* hears(port!, "east")
      }).pipe(Effect.scoped),
    120_000
  )
})
