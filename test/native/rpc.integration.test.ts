import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { MeshHttpServer, PeerIdentity } from "../../src/native/index.ts"
import { authorityOf, client } from "../support/httpMesh.ts"
import * as Mesh from "../support/mesh.ts"

const Calls = RpcGroup.make(
  Rpc.make("who", { success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
)

const handlers = Calls.toLayer({
  who: () => Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => caller.service),
  count: ({ to }) => Stream.range(1, to)
})

describe("RPC over HTTP", () => {
  it.live("runs on a server of the mesh as it is, and knows who calls", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const api = yield* Mesh.member("api", authority)
      const server = yield* Layer.build(
        HttpRouter.serve(RpcServer.layerHttp({ group: Calls, path: "/rpc", protocol: "http" }), {
          disableLogger: true,
          disableListenLog: true
        }).pipe(
          Layer.provide([handlers, RpcSerialization.layerNdjson]),
          Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: "0 millis" })),
          Layer.provide(api.layer)
        )
      )
      const { port } = yield* Effect.provideContext(MeshHttpServer.MeshHttpServer, server)
      const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(port)] })
      const { http } = yield* client(authority, discovery.layer)
      const protocol = yield* http.pipe(
        HttpClient.mapRequest(HttpClientRequest.prependUrl("http://api.service.consul/rpc")),
        RpcClient.makeProtocolHttp,
        Effect.provide(RpcSerialization.layerNdjson)
      )
      const calls = yield* RpcClient.make(Calls).pipe(Effect.provideService(RpcClient.Protocol, protocol))
      assert.strictEqual(yield* calls.who(), "web")
      assert.deepStrictEqual(yield* Stream.runCollect(calls.count({ to: 3 })), [1, 2, 3])
    }))
})
