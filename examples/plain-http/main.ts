/**
 * Two programs without Effect: `shelf`, a server of `node:http`, and `clerk`, which calls it by `https`, `fetch` and `undici`.
 * An intention lets `clerk` read, and nothing else. Runs against the agent at CONSUL_HTTP_ADDR, or one of its own:
 *
 *     node examples/plain-http/main.ts
 */
import * as assert from "node:assert/strict"
import * as Http from "node:http"
import * as Https from "node:https"
import { text } from "node:stream/consumers"
import * as Undici from "@effect/platform-node/Undici"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as Consul from "../plain/consul.ts"

const port = 9303
const consul = await Consul.open()
const permissions = [{ Action: "allow", HTTP: { PathPrefix: "/books/", Methods: ["GET"] } }]
await consul.write({ Kind: "service-defaults", Name: "shelf", Protocol: "http" })
await consul.write({
  Kind: "service-intentions",
  Name: "shelf",
  Sources: [{ Name: "clerk", Permissions: permissions }]
})

const shelf = await PlainMesh.join({ service: "shelf", consul: consul.settings })
const server = Http.createServer((request, response) =>
  response.end(`${request.url} is here, ${shelf.peerOf(request)?.service}`)
)
await shelf.listen(server, { host: "127.0.0.1", port, reasonHeader: true })
await shelf.register({ port, drain: 0 })

const clerk = await PlainMesh.join({ service: "clerk", consul: consul.settings })
const { agent, dispatcher } = clerk
const url = "https://shelf.service.consul/books/emma"
const answer = "/books/emma is here, clerk"

const overHttps = () =>
  new Promise<string>((resolve, reject) =>
    Https.get(url, { agent }, (response) => text(response).then(resolve, reject)).on("error", reject)
  )
await Consul.eventually(async () => assert.equal(await overHttps(), answer))
assert.equal(await (await Undici.fetch(url, { dispatcher })).text(), answer)
const { body } = await Undici.request("http://shelf/archive/../books/emma", { dispatcher })
assert.equal(await body.text(), answer)
console.log(`shelf says over https, fetch and undici: ${answer}`)

const refused = await Undici.fetch(url, { dispatcher, method: "DELETE" })
assert.equal(refused.status, 403)
console.log(`and when clerk wants to remove it: ${refused.status}, ${refused.headers.get("x-mesh-denied")}`)

await clerk.close()
await shelf.close()
await consul.close()
