import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, References, Schedule } from "effect"
import * as Net from "node:net"
import { isDeepStrictEqual } from "node:util"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import type * as Selection from "../../src/sidecar/Selection.ts"
import * as Sidecars from "../../src/sidecar/Sidecars.ts"
import * as agents from "../support/agents.ts"
import * as agent from "../support/consul.ts"
import * as scrape from "../support/scrape.ts"
import * as sockets from "../support/sockets.ts"

interface Line {
  readonly text: string
  readonly level: string
  readonly service: unknown
}

/** An agent of the test's own, with services that echo in upper case and sidecars that call the next one. */
const node = Effect.gen(function*() {
  const lines: Array<Line> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const { service } = fiber.getRef(References.CurrentLogAnnotations)
    lines.push({ text: String(message), level: logLevel, service })
  })
  const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "allow" })
  const front = yield* agents.agentBehind(running.port)
  const consul = yield* Layer.build(ConsulClient.layer({ address: `http://${front.address}` }))
  const { port: application } = yield* sockets.shouting
  const ports = new Map<string, { readonly inbound: number; readonly outbound: number }>()
  const register = Effect.fnUntraced(function*(name: string, calls: string) {
    const [inbound, outbound] = [yield* agent.freePort, yield* agent.freePort]
    ports.set(name, ports.get(name) ?? { inbound, outbound })
    const own = ports.get(name)!
    yield* agent.put({
      name,
      port: application,
      sidecar: { port: own.inbound, upstreams: [{ DestinationName: calls, LocalBindPort: own.outbound }] }
    })
  }, Effect.provideContext(consul))
  const deregister = (name: string) =>
    Context.get(consul, ConsulClient.ConsulClient).call(
      "deregister",
      (api) => api.agent.deregisterService({ params: { id: name }, query: {} })
    )
  const start = Effect.fnUntraced(
    function*(wanted: Selection.Wanted, options: Partial<Sidecars.Options> = {}) {
      const sidecars = yield* Sidecars.make({
        drain: "100 millis",
        restart: Schedule.spaced("20 millis"),
        keep: "100 millis",
        ...options,
        wanted
      })
      const states = () =>
        Object.fromEntries(sidecars.status().members.map(({ service, state }) => [service, state._tag]))
      const member = (service: string) => sidecars.status().members.find((one) => one.service === service)
      return { ...sidecars, states, member, are: (expected: object) => eventually(states, expected) }
    },
    Effect.provideContext(consul),
    Effect.provide(Logger.layer([logger]))
  )
  /** What the application of a service gets of another one, through both sidecars. */
  const call = (from: string) =>
    Effect.gen(function*() {
      const socket = yield* sockets.connect(ports.get(from)!.outbound)
      const answer = sockets.record(socket)
      socket.write("hello")
      return yield* Effect.raceFirst(Effect.as(answer.until("HELLO"), "HELLO"), answer.ending)
    }).pipe(
      Effect.scoped,
      Effect.filterOrFail((answer) => answer === "HELLO"),
      Effect.retry(Schedule.spaced("20 millis"))
    )
  return { front, register, deregister, start, call, lines, portOf: (name: string) => ports.get(name)!.inbound }
})

/** Waits until they are the same; the test's own limit shows what they were. */
const eventually = (actual: () => object, expected: object) =>
  Effect.catch(
    Effect.timeout(sockets.eventually(() => isDeepStrictEqual(actual(), expected)), "40 seconds"),
    () => Effect.sync(() => assert.deepStrictEqual(actual(), expected))
  )

const listens = (port: number) => Effect.scoped(Effect.isSuccess(sockets.connect(port)))

describe("Sidecars", () => {
  it.live("serve every sidecar of the agent, as they come and go", () =>
    Effect.gen(function*() {
      const { call, deregister, lines, portOf, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      const sidecars = yield* start("node")
      yield* sidecars.are({ api: "Running", web: "Running" })
      assert.strictEqual(yield* call("web"), "HELLO")
      yield* register("db", "web")
      yield* sidecars.are({ api: "Running", web: "Running", db: "Running" })
      assert.strictEqual(yield* call("db"), "HELLO")
      yield* deregister("api")
      yield* sidecars.are({ web: "Running", db: "Running" })
      assert.isFalse(yield* listens(portOf("api")))
      assert.strictEqual(yield* call("db"), "HELLO")
      const gone = lines.find(({ text }) => text.includes("is not registered as the proxy of api any more"))
      assert.strictEqual(gone?.service, "api")
      yield* register("api", "web")
      yield* sidecars.are({ web: "Running", db: "Running", api: "Running" })
      assert.strictEqual(yield* call("web"), "HELLO")
    }))

  it.live("go on through a registration that is taken out and comes back", () =>
    Effect.gen(function*() {
      const { call, deregister, front, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      const sidecars = yield* start("node", { keep: "1 hour" })
      yield* sidecars.are({ api: "Running", web: "Running" })
      const { sidecar } = sidecars.member("api")!.state as { readonly sidecar?: unknown }
      yield* deregister("api")
      const lists = () => front.requests.filter((request) => request.startsWith("GET /v1/agent/services")).length
      const before = lists()
      // The second one is asked for once the first has been looked at.
      yield* sockets.eventually(() => lists() >= before + 2)
      assert.deepStrictEqual(sidecars.states(), { api: "Running", web: "Running" })
      yield* register("api", "web")
      assert.strictEqual(yield* call("web"), "HELLO")
      assert.strictEqual((sidecars.member("api")!.state as { readonly sidecar?: unknown }).sidecar, sidecar)
    }))

  it.live("serve the services that are named, and say which are not there yet", () =>
    Effect.gen(function*() {
      const { lines, portOf, register, start } = yield* node
      yield* register("web", "api")
      yield* register("other", "api")
      const sidecars = yield* start(["web", "api"])
      yield* sidecars.are({ web: "Running" })
      assert.match(sidecars.status().missing[0]!.why, /^no sidecar is registered for a service with the ID api/)
      assert.strictEqual(lines.filter(({ level }) => level === "Warn").length, 1)
      yield* register("api", "web")
      yield* sidecars.are({ web: "Running", api: "Running" })
      assert.deepStrictEqual(sidecars.status().missing, [])
      assert.isFalse(yield* listens(portOf("other")))
    }))

  it.live("try again what one of them can not do, and leave the others alone", () =>
    Effect.gen(function*() {
      const { call, lines, portOf, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      yield* register("blocked", "api")
      const taken = Net.createServer()
      yield* Effect.callback<void>((resume) =>
        void taken.listen(portOf("blocked"), "0.0.0.0", () => resume(Effect.void))
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => taken.close()))
      const sidecars = yield* start("node")
      yield* sidecars.are({ api: "Running", blocked: "Waiting", web: "Running" })
      assert.strictEqual(yield* call("web"), "HELLO")
      const line = lines.find(({ level, text }) => level === "Error" && text.includes("started again"))
      assert.strictEqual(line?.service, "blocked")
      assert.include(line?.text, String(portOf("blocked")))
      taken.close()
      yield* sidecars.are({ api: "Running", blocked: "Running", web: "Running" })
      assert.isAtLeast(sidecars.member("blocked")!.restarts, 1)
      assert.strictEqual(sidecars.member("web")!.restarts, 0)
      assert.strictEqual(yield* call("blocked"), "HELLO")
    }).pipe(scrape.fresh))

  it.live("start one again that a bug has ended, and count it for its service", () =>
    Effect.gen(function*() {
      const { call, lines, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      let times = 0
      const sidecars = yield* start("node", {
        started: (sidecar) =>
          Effect.sync(() => {
            if (sidecar.status().registration.service === "web" && ++times === 1) throw new Error("broken")
          })
      })
      yield* sockets.eventually(() => sidecars.member("web")?.restarts === 1)
      yield* sidecars.are({ api: "Running", web: "Running" })
      assert.strictEqual(yield* call("web"), "HELLO")
      const line = lines.find(({ text }) => text.includes("a bug: Error: broken"))
      assert.strictEqual(line?.service, "web")
      const samples = yield* scrape.samples
      const restarts = (service: string) =>
        samples[`mesh_sidecar_restarts_total{service="${service}",proxy="${service}-sidecar-proxy"}`]
      assert.deepStrictEqual([restarts("web"), restarts("api")], [1, 0])
      assert.strictEqual(samples["mesh_sidecar_running{service=\"web\",proxy=\"web-sidecar-proxy\"}"], 1)
    }).pipe(scrape.fresh))

  it.live("serve the others where the token has no rights for one of them", () =>
    Effect.gen(function*() {
      const { call, front, lines, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      yield* register("denied", "api")
      front.become(agents.faults.denies, (path) => path.includes("/leaf/denied"))
      const sidecars = yield* start("node", { readyWithin: "2 seconds" })
      yield* sidecars.are({ api: "Running", denied: "Waiting", web: "Running" })
      assert.strictEqual(yield* call("web"), "HELLO")
      const line = lines.find(({ text }) => text.includes("the leaf certificate did not arrive within 2s"))
      assert.strictEqual(line?.service, "denied")
      assert.include(line?.text, "service:write")
      front.become(undefined)
      yield* sidecars.are({ api: "Running", denied: "Running", web: "Running" })
    }))

  it.live("serve the others while one is flooded, and count the flood for that one", () =>
    Effect.gen(function*() {
      const { call, portOf, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      const sidecars = yield* start("node")
      yield* sidecars.are({ api: "Running", web: "Running" })
      const flood = yield* Effect.forkScoped(
        Effect.forever(
          Effect.scoped(Effect.ignore(Effect.flatMap(sockets.connect(portOf("web")), (socket) =>
            Effect.callback<void>((resume) => {
              socket.end("this is no TLS")
              socket.resume().once("close", () => resume(Effect.void))
            }))))
        ).pipe((one) =>
          Effect.all(Array.from({ length: 50 }, () => one), { concurrency: "unbounded" })
        )
      )
      const refused = Effect.map(scrape.samples, (samples) => (service: string) =>
        samples[`mesh_refusals_total{direction="inbound",reason="not_tls",service="${service}"}`] ?? 0)
      yield* sockets.eventuallyEffect(Effect.map(refused, (of) =>
        of("web") > 500))
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* call("web"), "HELLO")
      }
      assert.strictEqual((yield* refused)("api"), 0)
      flood.interruptUnsafe()
    }).pipe(scrape.fresh))

  it.live("share what they watch, and close all together", () =>
    Effect.gen(function*() {
      const { front, portOf, register, start } = yield* node
      const names = ["web", "api", "db", "cart"]
      for (const name of names) yield* register(name, name === "api" ? "web" : "api")
      yield* Effect.scoped(Effect.gen(function*() {
        const sidecars = yield* start("node")
        yield* sidecars.are({ api: "Running", cart: "Running", db: "Running", web: "Running" })
        const asked = (path: string) => front.requests.filter((request) => request === path).length
        assert.strictEqual(asked("GET /v1/agent/connect/ca/roots"), 1)
        // For its protocol, and what it is to its callers by connection and by request.
        assert.strictEqual(asked("POST /v1/discovery-chain/api"), 3)
        // One for all of them at once, and questions that are held for each: leaf, registration, protocol.
        assert.isAtMost(front.open(), 16 + 8 + 3 * names.length)
      }))
      for (const name of names) assert.isFalse(yield* listens(portOf(name)))
    }))

  it.live("stay left where they were told to leave, until their registration has gone; are done when all have left", () =>
    Effect.gen(function*() {
      const { deregister, portOf, register, start } = yield* node
      yield* register("web", "api")
      yield* register("api", "web")
      const sidecars = yield* start("node")
      yield* sidecars.are({ api: "Running", web: "Running" })
      const leave = (service: string) => {
        const { state } = sidecars.member(service)!
        return state._tag === "Running" ? state.sidecar.leave : Effect.die(`${service} does not run`)
      }
      yield* leave("web")
      yield* sidecars.are({ api: "Running", web: "Left" })
      assert.isFalse(yield* listens(portOf("web")))
      yield* deregister("web")
      yield* sidecars.are({ api: "Running" })
      yield* register("web", "api")
      yield* sidecars.are({ api: "Running", web: "Running" })
      yield* Effect.all([leave("web"), leave("api")], { concurrency: 2 })
      yield* sidecars.left
      assert.deepStrictEqual(sidecars.states(), { api: "Left", web: "Left" })
    }))
})
