/**
 * Fastify in the mesh, unchanged: it makes routes, listens and closes by itself, and `follow` admits callers of the mesh only.
 * Routes see the caller's identity, and the policy authorizes requests. Runs against the agent at
 * CONSUL_HTTP_ADDR, or one of its own:
 *
 *     node examples/fastify/main.ts
 */
import * as assert from "node:assert/strict"
import * as Https from "node:https"
import Fastify from "fastify"
import * as Undici from "@effect/platform-node/Undici"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as Consul from "../plain/consul.ts"

const port = 9304
const consul = await Consul.open()
await consul.write({ Kind: "service-defaults", Name: "orders", Protocol: "http" })
await consul.write({
  Kind: "service-intentions",
  Name: "orders",
  Sources: [
    { Name: "till", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/orders", Methods: ["GET", "POST"] } }] },
    { Name: "audit", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/orders", Methods: ["GET"] } }] }
  ]
})

const orders = await PlainMesh.join({ service: "orders", consul: consul.settings })
const app = Fastify<Https.Server>({
  serverFactory: (handler) => orders.follow(Https.createServer(orders.serverOptions(), handler))
})
const placed: Array<{ readonly item: string; readonly by: string | undefined }> = []
app.get("/orders", () => placed)
app.post<{ Body: { readonly item: string } }>("/orders", async ({ body, raw }, reply) => {
  placed.push({ item: body.item, by: orders.peerOf(raw)?.service })
  await reply.code(201).send()
})
await app.listen({ host: "127.0.0.1", port })
await orders.register({ port, drain: 0 })

const till = await PlainMesh.join({ service: "till", consul: consul.settings })
const audit = await PlainMesh.join({ service: "audit", consul: consul.settings })
const place = async ({ dispatcher }: PlainMesh.PlainMesh) => {
  const headers = { "content-type": "application/json" }
  const options = { dispatcher, method: "POST", headers, body: JSON.stringify({ item: "tea" }) }
  return (await Undici.fetch("http://orders/orders", options)).status
}
const list = async ({ dispatcher }: PlainMesh.PlainMesh) =>
  (await Undici.fetch("http://orders/orders", { dispatcher })).json()

await Consul.eventually(async () => assert.deepEqual(await list(till), []))
assert.equal(await place(till), 201)
assert.equal(await place(audit), 403)
const seen = await Consul.eventually(() => list(audit))
assert.deepEqual(seen, [{ item: "tea", by: "till" }])
console.log(`till has placed an order, audit may only read: ${JSON.stringify(seen)}`)

await till.close()
await audit.close()
await app.close()
await orders.close()
await consul.close()
