/** What the layers require and provide is what their documentation says. The type checker is the judge. */
import type { Layer } from "effect"
import type { HttpClient, HttpServer } from "effect/http"
import type { Socket, SocketServer } from "effect/socket"
import { describe, expectTypeOf, it } from "vitest"
import type * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as Listening from "../../src/native/Listening.ts"
import type * as Mesh from "../../src/native/Mesh.ts"
import type * as MeshDispatcher from "../../src/native/MeshDispatcher.ts"
import type * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import type * as MeshDialer from "../../src/native/MeshDialer.ts"
import type * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import type * as MeshSocket from "../../src/native/MeshSocket.ts"
import type * as MeshSocketServer from "../../src/native/MeshSocketServer.ts"
import type * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"
import type * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import type * as Endpoints from "../../src/watch/Endpoints.ts"
import type * as Intentions from "../../src/watch/Intentions.ts"
import type * as JwtProviders from "../../src/watch/JwtProviders.ts"
import type * as PreparedQueries from "../../src/watch/PreparedQueries.ts"
import type * as Watched from "../../src/watch/Watched.ts"

type Server = ReturnType<typeof MeshHttpServer.layer>
type Client = ReturnType<typeof MeshHttpClient.layer>
type Joined = ReturnType<typeof Mesh.layer>

describe("Mesh.layer", () => {
  it("needs a Consul client, and fails only when something does not arrive", () => {
    expectTypeOf<Layer.Services<Joined>>().toEqualTypeOf<ConsulClient.ConsulClient>()
    expectTypeOf<Layer.Error<Joined>>().toEqualTypeOf<Watched.NotReady>()
  })
})

describe("MeshHttpServer.layer", () => {
  it("needs certificates, intentions and token providers, no control plane", () => {
    expectTypeOf<Layer.Services<Server>>().toEqualTypeOf<
      SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders
    >()
    expectTypeOf<Layer.Services<Server>>().toExtend<Mesh.Mesh>()
    expectTypeOf<Layer.Error<Server>>().toEqualTypeOf<Listening.ListenError>()
  })

  it("gives Effect's server, and handlers their peer", () => {
    expectTypeOf<HttpServer.HttpServer>().toExtend<Layer.Success<Server>>()
    expectTypeOf<PeerIdentity.PeerIdentity>().toExtend<Layer.Success<Server>>()
    expectTypeOf<MeshHttpServer.MeshHttpServer>().toExtend<Layer.Success<Server>>()
  })
})

describe("MeshHttpClient.layer", () => {
  it("needs certificates and discovery, no control plane, and cannot fail", () => {
    expectTypeOf<Layer.Services<Client>>().toEqualTypeOf<
      | SecureContexts.SecureContexts
      | DiscoveryChains.DiscoveryChains
      | Endpoints.Endpoints
      | PreparedQueries.PreparedQueries
    >()
    expectTypeOf<Layer.Services<Client>>().toExtend<Mesh.Mesh>()
    expectTypeOf<Layer.Error<Client>>().toEqualTypeOf<never>()
  })

  it("gives Effect's client, and the dispatcher under it", () => {
    expectTypeOf<Layer.Success<Client>>().toEqualTypeOf<HttpClient.HttpClient | MeshDispatcher.MeshDispatcher>()
  })
})

describe("MeshSocketServer.layer", () => {
  type Sockets = ReturnType<typeof MeshSocketServer.layer>

  it("needs certificates and intentions, no control plane, and fails as Effect's own", () => {
    expectTypeOf<Layer.Services<Sockets>>().toEqualTypeOf<SecureContexts.SecureContexts | Intentions.Intentions>()
    expectTypeOf<Layer.Error<Sockets>>().toEqualTypeOf<SocketServer.SocketServerError>()
  })

  it("gives Effect's server, and handlers their peer", () => {
    expectTypeOf<Layer.Success<Sockets>>().toEqualTypeOf<
      SocketServer.SocketServer | MeshSocketServer.MeshSocketServer | PeerIdentity.PeerIdentity
    >()
  })
})

describe("MeshSocket.layer", () => {
  it("needs a dialler, gives Effect's socket, and cannot fail", () => {
    expectTypeOf<ReturnType<typeof MeshSocket.layer>>().toEqualTypeOf<
      Layer.Layer<Socket.Socket, never, MeshDialer.MeshDialer>
    >()
  })
})
