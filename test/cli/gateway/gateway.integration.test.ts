import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import * as GatewayRegistered from "../../../src/cli/gateway/Registered.ts"
import * as agent from "../../support/consul.ts"
import * as Gateways from "../../support/gateways.ts"
import * as SidecarProcess from "../../support/sidecarProcess.ts"

const nothing = {
  mesh: true,
  register: false,
  proxyId: Option.none<string>(),
  service: Option.none<string>(),
  address: Option.none<string>(),
  wanAddress: Option.none<string>(),
  bindAddress: Option.none<string>(),
  startTimeout: 1
}

const described = (options: Partial<typeof nothing>) =>
  GatewayRegistered.described("mesh-gateway", { ...nothing, ...options })

const get = (address: string, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${address}${path}`)
    return { status: response.status, text: await response.text() }
  })

describe("effect-mesh gateway", () => {
  it.live("registers what flags describe, passes calls on, tells how it is, and ends when it has left", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      yield* dc1.service("api")
      const [port, admin] = [yield* agent.freePort, yield* agent.freePort]
      const gateway = yield* SidecarProcess.start({
        command: "gateway",
        args: ["--mesh", "--register", "--wan-address", "198.51.100.7:443", "--shutdown-delay", "0"],
        env: {
          CONSUL_HTTP_ADDR: dc1.address,
          EFFECT_MESH_ADDRESS: `127.0.0.1:${port}`,
          EFFECT_MESH_ADMIN_BIND: `127.0.0.1:${admin}`
        }
      })
      const { body } = yield* dc1.call("gateways", (api) => api.internal.meshGateways({ query: {} }))
      const [registered] = body["dc1"] ?? []
      assert.deepInclude(registered?.Service.TaggedAddresses["wan"], { Address: "198.51.100.7", Port: 443 })
      const web = yield* dc1.identity("web")
      const at = `http://127.0.0.1:${admin}`
      const inbound = Effect.map(get(at, "/snapshot"), ({ text }) => JSON.parse(text).sidecar.inbound)
      yield* Gateways.eventually(Gateways.call(port, web, sni("api")))
      // It may have been called before it knew of `api`.
      const early: number = (yield* inbound).refused.unknown_service ?? 0
      yield* Effect.flip(Gateways.call(port, web, sni("nobody")))

      assert.strictEqual((yield* get(at, "/ready")).status, 200)
      const [certificates] = JSON.parse((yield* get(at, "/certs")).text).sidecars
      assert.deepInclude(certificates, { name: "mesh-gateway", identity: null, leaf: null, roots: [] })
      const { sidecar } = JSON.parse((yield* get(at, "/snapshot")).text)
      assert.strictEqual(sidecar.inbound.accepted, 1)
      assert.deepStrictEqual(sidecar.inbound.refused, { unknown_service: early + 1 })
      const metrics = (yield* get(at, "/metrics")).text
      assert.match(metrics, /mesh_gateway_connections_total\{[^}]*destination="api"[^}]*\} 1/)
      assert.match(
        metrics,
        new RegExp(`mesh_gateway_refusals_total\\{[^}]*reason="unknown_service"[^}]*\\} ${early + 1}`)
      )

      assert.strictEqual(yield* gateway.stop, 0)
      const { body: after } = yield* dc1.call("gateways", (api) => api.internal.meshGateways({ query: {} }))
      assert.deepStrictEqual(after, {})
    }))

  it.live("finds the one that is registered, and says where there is none, or several", () =>
    Effect.gen(function*() {
      const { dc1 } = yield* Gateways.one
      const find = GatewayRegistered.find("mesh-gateway", nothing).pipe(Effect.provideContext(dc1.consul))
      assert.match((yield* Effect.flip(find)).message, /no mesh-gateway is registered at the agent/)
      yield* dc1.put({ Kind: "mesh-gateway", Name: "gw", ID: "gw-1", Port: 1 })
      assert.strictEqual(yield* find, "gw-1")
      yield* dc1.put({ Kind: "mesh-gateway", Name: "gw", ID: "gw-2", Port: 2 })
      assert.match((yield* Effect.flip(find)).message, /there are 2 .*give --proxy-id/)
    }))

  it.each<readonly [string, Partial<typeof nothing>, RegExp]>([
    ["an address without --register", { address: Option.some(":8443") }, /give --register/],
    ["--register without an address", { register: true }, /give --address/],
    ["an address that is none", { register: true, address: Option.some("8443") }, /--address is "8443"/]
  ])("refuses %s", (_, options, message) => {
    const parsed = described(options)
    assert.match(Result.isFailure(parsed) ? parsed.failure.message : "", message)
  })

  it("is of exactly one kind", () => {
    assert.isTrue(Result.isFailure(GatewayRegistered.kindOf({ mesh: false, terminating: false, api: false })))
    assert.isTrue(Result.isFailure(GatewayRegistered.kindOf({ mesh: true, terminating: true, api: false })))
  })
})
