/** `web`, which calls `api` over HTTP: registered at an agent of the test's own, for programs that serve both. */
import { Effect, type Schema } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as agent from "./consul.ts"

const application = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer((_, response) => response.end("hello"))
    server.listen(
      0,
      "127.0.0.1",
      () => resume(Effect.succeed({ port: (server.address() as AddressInfo).port, close: () => server.close() }))
    )
  }),
  ({ close }) => Effect.sync(close)
)

/** `upstream` is the port at which `web` calls `api`. */
export const make = Effect.gen(function*() {
  const { address } = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "allow" })
  const { port } = yield* application
  const [api, web, upstream] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  const put = (path: string, body: Schema.JsonObject) =>
    Effect.promise(() => fetch(`${address}${path}`, { method: "PUT", body: JSON.stringify(body) }))
  yield* put("/v1/config", { Kind: "service-defaults", Name: "api", Protocol: "http" })
  yield* put("/v1/agent/service/register", {
    Name: "api",
    Port: port,
    Connect: { SidecarService: { Port: api, Checks: [{ Name: "always", TTL: "1h", Status: "passing" }] } }
  })
  yield* put("/v1/agent/service/register", {
    Name: "web",
    Port: 1,
    Connect: {
      SidecarService: {
        Port: web,
        Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: upstream }] }
      }
    }
  })
  return { address, upstream }
})

/** Waits until it is answered as it should be. */
export const call = (port: number, headers: Readonly<Record<string, string>> = {}) =>
  agent.eventually(Effect.tryPromise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
    if (response.status !== 200) throw new Error(String(response.status))
  }))
