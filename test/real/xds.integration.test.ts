/**
 * Sidecars that hear everything from the server of a real Consul, which CONSUL_BIN names, or `consul` on the PATH under
 * `npm run test:consul`. Without one this is skipped, and says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as Feed from "../../src/xds/client/Feed.ts"
import { freePort } from "../support/ports.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import * as RealConsul from "../support/realConsul.ts"

/** Answers with the path that was asked for. */
const application = HttpApplication.start((request, response) => void response.end(request.url))

const sidecar = (consul: RealConsul.RealConsul, service: string) =>
  Effect.flatMap(
    Feed.make({
      servers: [{ host: "127.0.0.1", port: consul.grpc }],
      tls: undefined,
      credentials: { _tag: "Token", read: Effect.succeed(Redacted.make(consul.management)) },
      whose: { proxyId: `${service}-sidecar-proxy`, nodeName: "n", namespace: "", partition: "" }
    }),
    (feed) => Effect.map(ConsulSidecar.makeFed(feed, { drain: 0 }), (sidecar) => ({ sidecar, feed }))
  )

const entry = (consul: RealConsul.RealConsul, body: object) => consul.ask("PUT", "/v1/config", body)

const allowing = (rule: object) => ({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", ...rule }] })

const statusOf = (port: number, path: string): Effect.Effect<number> =>
  Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).status)

/** Until it answers so. */
const answers = (port: number, path: string, status: number) =>
  Effect.retry(
    Effect.filterOrFail(statusOf(port, path), (got) => got === status, (got) => `${path} answers ${got}`),
    Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(200)])
  )

describe.skipIf(RealConsul.binary === undefined)("sidecars fed by the server of a real Consul", () => {
  it.live("serve, judge by request and by connection, and follow changes and another root", () =>
    Effect.gen(function*() {
      const consul = yield* RealConsul.start
      const [port, apiPort, webPort, upstreamPort] = yield* Effect.all([application, freePort, freePort, freePort])
      yield* entry(consul, { Kind: "service-defaults", Name: "api", Protocol: "http" })
      yield* consul.ask("PUT", "/v1/agent/service/register", {
        Name: "api",
        Port: port,
        Connect: { SidecarService: { Port: apiPort, Checks: [{ Name: "always", TTL: "24h", Status: "passing" }] } }
      })
      yield* consul.ask("PUT", "/v1/agent/service/register", {
        Name: "web",
        Port: 1,
        Connect: {
          SidecarService: {
            Port: webPort,
            Checks: [],
            Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: upstreamPort }] }
          }
        }
      })
      const api = yield* sidecar(consul, "api")
      const web = yield* sidecar(consul, "web")
      yield* answers(upstreamPort, "/", 403)
      yield* entry(
        consul,
        allowing({
          Permissions: [{ Action: "deny", HTTP: { PathPrefix: "/secret" } }, {
            Action: "allow",
            HTTP: { PathPrefix: "/", Methods: ["GET"] }
          }]
        })
      )
      yield* answers(upstreamPort, "/hello", 200)
      assert.strictEqual(yield* statusOf(upstreamPort, "/secret/x"), 403)

      const before = web.sidecar.material().roots.roots.map(({ id }) => id)
      yield* consul.ask("PUT", "/v1/connect/ca/configuration", {
        Provider: "consul",
        Config: { PrivateKeyType: "ec", PrivateKeyBits: 384 }
      })
      yield* Effect.repeat(Effect.sleep("100 millis"), {
        until: () => !before.includes(web.sidecar.material().roots.roots.find(({ active }) => active)?.id ?? before[0]!)
      })
      yield* answers(upstreamPort, "/hello", 200)

      yield* entry(consul, allowing({ Action: "deny" }))
      yield* answers(upstreamPort, "/hello", 403)
      assert.deepStrictEqual([...api.feed.latest()?.flaws ?? [], ...web.feed.latest()?.flaws ?? []], [])
    }).pipe(Effect.scoped))
})
