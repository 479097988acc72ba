/** A pair of sidecars through what happens to an agent in a bad night: fast rotation, a new root, a restart. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Ref, Scope } from "effect"
import * as Net from "node:net"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agent from "../support/consul.ts"

/** Answers each connection with its greeting, and closes it. */
const greeting = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer((socket) => socket.on("error", () => {}).end("hello"))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

/** What a new connection hears until it is closed. */
const ask = (port: number): Effect.Effect<string, string> =>
  Effect.callback((resume) => {
    let heard = ""
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("data", (data) => heard += data.toString())
    socket.on("error", (error) => resume(Effect.fail(error.message)))
    socket.on("close", () => resume(heard === "hello" ? Effect.succeed(heard) : Effect.fail(`heard "${heard}"`)))
    return Effect.sync(() => socket.destroy())
  })

const web = "web"
const api = "api"

/** The agent's part of the pair; a restarted agent has to be told again. */
const register = (ports: { readonly app: number; readonly api: number; readonly web: number; readonly up: number }) =>
  Effect.gen(function*() {
    yield* agent.put({ name: api, port: ports.app, sidecar: { port: ports.api } })
    const upstreams = [{ DestinationName: api, LocalBindPort: ports.up }]
    yield* agent.put({ name: web, port: 1, sidecar: { port: ports.web, upstreams } })
    const consul = yield* ConsulClient.ConsulClient
    yield* consul.call("allow", (client) =>
      client.config.write({
        query: {},
        payload: { Kind: "service-intentions", Name: api, Sources: [{ Name: web, Action: "allow" }] }
      }))
  })

const freePorts = Effect.all({ app: agent.freePort, api: agent.freePort, web: agent.freePort, up: agent.freePort })

const sidecar = (name: string) => ConsulSidecar.make({ proxyId: `${name}-sidecar-proxy`, drain: "100 millis" })

describe("a pair of sidecars", () => {
  it.live(
    "fails no new connection while leaves live for seconds and the root is replaced",
    () =>
      Effect.gen(function*() {
        const running = yield* DevelopmentAgent.make({ port: 0, leafTtl: "4 seconds", defaultIntentionPolicy: "deny" })
        const consul = yield* Layer.build(ConsulClient.layer({ address: running.address }))
        yield* Effect.gen(function*() {
          const ports = yield* freePorts
          yield* greeting(ports.app)
          yield* register(ports)
          const apiSidecar = yield* sidecar(api)
          yield* sidecar(web)
          yield* agent.eventually(ask(ports.up))

          const outcome = yield* Ref.make({ answered: 0, failed: [] as ReadonlyArray<string> })
          const traffic = yield* ask(ports.up).pipe(
            Effect.matchEffect({
              onSuccess: () => Ref.update(outcome, (o) => ({ ...o, answered: o.answered + 1 })),
              onFailure: (why) => Ref.update(outcome, (o) => ({ ...o, failed: [...o.failed, why] }))
            }),
            Effect.forever,
            Effect.forkChild
          )
          // Renewal comes after half of the lifetime: a slow machine has the other one. Five of them mean several expired leaves.
          const renewals = (count: number) =>
            Effect.gen(function*() {
              const seen = new Set<string>()
              yield* agent.eventually(
                Effect.suspend(() =>
                  seen.add(apiSidecar.material().leaf.certificate.serial).size > count
                    ? Effect.void
                    : Effect.fail(seen.size)
                ),
                30
              )
            })
          yield* renewals(3)
          const before = apiSidecar.material().roots.roots.length
          yield* running.rotateRoots
          yield* renewals(2)
          yield* agent.eventually(
            Effect.flatMap(Ref.get(outcome), (o) => o.answered > 50 ? Effect.void : Effect.fail(o)),
            30
          )
          yield* Fiber.interrupt(traffic)
          const { answered, failed } = yield* Ref.get(outcome)
          assert.deepStrictEqual(failed, [], `${failed.length} of ${answered + failed.length} connections failed`)
          assert.strictEqual(apiSidecar.material().roots.roots.length, before + 1)
        }).pipe(Effect.provideContext(consul))
      }),
    60_000
  )

  it.live(
    "opens no HTTP service that demands a token, and asks for none on tcp",
    () =>
      Effect.gen(function*() {
        const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
        const consul = yield* Layer.build(ConsulClient.layer({ address: running.address }))
        yield* Effect.gen(function*() {
          const ports = yield* freePorts
          yield* greeting(ports.app)
          yield* register(ports)
          const { call } = yield* ConsulClient.ConsulClient
          const write = (payload: { readonly [key: string]: unknown }) =>
            call("write", (client) => client.config.write({ query: {}, payload: payload as never }))
          yield* write({ Kind: "service-defaults", Name: api, Protocol: "http" })
          yield* write({
            Kind: "jwt-provider",
            Name: "okta",
            Issuer: "okta",
            JSONWebKeySet: { Local: { JWKS: "e30=" } }
          })
          const JWT = { Providers: [{ Name: "okta" }] }
          yield* write({ Kind: "service-intentions", Name: api, JWT, Sources: [{ Name: web, Action: "allow" }] })
          const apiSidecar = yield* sidecar(api)
          const webSidecar = yield* sidecar(web)
          const judged = () => apiSidecar.authorizer.latest()!.connection(webSidecar.material().leaf.identity)
          assert.include(Decision.explain(judged()), "requires a token")
          assert.isTrue(Exit.isFailure(yield* Effect.exit(ask(ports.up))))
          yield* write({ Kind: "service-defaults", Name: api, Protocol: "tcp" })
          yield* agent.eventually(ask(ports.up))
        }).pipe(Effect.provideContext(consul))
      }),
    30_000
  )

  it.live(
    "goes on without the agent, and follows it again when it is back with a state of its own",
    () =>
      Effect.gen(function*() {
        const first = yield* Scope.make()
        const port = yield* agent.freePort
        const started = yield* DevelopmentAgent.make({ port, defaultIntentionPolicy: "deny" }).pipe(
          Scope.provide(first)
        )
        const consul = yield* Layer.build(ConsulClient.layer({ address: started.address }))
        yield* Effect.gen(function*() {
          const ports = yield* freePorts
          yield* greeting(ports.app)
          yield* register(ports)
          const [apiSidecar, webSidecar] = [yield* sidecar(api), yield* sidecar(web)]
          yield* agent.eventually(ask(ports.up))

          yield* Scope.close(first, Exit.void)
          yield* agent.eventually(
            Effect.suspend(() =>
              apiSidecar.authorizer.freshness().failures > 0 ? Effect.void : Effect.fail("not noticed yet")
            )
          )
          assert.strictEqual(yield* ask(ports.up), "hello", "traffic goes on, with the last known values")

          // Back on the same port, with nothing of what it knew: indexes start over, and so does the trust domain.
          const again = yield* DevelopmentAgent.make({ port, defaultIntentionPolicy: "deny" })
          yield* register(ports)
          yield* Effect.forEach([apiSidecar, webSidecar], (each) =>
            agent.eventually(
              Effect.suspend(() =>
                each.material().leaf.identity.trustDomain === again.trustDomain &&
                  each.authorizer.latest()?.trustDomain === again.trustDomain
                  ? Effect.void
                  : Effect.fail("not followed yet")
              ),
              30
            ))
          assert.strictEqual(yield* agent.eventually(ask(ports.up)), "hello")
        }).pipe(Effect.provideContext(consul))
      }),
    60_000
  )
})
