/** Sidecars that hear everything by xDS, in clusters that are peers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import * as Agents from "../support/consul.ts"
import * as Gateways from "../support/gateways.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"
import * as TrafficApplication from "../support/trafficApplication.ts"

const { eventually } = Gateways

type Datacenter = Effect.Success<typeof Gateways.peers>["dc1"]

const fed = (grpc: string, proxyId: string) =>
  SidecarProcess.start({ args: ["--grpc-addr", grpc, "--proxy-id", proxyId] })

const get = (port: number) =>
  Effect.tryPromise(() =>
    fetch(`http://127.0.0.1:${port}/`).then(async (answer) => [answer.status, await answer.text()])
  )

const answers = (port: number, status: number) =>
  eventually(Effect.map(get(port), ([got]) => assert.strictEqual(got, status)))

const intention = ({ write }: Datacenter, ...Sources: ReadonlyArray<Schema.JsonObject>) =>
  write({ Kind: "service-intentions", Name: "api", Sources })

describe("sidecars that are fed by xDS", () => {
  it.live("call a service of a peer, and let in callers of a peer that an intention names", () =>
    Effect.gen(function*() {
      const { dc1, east, grpc, rotate, rotateOurs } = yield* Gateways.peers
      for (const { write } of [dc1, east]) {
        yield* write({ Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" } })
      }
      yield* dc1.write({ Kind: "service-resolver", Name: "api", Redirect: { Service: "api", Peer: "east" } })
      yield* intention(east, { Name: "web", Peer: "dc1", Action: "allow" })
      yield* east.exportTo("dc1", "api")
      yield* east.gateway()
      const app = yield* TrafficApplication.open("http")
      const api = yield* fed(grpc.east, yield* east.registered("api", app.port))
      // Five failures in a row, while all of this comes up, are half a minute without the peer.
      const Config = { passive_health_check: { interval: "1s", base_ejection_time: "1s" } }
      const [named, redirected] = [yield* Agents.freePort, yield* Agents.freePort]
      const caller = yield* dc1.registered("web", 1, [
        { DestinationName: "api", DestinationPeer: "east", LocalBindPort: named, Config },
        { DestinationName: "api", LocalBindPort: redirected, Config }
      ])
      const web = yield* fed(grpc.dc1, caller)
      for (const port of [named, redirected]) yield* answers(port, 200)
      // Callers of its own by that name are others, and so are all of whom nothing is said, whatever holds by default.
      yield* intention(east, { Name: "web", Action: "allow" })
      yield* answers(named, 403)
      yield* intention(east, { Name: "*", Peer: "dc1", Action: "allow" }, {
        Name: "web",
        Peer: "dc1",
        Permissions: [{ Action: "deny", HTTP: { PathExact: "/" } }]
      })
      yield* answers(redirected, 403)
      yield* intention(east, { Name: "*", Peer: "dc1", Action: "allow" })
      yield* answers(named, 200)
      yield* rotate
      for (let turn = 0; turn < 5; turn++) yield* answers(named, 200)
      yield* rotateOurs
      for (let turn = 0; turn < 5; turn++) yield* answers(redirected, 200)
      yield* east.call("end", (agent) => agent.peering.delete({ params: { name: "dc1" }, query: {} }))
      // Nothing is told any more of an upstream that nobody vouches for: its port closes.
      yield* eventually(Effect.flip(get(named)))
      for (const { output } of [api, web]) assert.notInclude(output(), "not understood")
    }))
})
