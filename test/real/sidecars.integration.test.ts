import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Sidecars from "../../src/sidecar/Sidecars.ts"
import * as agent from "../support/consul.ts"
import * as Sockets from "../support/sockets.ts"

layer(agent.layer, { excludeTestServices: true })("several sidecars in one process", (it) => {
  it.effect("start as they are registered, serve each other, and stop as they are taken out", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const application = yield* Sockets.shouting
      const [own, other, upstream] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
      yield* agent.allow(api, web)
      yield* agent.register({
        name: web,
        port: 1,
        sidecar: { port: own, upstreams: [{ DestinationName: api, LocalBindPort: upstream }] }
      })
      const sidecars = yield* Sidecars.make({ wanted: [web, api], drain: "1 second", keep: "100 millis" })
      const running = () =>
        sidecars.status().members.filter(({ state }) => state._tag === "Running").map(({ service }) => service)
      yield* Sockets.eventually(() => running().length === 1)
      assert.deepStrictEqual(sidecars.status().missing.map(({ name }) => name), [api])
      yield* Effect.scoped(Effect.gen(function*() {
        yield* agent.register({ name: api, port: application.port, sidecar: { port: other } })
        yield* Sockets.eventually(() => running().length === 2)
        const heard = Effect.scoped(Effect.gen(function*() {
          const socket = yield* Sockets.connect(upstream)
          const answer = Sockets.record(socket)
          socket.end("hello")
          yield* answer.ending
          return answer.text()
        }))
        yield* agent.eventually(Effect.filterOrFail(heard, (text) => text === "HELLO"), 30)
      }))
      yield* Sockets.eventually(() => running().length === 1)
      assert.deepStrictEqual(running(), [web])
    }))
})
