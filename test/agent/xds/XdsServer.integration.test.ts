import * as grpc from "@grpc/grpc-js"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as Http2 from "node:http2"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import * as Agent from "../../parity/Agent.ts"
import { eventually } from "../../support/consul.ts"
import * as XdsClient from "../../support/xdsClient.ts"

const up = Effect.fnUntraced(function*(options: DevelopmentAgent.Options = {}) {
  const running = yield* DevelopmentAgent.make({ port: 0, grpcPort: 0, ...options })
  const agent = Agent.make(running.address, options.requireToken)
  const register = (name: string, port: number, upstreams: ReadonlyArray<string> = []) =>
    agent.ask("PUT", "/v1/agent/service/register", {
      Name: name,
      Port: port,
      Check: { CheckID: `check:${name}`, TTL: "24h", Status: "passing" },
      Connect: {
        SidecarService: {
          Port: port + 1,
          Checks: [{ Name: name, AliasService: name }],
          Proxy: {
            Upstreams: upstreams.map((DestinationName, index) => ({ DestinationName, LocalBindPort: 9000 + index }))
          }
        }
      }
    })
  const follow = (id: string, given?: { readonly token?: string }) =>
    XdsClient.make(`127.0.0.1:${running.grpcPort}`, id, given)
  const settled = eventually(
    Effect.flatMap(
      running.envoys,
      ({ settled, told }) => told > 0 && settled === told ? Effect.void : Effect.fail("not yet")
    )
  )
  return { ...running, agent, register, follow, settled }
})

const until = (holds: () => boolean) => eventually(Effect.suspend(() => holds() ? Effect.void : Effect.fail("not yet")))

describe("the agent's interface for Envoys", () => {
  it.live("sends one resource for a change of one instance", () =>
    Effect.gen(function*() {
      const { agent, follow, register, settled } = yield* up()
      for (const name of ["a", "b", "c"]) yield* register(name, 100 + name.charCodeAt(0) * 10)
      yield* register("web", 2000, ["a", "b", "c"])
      const client = yield* follow("web-sidecar-proxy")
      yield* until(() => client.has["listener.Listener"].size === 4)
      yield* settled
      const before = client.got()
      yield* agent.ask("PUT", "/v1/agent/check/fail/check:b")
      yield* until(() => client.got().responses > before.responses)
      yield* settled
      assert.strictEqual(client.got().resources - before.resources, 1)
      const [[name, message] = []] = [...client.has["endpoint.ClusterLoadAssignment"]].filter(([name]) =>
        name.startsWith("b.")
      )
      assert.strictEqual(client.names().at(-1), name)
      assert.include(JSON.stringify(message), "\"health_status\":\"UNHEALTHY\"")
    }).pipe(Effect.scoped))

  it.live("tells a proxy that is registered later", () =>
    Effect.gen(function*() {
      const { follow, register } = yield* up()
      const client = yield* follow("web-sidecar-proxy")
      yield* register("web", 2000)
      yield* until(() => client.has["listener.Listener"].size === 1)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

  it.live("tells of new roots and certificates, of nothing else", () =>
    Effect.gen(function*() {
      const { follow, register, rotateRoots, settled } = yield* up()
      yield* register("api", 1000)
      yield* register("web", 2000, ["api"])
      const client = yield* follow("web-sidecar-proxy")
      yield* until(() => client.has["listener.Listener"].size === 2)
      yield* settled
      const listener = () =>
        JSON.stringify(
          [...client.has["listener.Listener"]].find(([name]) => name.startsWith("public_listener"))?.[1]
        )
      const before = { text: listener(), names: client.names().length }
      const rootsIn = (text: string) => text.split("trusted_ca")[1]!.split("BEGIN CERTIFICATE").length
      yield* rotateRoots
      yield* until(() => rootsIn(listener()) > rootsIn(before.text))
      yield* settled
      const told = new Set(client.names().slice(before.names).map((name) => name.replace(/[.:].*/, "")))
      // A changed cluster asks anew for its endpoints.
      assert.deepStrictEqual(told, new Set(["api", "public_listener"]))
    }).pipe(Effect.scoped))

  it.live("logs why something was refused, and does not send it again until it changes", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const keep = Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
      yield* Effect.gen(function*() {
        const { agent, follow, register, settled } = yield* up()
        yield* register("api", 1000)
        yield* register("web", 2000, ["api"])
        const client = yield* follow("web-sidecar-proxy")
        client.refuse("I do not like it")
        for (const what of ["local_app", "api.default"]) {
          yield* until(() =>
            lines.some((line) =>
              line.startsWith(`web-sidecar-proxy refuses what it was told of ${what}`) &&
              line.includes("I do not like it")
            )
          )
        }
        yield* settled
        // Together, and by itself.
        assert.lengthOf(client.names().filter((name) => name === "local_app"), 2)
        client.refuse(undefined)
        yield* agent.ask("PUT", "/v1/config", { Kind: "service-resolver", Name: "api", ConnectTimeout: "3s" })
        yield* until(() => client.names().filter((name) => name.startsWith("api.")).length > 2)
        yield* settled
        assert.lengthOf(client.names().filter((name) => name === "local_app"), 2)
      }).pipe(Effect.provide(keep))
    }).pipe(Effect.scoped))

  it.live("tells a proxy again once its registration makes sense", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const keep = Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
      yield* Effect.gen(function*() {
        const { agent, follow } = yield* up()
        const register = (Config: object) =>
          agent.ask("PUT", "/v1/agent/service/register", {
            Name: "web",
            Port: 2000,
            Connect: { SidecarService: { Port: 2001, Checks: [], Proxy: { Config } } }
          })
        yield* register({ max_inbound_connections: 1e12 })
        const client = yield* follow("web-sidecar-proxy")
        yield* until(() => lines.some((line) => line.startsWith("web-sidecar-proxy is told nothing new")))
        yield* register({ max_inbound_connections: 10 })
        yield* until(() => client.has["listener.Listener"].size === 1)
      }).pipe(Effect.provide(keep))
    }).pipe(Effect.scoped))

  it.live("says what it leaves out", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const keep = Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
      yield* Effect.gen(function*() {
        const { agent, follow } = yield* up()
        yield* agent.ask("PUT", "/v1/agent/service/register", {
          Name: "web",
          Port: 2000,
          Connect: {
            SidecarService: {
              Port: 2001,
              Checks: [],
              Proxy: {
                Config: { envoy_public_listener_json: "{}" },
                Upstreams: [{ DestinationType: "prepared_query", DestinationName: "nearest", LocalBindPort: 9000 }]
              }
            }
          }
        })
        const client = yield* follow("web-sidecar-proxy")
        yield* until(() => client.has["listener.Listener"].size === 1)
      }).pipe(Effect.provide(keep))
      assert.include(
        lines.join("\n"),
        "web-sidecar-proxy is not told of everything: the upstream nearest: it is a prepared query; " +
          "the setting envoy_public_listener_json: it is configuration of Envoy itself"
      )
    }).pipe(Effect.scoped))

  it.live("wants the token of the agent", () =>
    Effect.gen(function*() {
      const { follow, register } = yield* up({ requireToken: "secret" })
      const stranger = yield* follow("web-sidecar-proxy", { token: "guessed" })
      const status = yield* Effect.promise(() => stranger.ended)
      assert.strictEqual(status.code, grpc.status.PERMISSION_DENIED)
      const friend = yield* follow("web-sidecar-proxy", { token: "secret" })
      yield* register("web", 2000)
      yield* until(() => friend.has["listener.Listener"].size === 1)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

  it.live("refuses who does not say who it is", () =>
    Effect.gen(function*() {
      const { follow } = yield* up()
      const client = yield* follow("")
      const status = yield* Effect.promise(() => client.ended)
      assert.strictEqual(status.code, grpc.status.INVALID_ARGUMENT)
    }).pipe(Effect.scoped))

  it.live("forgets who has gone, and closes with the agent", () =>
    Effect.gen(function*() {
      const { envoys, follow, register } = yield* up()
      yield* register("web", 2000)
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* follow("web-sidecar-proxy")
        yield* until(() => client.has["listener.Listener"].size === 1)
        assert.strictEqual((yield* envoys).told, 1)
      }))
      yield* eventually(Effect.flatMap(envoys, ({ told }) => told === 0 ? Effect.void : Effect.fail("still there")))
    }).pipe(Effect.scoped))

  it.live("answers other methods and other protocols in order", () =>
    Effect.gen(function*() {
      const { grpcPort } = yield* up()
      const ask = (path: string, type: string) =>
        Effect.promise(() =>
          new Promise<Http2.IncomingHttpHeaders>((resolve) => {
            const session = Http2.connect(`http://127.0.0.1:${grpcPort}`)
            const request = session.request({ ":method": "POST", ":path": path, "content-type": type })
            request.on("response", (headers) => {
              resolve(headers)
              session.destroy()
            })
            request.end()
          })
        )
      const unknown = yield* ask("/no.Such/Method", "application/grpc")
      assert.strictEqual(unknown["grpc-status"], "12")
      const page: Record<string, unknown> = yield* ask("/", "text/html")
      assert.strictEqual(page[":status"], 415)
    }).pipe(Effect.scoped))
})
