/** What the service `stock` offers, and the service: an `HttpApi` like any other, on a server of the mesh. */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as PeerIdentity from "../../src/native/PeerIdentity.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"

const Stock = Schema.Struct({ item: Schema.String, left: Schema.Int, toldTo: Schema.String })

export const Api = HttpApi.make("stock").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("read", "/items/:item", { params: { item: Schema.String }, success: Stock }),
    HttpApiEndpoint.delete("remove", "/items/:item", { params: { item: Schema.String } })
  )
)

const items = HttpApiBuilder.group(Api, "items", (handlers) =>
  handlers
    .handle("read", ({ params }) =>
      Effect.map(PeerIdentity.PeerIdentity, ({ caller }) => ({ item: params.item, left: 3, toldTo: caller.service })))
    .handle("remove", () =>
      Effect.void))

const port = 9302

export const stock = ServiceRegistration.layer({ name: "stock", port, drain: 0 }).pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.provide(HttpApiBuilder.layer(Api), items), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(MeshHttpServer.layer({ host: "127.0.0.1", port, reasonHeader: true })),
  Layer.provide(Mesh.layer({ service: "stock" }))
)
