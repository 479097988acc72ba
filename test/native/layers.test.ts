/**
 * What the layers require and provide is what the table in docs/native/layers.md says. `rows` is that table: a test holds the two equal,
 * and the type checker (`npm run check`) holds `rows` to the layers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { type Config, Effect, Layer, Schema, type Scope } from "effect"
import { type HttpClient, HttpRouter, type HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import type { Socket, SocketServer } from "effect/socket"
import { createServer } from "node:http"
import { readdirSync, readFileSync } from "node:fs"
import { basename } from "node:path"
import { expectTypeOf } from "vitest"
import type * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import type * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as ConsulError from "../../src/consul/ConsulError.ts"
import type * as Settings from "../../src/consul/Settings.ts"
import type * as Authorization from "../../src/inbound/Authorization.ts"
import type * as Connect from "../../src/outbound/Connect.ts"
import type * as FileMesh from "../../src/mesh/FileMesh.ts"
import type * as XdsMesh from "../../src/mesh/XdsMesh.ts"
import type * as Forwarder from "../../src/outbound/Forwarder.ts"
import type * as Listening from "../../src/net/Listening.ts"
import type * as Mesh from "../../src/mesh/Mesh.ts"
import type * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import type * as Tunnels from "../../src/outbound/tunnel/Tunnels.ts"
import type * as MeshDispatcher from "../../src/outbound/http/MeshDispatcher.ts"
import type * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import type * as MeshListener from "../../src/inbound/MeshListener.ts"
import type * as MeshSocket from "../../src/native/MeshSocket.ts"
import * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import type * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import type * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import type * as Sidecar from "../../src/sidecar/Sidecar.ts"
import type * as TestMesh from "../../src/testing/TestMesh.ts"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"
import type * as CaRoots from "../../src/watch/CaRoots.ts"
import type * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import type * as Endpoints from "../../src/watch/Endpoints.ts"
import type * as FileIdentity from "../../src/watch/FileIdentity.ts"
import type * as Intentions from "../../src/watch/Intentions.ts"
import type * as GatewayRegistration from "../../src/watch/GatewayRegistration.ts"
import type * as JwtProviders from "../../src/watch/JwtProviders.ts"
import type * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import type * as MeshDefaults from "../../src/watch/MeshDefaults.ts"
import type * as PeerBundles from "../../src/watch/PeerBundles.ts"
import type * as PreparedQueries from "../../src/watch/PreparedQueries.ts"
import type * as NodeProxies from "../../src/watch/NodeProxies.ts"
import type * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import type * as Watched from "../../src/watch/Watched.ts"

/** What the names in the table stand for. */
interface Names {
  readonly Agent: DevelopmentAgent.Agent
  readonly AgentError: DevelopmentAgent.AgentError
  readonly CaRoots: CaRoots.CaRoots
  readonly ConfigError: Config.ConfigError
  readonly Connection: Connect.Connection
  readonly ConsulClient: ConsulClient.ConsulClient
  readonly ConsulError: ConsulError.ConsulError
  readonly ConsulSidecar: ConsulSidecar.ConsulSidecar
  readonly DiscoveryChains: DiscoveryChains.DiscoveryChains
  readonly Endpoints: Endpoints.Endpoints
  readonly Forwarder: Forwarder.Forwarder
  readonly HttpClient: HttpClient.HttpClient
  readonly HttpServer: HttpServer.HttpServer
  readonly HttpServices: Layer.Success<typeof NodeHttpServer.layerHttpServices>
  readonly Intentions: Intentions.Intentions
  readonly InvalidSettings: Settings.InvalidSettings
  readonly JwtProviders: JwtProviders.JwtProviders
  readonly LeafCertificate: LeafCertificate.LeafCertificate
  readonly ListenError: Listening.ListenError
  readonly Mesh: Mesh.Mesh
  readonly MeshDefaults: MeshDefaults.MeshDefaults
  readonly MeshDialer: MeshDialer.MeshDialer
  readonly MeshDispatcher: MeshDispatcher.MeshDispatcher
  readonly MeshHttpServer: MeshHttpServer.MeshHttpServer
  readonly MeshListener: MeshListener.MeshListener
  readonly MeshSocketServer: MeshSocketServer.MeshSocketServer
  readonly NotReady: Watched.NotReady
  readonly PeerIdentity: PeerIdentity.PeerIdentity
  readonly PreparedQueries: PreparedQueries.PreparedQueries
  readonly NodeProxies: NodeProxies.NodeProxies
  readonly ProxyRegistration: ProxyRegistration.ProxyRegistration
  readonly GatewayRegistration: GatewayRegistration.GatewayRegistration
  readonly Scope: Scope.Scope
  readonly SecureContexts: SecureContexts.SecureContexts
  readonly Sidecar: Sidecar.Sidecar
  readonly Socket: Socket.Socket
  readonly SocketServer: SocketServer.SocketServer
  readonly SocketServerError: SocketServer.SocketServerError
  readonly TestMesh: TestMesh.TestMesh
}

interface Row {
  readonly requires: ReadonlyArray<keyof Names>
  readonly provides: ReadonlyArray<keyof Names>
  readonly fails: ReadonlyArray<keyof Names>
}

/** In the order of the table. */
const rows = {
  "ConsulClient.layer": { requires: [], provides: ["ConsulClient"], fails: ["InvalidSettings", "ConfigError"] },
  "Mesh.layer": { requires: ["ConsulClient"], provides: ["Mesh"], fails: ["NotReady"] },
  "MeshHttpServer.layer": {
    requires: ["SecureContexts", "Intentions", "JwtProviders", "MeshDefaults"],
    provides: ["HttpServer", "MeshHttpServer", "PeerIdentity", "HttpServices"],
    fails: ["ListenError"]
  },
  "MeshHttpClient.layer": {
    requires: ["SecureContexts", "DiscoveryChains", "Endpoints", "PreparedQueries"],
    provides: ["HttpClient", "MeshDispatcher"],
    fails: []
  },
  "MeshDispatcher.layer": {
    requires: ["SecureContexts", "DiscoveryChains", "Endpoints", "PreparedQueries"],
    provides: ["MeshDispatcher"],
    fails: []
  },
  "MeshSocketServer.layer": {
    requires: ["SecureContexts", "Intentions"],
    provides: ["SocketServer", "MeshSocketServer", "PeerIdentity"],
    fails: ["SocketServerError"]
  },
  "MeshSocket.layer": { requires: ["MeshDialer"], provides: ["Socket"], fails: [] },
  "MeshListener.make": {
    requires: ["SecureContexts", "Intentions", "Scope"],
    provides: ["MeshListener"],
    fails: ["ListenError"]
  },
  "MeshDialer.layer": {
    requires: ["SecureContexts", "DiscoveryChains", "Endpoints", "PreparedQueries"],
    provides: ["MeshDialer"],
    fails: []
  },
  "Tunnels.layer": { requires: ["SecureContexts"], provides: [], fails: [] },
  "Forwarder.make": { requires: ["MeshDialer", "Scope"], provides: ["Forwarder"], fails: ["ListenError"] },
  "ServiceRegistration.layer": { requires: ["ConsulClient"], provides: [], fails: ["ConsulError", "ListenError"] },
  "CaRoots.layer": { requires: ["ConsulClient"], provides: ["CaRoots"], fails: [] },
  "LeafCertificate.layer": { requires: ["ConsulClient"], provides: ["LeafCertificate"], fails: [] },
  "Intentions.layer": { requires: ["ConsulClient", "CaRoots"], provides: ["Intentions"], fails: [] },
  "JwtProviders.layer": { requires: ["ConsulClient", "Intentions"], provides: ["JwtProviders"], fails: [] },
  "MeshDefaults.layer": { requires: ["ConsulClient"], provides: ["MeshDefaults"], fails: [] },
  "DiscoveryChains.layer": { requires: ["ConsulClient"], provides: ["DiscoveryChains"], fails: [] },
  "Endpoints.layer": { requires: ["ConsulClient", "LeafCertificate"], provides: ["Endpoints"], fails: [] },
  "PeerBundles.layer": { requires: ["ConsulClient"], provides: [], fails: [] },
  "PreparedQueries.layer": {
    requires: ["ConsulClient", "LeafCertificate"],
    provides: ["PreparedQueries"],
    fails: []
  },
  "ProxyRegistration.layer": { requires: ["ConsulClient"], provides: ["ProxyRegistration"], fails: [] },
  "ProxyRegistration.layerDescribed": { requires: ["ConsulClient"], provides: ["ProxyRegistration"], fails: [] },
  "GatewayRegistration.layer": { requires: ["ConsulClient"], provides: ["GatewayRegistration"], fails: [] },
  "GatewayRegistration.layerDescribed": { requires: [], provides: ["GatewayRegistration"], fails: [] },
  "NodeProxies.layer": { requires: ["ConsulClient"], provides: ["NodeProxies"], fails: [] },
  "NodeProxies.layerFrom": { requires: [], provides: ["NodeProxies"], fails: [] },
  "CaRoots.layerFrom": { requires: [], provides: ["CaRoots"], fails: [] },
  "LeafCertificate.layerFrom": { requires: [], provides: ["LeafCertificate"], fails: [] },
  "Intentions.layerFrom": { requires: [], provides: ["Intentions"], fails: [] },
  "ProxyRegistration.layerFrom": { requires: [], provides: ["ProxyRegistration"], fails: [] },
  "JwtProviders.layerFrom": { requires: [], provides: ["JwtProviders"], fails: [] },
  "JwtProviders.layerStatic": { requires: [], provides: ["JwtProviders"], fails: [] },
  "MeshDefaults.layerFrom": { requires: [], provides: ["MeshDefaults"], fails: [] },
  "MeshDefaults.layerStatic": { requires: [], provides: ["MeshDefaults"], fails: [] },
  "DiscoveryChains.layerStatic": { requires: [], provides: ["DiscoveryChains"], fails: [] },
  "Endpoints.layerStatic": { requires: [], provides: ["Endpoints"], fails: [] },
  "PeerBundles.layerFrom": { requires: [], provides: [], fails: [] },
  "PreparedQueries.layerStatic": { requires: [], provides: ["PreparedQueries"], fails: [] },
  "Authorization.layerAsked": { requires: ["ConsulClient"], provides: ["Intentions"], fails: [] },
  "Authorization.layerCached": { requires: [], provides: [], fails: [] },
  "FileIdentity.layer": { requires: [], provides: ["CaRoots", "LeafCertificate"], fails: [] },
  "FileMesh.layer": { requires: [], provides: ["Mesh"], fails: ["NotReady"] },
  "XdsMesh.layer": { requires: [], provides: ["Mesh"], fails: ["NotReady"] },
  "SecureContexts.layer": { requires: ["CaRoots", "LeafCertificate"], provides: ["SecureContexts"], fails: [] },
  "SecureContexts.layerWith": { requires: ["CaRoots", "LeafCertificate"], provides: ["SecureContexts"], fails: [] },
  "Sidecar.layer": {
    requires: [
      "ProxyRegistration",
      "SecureContexts",
      "Intentions",
      "JwtProviders",
      "MeshDefaults",
      "MeshDialer",
      "DiscoveryChains",
      "Endpoints",
      "PreparedQueries"
    ],
    provides: ["Sidecar"],
    fails: ["ListenError"]
  },
  "ConsulSidecar.make": {
    requires: ["ConsulClient", "Scope"],
    provides: ["ConsulSidecar"],
    fails: ["NotReady", "ListenError"]
  },
  "DevelopmentAgent.layer": { requires: [], provides: ["Agent"], fails: ["AgentError"] },
  "TestMesh.layer": {
    requires: [],
    provides: ["TestMesh", "ConsulClient"],
    fails: ["AgentError", "InvalidSettings", "ConfigError"]
  }
} as const satisfies Readonly<Record<string, Row>>

/** What the table is about. */
interface Layers {
  readonly "ConsulClient.layer": ReturnType<typeof ConsulClient.layer>
  readonly "Mesh.layer": ReturnType<typeof Mesh.layer>
  readonly "MeshHttpServer.layer": ReturnType<typeof MeshHttpServer.layer>
  readonly "MeshHttpClient.layer": ReturnType<typeof MeshHttpClient.layer>
  readonly "MeshDispatcher.layer": ReturnType<typeof MeshDispatcher.layer>
  readonly "MeshSocketServer.layer": ReturnType<typeof MeshSocketServer.layer>
  readonly "MeshSocket.layer": ReturnType<typeof MeshSocket.layer>
  readonly "MeshListener.make": ReturnType<typeof MeshListener.make<never>>
  readonly "MeshDialer.layer": typeof MeshDialer.layer
  readonly "Tunnels.layer": typeof Tunnels.layer
  readonly "Forwarder.make": ReturnType<typeof Forwarder.make>
  readonly "ServiceRegistration.layer": ReturnType<typeof ServiceRegistration.layer<never>>
  readonly "CaRoots.layer": typeof CaRoots.layer
  readonly "LeafCertificate.layer": ReturnType<typeof LeafCertificate.layer>
  readonly "Intentions.layer": ReturnType<typeof Intentions.layer>
  readonly "JwtProviders.layer": typeof JwtProviders.layer
  readonly "MeshDefaults.layer": typeof MeshDefaults.layer
  readonly "DiscoveryChains.layer": typeof DiscoveryChains.layer
  readonly "Endpoints.layer": typeof Endpoints.layer
  readonly "PeerBundles.layer": typeof PeerBundles.layer
  readonly "PreparedQueries.layer": typeof PreparedQueries.layer
  readonly "ProxyRegistration.layer": ReturnType<typeof ProxyRegistration.layer>
  readonly "ProxyRegistration.layerDescribed": ReturnType<typeof ProxyRegistration.layerDescribed>
  readonly "GatewayRegistration.layer": ReturnType<typeof GatewayRegistration.layer>
  readonly "GatewayRegistration.layerDescribed": ReturnType<typeof GatewayRegistration.layerDescribed>
  readonly "NodeProxies.layer": typeof NodeProxies.layer
  readonly "NodeProxies.layerFrom": ReturnType<typeof NodeProxies.layerFrom>
  readonly "CaRoots.layerFrom": ReturnType<typeof CaRoots.layerFrom>
  readonly "LeafCertificate.layerFrom": ReturnType<typeof LeafCertificate.layerFrom>
  readonly "Intentions.layerFrom": ReturnType<typeof Intentions.layerFrom>
  readonly "ProxyRegistration.layerFrom": ReturnType<typeof ProxyRegistration.layerFrom>
  readonly "JwtProviders.layerFrom": ReturnType<typeof JwtProviders.layerFrom>
  readonly "JwtProviders.layerStatic": ReturnType<typeof JwtProviders.layerStatic>
  readonly "MeshDefaults.layerFrom": ReturnType<typeof MeshDefaults.layerFrom>
  readonly "MeshDefaults.layerStatic": ReturnType<typeof MeshDefaults.layerStatic>
  readonly "DiscoveryChains.layerStatic": ReturnType<typeof DiscoveryChains.layerStatic>
  readonly "Endpoints.layerStatic": ReturnType<typeof Endpoints.layerStatic>
  readonly "PeerBundles.layerFrom": ReturnType<typeof PeerBundles.layerFrom>
  readonly "PreparedQueries.layerStatic": ReturnType<typeof PreparedQueries.layerStatic>
  readonly "Authorization.layerAsked": ReturnType<typeof Authorization.layerAsked>
  readonly "Authorization.layerCached": typeof Authorization.layerCached
  readonly "FileIdentity.layer": ReturnType<typeof FileIdentity.layer>
  readonly "FileMesh.layer": ReturnType<typeof FileMesh.layer>
  readonly "XdsMesh.layer": ReturnType<typeof XdsMesh.layer>
  readonly "SecureContexts.layer": typeof SecureContexts.layer
  readonly "SecureContexts.layerWith": ReturnType<typeof SecureContexts.layerWith>
  readonly "Sidecar.layer": ReturnType<typeof Sidecar.layer>
  readonly "ConsulSidecar.make": ReturnType<typeof ConsulSidecar.make>
  readonly "DevelopmentAgent.layer": ReturnType<typeof DevelopmentAgent.layer>
  readonly "TestMesh.layer": ReturnType<typeof TestMesh.layer>
}

type Of<L, Column extends keyof Row> = L extends Layer.Layer<infer Provides, infer Fails, infer Requires>
  ? { readonly requires: Requires; readonly provides: Provides; readonly fails: Fails }[Column]
  : L extends Effect.Effect<infer Provides, infer Fails, infer Requires>
    ? { readonly requires: Requires; readonly provides: Provides; readonly fails: Fails }[Column]
  : "neither a layer nor an effect"

/** Not merely assignable to each other: `any` would be that to everything. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** The rows whose column is not as in `rows`, with what it is: none, or the type checker names them. */
type Wrong<Column extends keyof Row> = {
  readonly [
    K in keyof Layers as Same<Of<Layers[K], Column>, Names[(typeof rows)[K][Column][number]]> extends true ? never : K
  ]: Of<Layers[K], Column>
}

describe("layers", () => {
  it("require what they say", () => expectTypeOf<Wrong<"requires">>().toEqualTypeOf<{}>())

  it("provide what they say", () => expectTypeOf<Wrong<"provides">>().toEqualTypeOf<{}>())

  it("fail as they say", () => expectTypeOf<Wrong<"fails">>().toEqualTypeOf<{}>())

  it("are those of the documentation", () => {
    expectTypeOf<keyof typeof rows>().toEqualTypeOf<keyof Layers>()
    const documented = readFileSync(new URL("../../docs/native/layers.md", import.meta.url), "utf8")
      .split("\n").filter((line) => /^\| `\w+\.\w+`/.test(line))
      .flatMap((line) => {
        const [names, requires, provides, fails] = line.split("|").slice(1).map((cell) =>
          [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
        )
        return names!.map((name) => [name, { requires: requires!, provides: provides!, fails: fails! }] as const)
      })
    assert.deepStrictEqual<unknown>(documented, Object.entries(rows))
  })

  it("are all there", () => {
    const src = new URL("../../src/", import.meta.url)
    const exported = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((file) => /^(watch|tls|inbound|outbound|mesh|native|sidecar|testing)\/(\w+\/)*\w+[.]ts$/.test(file))
      .flatMap((file) =>
        [...readFileSync(new URL(file, src), "utf8").matchAll(/^export const (layer\w*)\b/gm)].map(([, name]) =>
          `${basename(file, ".ts")}.${name}`
        )
      )
    // It provides nothing: it only tells the type checker.
    const missing = exported.filter((name) => !(name in rows) && name !== "PeerIdentity.layerOfRequests")
    assert.deepStrictEqual(missing, [])
  })

  it("of a service find all they need in a mesh", () => {
    for (
      const name of [
        "MeshHttpServer.layer",
        "MeshHttpClient.layer",
        "MeshSocketServer.layer",
        "MeshDialer.layer"
      ] as const
    ) {
      expectTypeOf<Of<Layers[typeof name], "requires">>().toExtend<Mesh.Mesh>()
    }
  })
})

const whoAmI = Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => caller.service)

/** Three ways to write an application, all of which ask who calls. */
const routes = HttpRouter.add("GET", "/", Effect.map(whoAmI, HttpServerResponse.text))

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("about").add(HttpApiEndpoint.get("whoAmI", "/", { success: Schema.String }))
)
const api = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(HttpApiBuilder.group(Api, "about", (handlers) => handlers.handle("whoAmI", () => whoAmI)))
)

class Calls extends RpcGroup.make(Rpc.make("whoAmI", { success: Schema.String })) {}
const calls = RpcServer.layerHttp({ group: Calls, path: "/rpc", protocol: "http" }).pipe(
  Layer.provide([Calls.toLayer({ whoAmI: () => whoAmI }), RpcSerialization.layerJson])
)

describe("an application that asks who calls", () => {
  const inMesh = MeshHttpServer.layer({ port: 0 })
  const elsewhere = NodeHttpServer.layer(() => createServer(), { port: 0 })
  type Needed = Layer.Services<typeof inMesh>

  it("finds out on a server of the mesh, whichever way it is written", () => {
    const byRoutes = HttpRouter.serve(routes).pipe(Layer.provide(inMesh))
    const byApi = HttpRouter.serve(api).pipe(Layer.provide(inMesh))
    const byCalls = HttpRouter.serve(calls).pipe(Layer.provide(inMesh))
    expectTypeOf<Layer.Services<typeof byRoutes>>().toEqualTypeOf<Needed>()
    expectTypeOf<Layer.Services<typeof byApi>>().toEqualTypeOf<Needed>()
    expectTypeOf<Layer.Services<typeof byCalls>>().toEqualTypeOf<Needed>()
    const sockets = RpcServer.layer(Calls).pipe(
      Layer.provide([
        Calls.toLayer({ whoAmI: () => whoAmI }),
        RpcServer.layerProtocolSocketServer.pipe(Layer.provide(RpcSerialization.layerNdjson))
      ]),
      Layer.provide(MeshSocketServer.layer({ port: 0 }))
    )
    expectTypeOf<Layer.Services<typeof sockets>>().toEqualTypeOf<Layer.Services<Layers["MeshSocketServer.layer"]>>()
  })

  it("is not complete on any other server", () => {
    const served = HttpRouter.serve(api).pipe(Layer.provide(elsewhere))
    expectTypeOf<Layer.Services<typeof served>>().toEqualTypeOf<PeerIdentity.PeerIdentity>()
  })
})
