/**
 * `shop` may read from `stock`, and nothing else. Runs against the agent at CONSUL_HTTP_ADDR, or one of its own:
 *
 *     node examples/native-http/main.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Schedule } from "effect"
import { HttpClientError } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import { Api, stock } from "./api.ts"

const shop = Effect.gen(function*() {
  const client = yield* HttpApiClient.make(Api, { baseUrl: "http://stock.service.consul" })
  // The agent needs a moment to spread the new service and its policy.
  const answer = yield* client.items.read({ params: { item: "lamp" } }).pipe(
    Effect.retry(Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(100)]))
  )
  yield* Console.log(`${answer.left} of ${answer.item} left, stock told ${answer.toldTo}`)
  const refused = yield* Effect.flip(client.items.remove({ params: { item: "lamp" } }))
  const reason = HttpClientError.isHttpClientError(refused) ? refused.response?.headers["x-mesh-denied"] : undefined
  yield* Console.log(`removing it was refused: ${reason ?? refused.message}`)
}).pipe(Effect.provide(MeshHttpClient.layer().pipe(Layer.provide(Mesh.layer({ service: "shop" })))))

const Permissions = [{ Action: "allow", HTTP: { PathPrefix: "/items/", Methods: ["GET"] } }]
const entries = [
  { Kind: "service-defaults", Name: "stock", Protocol: "http" },
  { Kind: "service-intentions", Name: "stock", Sources: [{ Name: "shop", Permissions }] }
]
const policy = ConsulClient.ConsulClient.use((consul) =>
  Effect.forEach(entries, (payload) => consul.call("policy", (api) => api.config.write({ query: {}, payload })))
)

const ownAgent = DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
const agent = process.env["CONSUL_HTTP_ADDR"] === undefined
  ? Layer.unwrap(Effect.map(ownAgent, ({ address }) => ConsulClient.layer({ address })))
  : ConsulClient.layer()

policy.pipe(Effect.andThen(Effect.provide(shop, stock)), Effect.scoped, Effect.provide(agent), NodeRuntime.runMain)
