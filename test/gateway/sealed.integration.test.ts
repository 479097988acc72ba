import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { X509Certificate } from "node:crypto"
import { connect as connectTcp } from "node:net"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as MeshGateway from "../../src/gateway/MeshGateway.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as GatewayRegistration from "../../src/watch/GatewayRegistration.ts"
import * as agents from "../support/agents.ts"
import * as agent from "../support/consul.ts"
import * as Gateways from "../support/gateways.ts"
import * as sockets from "../support/sockets.ts"

/** Lets everything through to a port, and keeps it. */
const tap = (to: number) => {
  const seen = { there: Buffer.alloc(0), back: Buffer.alloc(0) }
  return Effect.map(
    sockets.server((socket) => {
      const onward = connectTcp({ port: to, host: "127.0.0.1", allowHalfOpen: true })
      onward.on("error", () => socket.destroy())
      socket.on("data", (chunk: Buffer) => (seen.there = Buffer.concat([seen.there, chunk])))
      onward.on("data", (chunk: Buffer) => (seen.back = Buffer.concat([seen.back, chunk])))
      socket.pipe(onward)
      onward.pipe(socket)
    }),
    ({ port }) => ({ port, seen })
  )
}

describe("a mesh gateway", () => {
  it.live("cannot read what passes: it holds no key, changes no byte, and each end sees the other's own certificate", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      // The application, its sidecar, and a tap where the mesh takes the sidecar to be.
      const application = yield* sockets.shouting
      const sidecarPort = yield* agent.freePort
      const behind = yield* tap(sidecarPort)
      yield* dc1.put({
        Name: "api",
        Port: application.port,
        Connect: {
          SidecarService: {
            Port: behind.port,
            Checks: [{ Name: "always", TTL: "1h", Status: "passing" }],
            Proxy: { Config: { bind_port: sidecarPort } }
          }
        }
      })
      const api = yield* Effect.provideContext(
        ConsulSidecar.make({ proxyId: "api-sidecar-proxy", drain: 0 }),
        dc1.consul
      )
      // The gateway, which asks the agent where it can be heard.
      const asked: Array<string> = []
      const front = yield* agents.agentBehind(Number(new URL(dc1.address).port), (path) => {
        asked.push(path)
        return path
      })
      const port = yield* agent.freePort
      yield* dc1.put({ Kind: "mesh-gateway", Name: "mesh-gateway", Address: "127.0.0.1", Port: port })
      const own = yield* Layer.build(ConsulClient.layer({ address: `http://${front.address}` }))
      const gateway = yield* MeshGateway.make({ drain: 0 }).pipe(
        Effect.provide(GatewayRegistration.layer({ proxyId: "mesh-gateway", kind: "mesh-gateway" })),
        Effect.provideService(ConsulClient.ConsulClient, Context.get(own, ConsulClient.ConsulClient))
      )
      const before = yield* tap(port)

      const web = yield* dc1.identity("web")
      const secret = "the combination is 1-2-3-4-5"
      const call = yield* Gateways.eventually(Gateways.connect(before.port, web, sni("api")))
      for (const seen of [before.seen, behind.seen]) assert.isAbove(seen.there.length, 0)
      assert.strictEqual(yield* Gateways.say(call, secret), secret.toUpperCase())

      // Each end has the other's own certificate.
      assert.strictEqual(
        call.fingerprint,
        new X509Certificate((yield* dc1.identity("api")).cert).fingerprint256
      )
      const [listener] = api.status().listeners
      assert.deepStrictEqual(listener!.details.callers().map(({ caller }) => caller), ["web"])
      assert.strictEqual(gateway.status().listeners[0]!.counts.accepted, 1)

      // What comes in goes out, byte for byte, and nobody reads the words in it.
      for (const way of ["there", "back"] as const) {
        assert.strictEqual(before.seen[way].toString("hex"), behind.seen[way].toString("hex"))
        assert.notInclude(before.seen[way].toString("latin1").toLowerCase(), "combination")
      }
      assert.isAbove(asked.length, 0)
      assert.deepStrictEqual(asked.filter((path) => path.includes("/ca/leaf")), [])
    }))
})
