/** Where requests go, and how they are kept going, between a sidecar of this project and Envoys. */
import * as Tls from "node:tls"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as agent from "../support/consul.ts"
import * as Echo from "../support/echoService.ts"
import * as EnvoyMesh from "../support/envoyMesh.ts"

const setUp = (kinds: (typeof EnvoyMesh.directions)[number]) =>
  Effect.gen(function*() {
    const blue = yield* Echo.start("blue", "1.1")
    const green = yield* Echo.start("green", "1.1")
    const admin = yield* Echo.start("admin", "1.1")
    const versions = [{ ...blue, meta: { version: "blue" } }, { ...green, meta: { version: "green" } }]
    const mesh = yield* EnvoyMesh.make({
      ...kinds,
      services: {
        api: { protocol: "http", instances: versions },
        admin: { protocol: "http", instances: [admin] }
      },
      entries: [
        {
          Kind: "service-resolver",
          Name: "api",
          DefaultSubset: "blue",
          Subsets: {
            blue: { Filter: "Service.Meta.version == blue" },
            green: { Filter: "Service.Meta.version == green" }
          }
        },
        {
          Kind: "service-router",
          Name: "api",
          Routes: [
            {
              Match: { HTTP: { PathPrefix: "/admin/" } },
              Destination: {
                Service: "admin",
                PrefixRewrite: "/",
                RequestHeaders: { Set: { "x-routed": "yes" } },
                ResponseHeaders: { Add: { "x-route": "admin" } }
              }
            },
            {
              Match: { HTTP: { Header: [{ Name: "x-version", Exact: "green" }] } },
              Destination: { ServiceSubset: "green" }
            },
            {
              Match: { HTTP: { PathExact: "/retried" } },
              Destination: { ServiceSubset: "blue", NumRetries: 3, RetryOnStatusCodes: [503] }
            }
          ]
        }
      ]
    })
    return { mesh, blue, green, admin, ask: yield* Echo.client(mesh.portTo("api")) }
  })

class Cast extends Context.Service<Cast, Effect.Success<ReturnType<typeof setUp>>>()("test/envoy/routes/Cast") {}

const said = (name: string, asking: ReturnType<Echo.Client>) =>
  agent.eventually(
    Effect.filterOrFail(asking, ({ body }) => body.toString() === name, ({ body }) => body.toString()),
    20
  )

/** Of the certificate that a listener of the mesh shows. */
const serialOf = (port: number) =>
  Effect.callback<string, string>((resume) => {
    const socket = Tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resume(Effect.succeed(socket.getPeerCertificate().serialNumber))
      socket.destroy()
    })
    socket.on("error", (error) => resume(Effect.fail(error.message)))
  })

describe.each(EnvoyMesh.directions)("a caller with $caller, instances with $callee", (kinds) => {
  layer(Layer.effect(Cast, setUp(kinds)), { timeout: 90_000, excludeTestServices: true })((it) => {
    it.effect("takes the route that matches, and rewrites as it says", () =>
      Effect.gen(function*() {
        const { admin, ask } = yield* Cast
        const answer = yield* said("admin", ask({ path: "/admin/users?x=1" }))
        assert.strictEqual(answer.headers["x-route"], "admin")
        assert.deepInclude(admin.seen.at(-1), { target: "/users?x=1" })
        assert.strictEqual(admin.seen.at(-1)!.headers["x-routed"], "yes")
        yield* said("green", ask({ headers: { "x-version": "green" } }))
        yield* said("blue", ask())
      }))

    it.effect("tries again what is answered with 503, as often as the route says", () =>
      Effect.gen(function*() {
        const { ask, blue } = yield* Cast
        yield* said("blue", ask({ path: "/retried" }))
        const before = blue.seen.length
        blue.statuses.push(503, 503)
        const answer = yield* ask({ path: "/retried" })
        assert.deepStrictEqual([answer.status, answer.body.toString()], [200, "blue"])
        assert.strictEqual(blue.seen.length - before, 3)
        blue.statuses.push(503)
        assert.strictEqual((yield* ask()).status, 503, "the other route has no retries")
      }))

    it.effect(
      "goes on without a failure while the root and all certificates are replaced",
      () =>
        Effect.gen(function*() {
          const { ask, mesh } = yield* Cast
          yield* said("blue", ask())
          const serial = Effect.orDie(serialOf(mesh.sidecarOf("api-1")))
          const before = yield* serial
          yield* mesh.rotateRoot
          const statuses = new Set<number>()
          // Agents spread the new certificates over half a minute.
          for (; (yield* serial) === before;) for (let more = 0; more < 10; more++) statuses.add((yield* ask()).status)
          for (let more = 0; more < 200; more++) statuses.add((yield* ask()).status)
          assert.deepStrictEqual([...statuses], [200])
        }),
      90_000
    )

    it.effect("splits as the splitter says, once there is one", () =>
      Effect.gen(function*() {
        const { ask, mesh } = yield* Cast
        yield* mesh.write({
          Kind: "service-splitter",
          Name: "api",
          Splits: [
            { Weight: 50, ServiceSubset: "blue" },
            { Weight: 50, ServiceSubset: "green", RequestHeaders: { Set: { "x-leg": "green" } } }
          ]
        })
        yield* said("green", ask())
        const names = yield* Effect.forEach(Array.from({ length: 200 }), () =>
          Effect.map(ask(), ({ body }) => body.toString()))
        const blues = names.filter((name) =>
          name === "blue"
        ).length
        // Less likely to fail than one in a billion.
        assert.isAbove(blues, 55)
        assert.isBelow(blues, 145)
        assert.deepStrictEqual([...new Set(names)].toSorted(), ["blue", "green"])
      }))
  })
})
