/** A service whose protocol changes while it is being called, through two sidecars. */
import * as Http from "node:http"
import { text } from "node:stream/consumers"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import * as HttpApplication from "../../support/httpApplication.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"

/** What speaks with the client, and what with the application; or what went wrong. */
type Heard = { readonly client: "sidecar" | "application"; readonly application: "sidecar" | "client" } | {
  readonly wrong: string
}

const relayed: Heard = { client: "application", application: "client" }
const spoken: Heard = { client: "sidecar", application: "sidecar" }

/** Without an agent: on a connection of its own. */
const ask = (port: number, agent?: Http.Agent): Effect.Effect<Heard> =>
  Effect.callback((resume) => {
    const wrong = ({ message }: Error) => resume(Effect.succeed({ wrong: message }))
    const request = Http.get({ host: "127.0.0.1", port, agent: agent ?? false }, (response) => {
      text(response).then((body) => {
        const { "x-saw": saw, server } = response.headers
        resume(Effect.succeed(
          response.statusCode !== 200 || body !== "hello"
            ? { wrong: `${response.statusCode} ${body}` }
            : {
              client: server === "envoy" ? "sidecar" : "application",
              application: saw === "sidecar" ? "sidecar" : "client"
            }
        ))
      }, wrong)
    })
    request.on("error", wrong)
    return Effect.sync(() => request.destroy())
  })

/** One connection that is kept. */
const kept: Effect.Effect<Http.Agent, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
  (agent) => Effect.sync(() => agent.destroy())
)

describe("a service that becomes HTTP, and TCP again", () => {
  it.live("lets open connections go on by the old rules, serves new ones by the new, and fails nobody", () =>
    Effect.gen(function*() {
      const app = yield* HttpApplication.start((request, response) => {
        response.setHeader("x-saw", request.headers["x-request-id"] === undefined ? "client" : "sidecar")
        response.end("hello")
      })
      const mesh = yield* SidecarMesh.make({ apps: [app], protocol: "tcp" })
      const become = Effect.fnUntraced(function*(protocol: string, expected: Heard) {
        yield* mesh.write(SidecarMesh.defaults("api", protocol))
        yield* Sockets.eventuallyEffect(
          Effect.map(ask(mesh.port), (heard) => JSON.stringify(heard) === JSON.stringify(expected))
        )
      })
      const wrong: Array<string> = []
      let answered = 0
      const traffic = yield* ask(mesh.port).pipe(
        Effect.map((heard) => {
          if ("wrong" in heard) wrong.push(heard.wrong)
          else answered++
        }),
        Effect.forever,
        (one) => Effect.all([one, one, one, one], { concurrency: "unbounded" }),
        Effect.forkChild
      )
      const more = Effect.suspend(() => {
        const wanted = answered + 25
        return Sockets.eventually(() => answered >= wanted)
      })
      yield* more
      const [first, second] = [yield* kept, yield* kept]
      assert.deepStrictEqual(yield* ask(mesh.port, first), relayed)

      yield* become("http", spoken)
      assert.deepStrictEqual(yield* ask(mesh.port, first), relayed, "goes on as bytes")
      assert.deepStrictEqual(yield* ask(mesh.port, second), spoken)
      yield* more

      yield* become("tcp", relayed)
      assert.deepStrictEqual(yield* ask(mesh.port, first), relayed)
      const goesOn = yield* ask(mesh.port, second)
      assert.strictEqual("wrong" in goesOn ? goesOn.wrong : goesOn.client, "sidecar", "goes on as requests")

      yield* more
      yield* Fiber.interrupt(traffic)
      assert.deepStrictEqual(wrong, [])
    }))
})
