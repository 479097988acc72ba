/** Envoys and sidecars of this project in clusters that are peers, through our gateway. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import * as Run from "../../src/cli/envoy/Run.ts"
import * as Agents from "../support/consul.ts"
import * as Gateways from "../support/gateways.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"
import * as TrafficApplication from "../support/trafficApplication.ts"

const { eventually } = Gateways

type Datacenter = Effect.Success<typeof Gateways.peers>["dc1"]
type Kind = "envoy" | "ours"

const service = Effect.fnUntraced(function*(
  { name: datacenter, registered }: Datacenter,
  grpc: string,
  kind: Kind,
  name: string,
  port: number,
  upstreams: ReadonlyArray<Schema.JsonObject> = []
) {
  const proxyId = yield* registered(name, port, upstreams)
  if (kind === "ours") {
    yield* SidecarProcess.start({ args: ["--grpc-addr", grpc, "--proxy-id", proxyId] })
    return
  }
  yield* Run.start({
    binary: process.env["ENVOY_BIN"]!,
    bootstrap: {
      proxyId,
      service: proxyId,
      datacenter,
      grpc: { host: "127.0.0.1", port: Number(grpc.split(":")[1]) },
      admin: { host: "127.0.0.1", port: 0 },
      adminAccessLog: "/dev/null",
      token: ""
    },
    args: ["--concurrency", "1", "-l", "error"],
    output: () => Effect.void
  })
})

const answers = (port: number, status: number) =>
  eventually(Effect.tryPromise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/`)
    await answer.text()
    assert.strictEqual(answer.status, status)
  }))

const intention = ({ write }: Datacenter, Source: Schema.JsonObject) =>
  write({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", ...Source }] })

describe("peers", () => {
  it.live.each<readonly [Kind, Kind]>([["envoy", "ours"], ["ours", "envoy"], ["envoy", "envoy"]])(
    "are called by %s, answer by %s, and let in whom an intention names",
    ([calls, answersBy]) =>
      Effect.gen(function*() {
        const { dc1, east, grpc } = yield* Gateways.peers
        for (const { write } of [dc1, east]) {
          yield* write({ Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" } })
        }
        yield* intention(east, { Peer: "dc1", Action: "allow" })
        yield* east.exportTo("dc1", "api")
        yield* east.gateway()
        const app = yield* TrafficApplication.open("http")
        yield* service(east, grpc.east, answersBy, "api", app.port)
        const port = yield* Agents.freePort
        yield* service(dc1, grpc.dc1, calls, "web", 1, [
          {
            DestinationName: "api",
            DestinationPeer: "east",
            LocalBindPort: port,
            // Five failures in a row, while all of this comes up, are half a minute without the peer.
            Config: { passive_health_check: { interval: "1s", base_ejection_time: "1s" } }
          }
        ])
        yield* answers(port, 200)
        // Of its own cluster, which says nothing of callers of the peer, whatever holds by default.
        yield* intention(east, { Action: "allow" })
        yield* answers(port, 403)
        yield* intention(east, { Peer: "dc1", Action: "allow" })
        yield* answers(port, 200)
      }).pipe(Effect.provide(NodeServices.layer))
  )
})
