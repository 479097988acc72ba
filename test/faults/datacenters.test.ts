/** Datacenters and peers that are called all the time through gateways, while what lies between them breaks. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Schema, type Scope } from "effect"
import * as Agents from "../support/consul.ts"
import * as GatewayProcess from "../support/gatewayProcess.ts"
import * as Gateways from "../support/gateways.ts"
import * as Line from "../support/line.ts"
import type * as SidecarMesh from "../support/sidecarMesh.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"
import * as Sockets from "../support/sockets.ts"
import * as Traffic from "../support/traffic.ts"
import * as TrafficApplication from "../support/trafficApplication.ts"
import * as Figures from "./figures.ts"

type Datacenter = Effect.Success<typeof Gateways.two>["dc1"]
type Protocol = "http" | "tcp"

/** Calls a second. */
const rate = 500

/** An application with a sidecar that is a process of its own. */
const service = Effect.fnUntraced(function*(
  { address, put }: Datacenter,
  name: string,
  port: number,
  proxy: Schema.JsonObject = {},
  flags: ReadonlyArray<string> = []
) {
  const sidecarPort = yield* Agents.freePort
  yield* put({
    Name: name,
    Port: port,
    Address: "127.0.0.1",
    Connect: {
      SidecarService: {
        Port: sidecarPort,
        Checks: [{ Name: "listening", TCP: `127.0.0.1:${sidecarPort}`, Interval: "10s", Status: "passing" }],
        Proxy: proxy
      }
    }
  })
  return yield* SidecarProcess.start({
    args: ["--proxy-id", `${name}-sidecar-proxy`, "--http-addr", address, "--shutdown-delay", "0", ...flags]
  })
})

/** The sidecar of an application that reaches `api` at the port. */
const caller = Effect.fnUntraced(function*(datacenter: Datacenter, upstream: Schema.JsonObject) {
  const LocalBindPort = yield* Agents.freePort
  const adminPort = yield* Agents.freePort
  const proxy = { Upstreams: [{ DestinationName: "api", ...upstream, LocalBindPort }] }
  yield* service(datacenter, "web", 1, proxy, ["--admin-bind", `127.0.0.1:${adminPort}`])
  return {
    port: LocalBindPort,
    /** All series of a metric together. */
    sum: (metric: string) =>
      Effect.map(
        Effect.promise(() => fetch(`http://127.0.0.1:${adminPort}/metrics`).then((response) => response.text())),
        (text) =>
          text.split("\n").filter((line) => line.startsWith(metric)).reduce(
            (sum, line) => sum + Number(line.split(" ").at(-1)),
            0
          )
      )
  }
})

/** A mesh gateway that is a process of its own. `public`: where others reach it, if not where it listens. */
const gateway = Effect.fnUntraced(function*(
  { address }: Datacenter,
  id: string,
  between: (port: number) => Effect.Effect<number, never, Scope.Scope> = Effect.succeed
) {
  const port = yield* Agents.freePort
  const wan = yield* between(port)
  const running = yield* GatewayProcess.start({ address, id, port, wanPort: wan })
  return { ...running, port }
})

const speaks = ({ write }: Datacenter, protocol: Protocol, mode: string) =>
  write({
    Kind: "proxy-defaults",
    Name: "global",
    Config: { protocol },
    MeshGateway: { Mode: mode }
  })

/** One call. */
const answers = (protocol: Protocol, port: number) =>
  Effect.promise(async () => {
    const once = protocol === "tcp" ? Traffic.tcp(port, 100) : Traffic.http(port, 100)
    const { failures, sent } = await new Promise<Traffic.Report>((resolve) =>
      setTimeout(() => resolve(once.stop()), 50)
    )
    assert.isAbove(sent, 0)
    assert.deepStrictEqual(failures, [])
  })

interface Running {
  readonly report: Traffic.Traffic["report"]
  /** Waits for so many more calls. */
  readonly calls: (count: number) => Effect.Effect<void>
}

/** Calls at `rate` while something breaks, and tells how they went. */
const under = Effect.fnUntraced(function*<A, E, R>(
  what: string,
  protocol: Protocol,
  port: number,
  fault: (running: Running) => Effect.Effect<A, E, R>
) {
  yield* Gateways.eventually(answers(protocol, port))
  const traffic = protocol === "tcp" ? Traffic.tcp(port, rate) : Traffic.http(port, rate)
  const calls = (count: number) =>
    Effect.suspend(() => {
      const before = traffic.report().sent
      return Sockets.eventually(() => traffic.report().sent >= before + count)
    })
  yield* calls(2 * rate)
  yield* fault({ report: traffic.report, calls })
  yield* calls(2 * rate)
  const report = yield* Effect.promise(() => traffic.stop())
  Figures.tell(what, report)
  return report
})

const retrying = {
  Kind: "service-router",
  Name: "api",
  Routes: [{ Destination: { NumRetries: 3, RetryOn: ["reset", "connect-failure"] } }]
}

/** What was lost may have been done: it has no answer, and nobody may ask for it twice. */
const assertUnderWay = (failures: ReadonlyArray<string>, protocol: Protocol): void => {
  // Those that were at hand, and over TCP kept connections besides, which nobody was using.
  assert.isAtMost(failures.length, protocol === "tcp" ? 2 * Traffic.atHand : Traffic.atHand)
  const lost = protocol === "tcp" ? /reset|closed|EPIPE/i : /: POST: 503 .*connection termination$/
  for (const failure of failures) assert.match(failure, lost)
}

describe("a mesh gateway that is killed under 500 calls a second", () => {
  it.live.each(
    [
      ["http", "remote"],
      ["http", "local"],
      ["tcp", "remote"],
      ["tcp", "local"]
    ] as const
  )("costs at most the calls that were under way (%s, %s)", ([protocol, mode]) =>
    Effect.gen(function*() {
      const { failures } = yield* killed(protocol, mode, [])
      assertUnderWay(failures, protocol)
    }))

  it.live("costs nothing where the route allows another attempt", () =>
    Effect.gen(function*() {
      const { failures, notTried } = yield* killed("http", "remote", [retrying])
      assert.isAtMost(failures.length, notTried)
    }))
})

/** Of two gateways on the way, the one is killed and stays away. */
const killed = Effect.fnUntraced(function*(
  protocol: Protocol,
  mode: "remote" | "local",
  entries: ReadonlyArray<SidecarMesh.Entry>
) {
  const { dc1, dc2 } = yield* Gateways.two
  yield* speaks(dc1, protocol, mode)
  for (const entry of entries) yield* dc1.write(entry)
  const app = yield* TrafficApplication.open(protocol)
  yield* service(dc2, "api", app.port)
  const start = (datacenter: Datacenter, ...ids: ReadonlyArray<string>) =>
    Effect.forEach(ids, (id) => gateway(datacenter, id), { concurrency: 2 })
  const there = yield* start(dc2, "there-1", "there-2")
  const here = mode === "remote" ? [] : yield* start(dc1, "here-1", "here-2")
  const web = yield* caller(dc1, { Datacenter: "dc2" })
  const report = yield* under(
    `${protocol}, ${mode}${entries.length > 0 ? ", with retries" : ""}: a gateway is killed`,
    protocol,
    web.port,
    ({ calls }) => Effect.andThen((mode === "remote" ? there : here)[0]!.kill, calls(rate))
  )
  return { ...report, notTried: yield* web.sum("mesh_http_retries_refused_total") }
})

describe("a datacenter that is cut off under 500 calls a second", () => {
  it.live.each(
    [
      ["http", "refusing"],
      ["http", "silent"],
      ["tcp", "refusing"]
    ] as const
  )(
    "is stood in for by the next one, and called again once it is back (%s, %s)",
    ([protocol, how]) =>
      Effect.gen(function*() {
        const { dc1, dc2, wan } = yield* Gateways.two
        yield* speaks(dc1, protocol, "remote")
        yield* dc1.write({
          Kind: "service-resolver",
          Name: "api",
          ConnectTimeout: "1s",
          Failover: { "*": { Targets: [{ Datacenter: "dc1" }] } }
        })
        if (how === "silent") {
          yield* dc1.write({
            Kind: "service-router",
            Name: "api",
            Routes: [{ Destination: { RequestTimeout: "1s" } }]
          })
        }
        const [near, far] = [yield* TrafficApplication.open(protocol), yield* TrafficApplication.open(protocol)]
        yield* service(dc1, "api", near.port)
        yield* service(dc2, "api", far.port)
        const line = yield* Deferred.make<Line.Line>()
        yield* gateway(dc2, "there", (port) =>
          Effect.gen(function*() {
            const made = yield* Line.to(port)
            yield* Deferred.succeed(line, made)
            return made.port
          }))
        const { become } = yield* Deferred.await(line)
        // A datacenter with one gateway is left out as a whole, which a tenth of its gateways, the default, does not allow.
        const passive_health_check = { max_ejection_percent: 100, interval: "1s", base_ejection_time: "2s" }
        const web = yield* caller(dc1, { Datacenter: "dc2", Config: { passive_health_check } })
        const { failures } = yield* under(
          `${protocol}: a datacenter is cut off, ${how}`,
          protocol,
          web.port,
          ({ calls }) =>
            Effect.gen(function*() {
              // A slow machine makes a few connections too late.
              assert.isAbove(far.served(), rate)
              const standingIn = near.served()
              become(how)
              wan.set("dc1", "dc2", { isCut: true })
              yield* calls(4 * rate)
              assert.isAbove(near.served(), standingIn + rate)
              become("open")
              wan.set("dc1", "dc2", { isCut: false })
              const before = far.served()
              yield* Gateways.eventually(Effect.sync(() => assert.isAbove(far.served(), before + rate)))
            })
        )
        if (how === "refusing") return assertUnderWay(failures, protocol)
        // What was sent before has no answer in its time.
        // It is looked for again and again.
        assert.isAtMost(failures.length, Traffic.atHand * (yield* web.sum("mesh_ejections_total")))
        for (const failure of failures) assert.match(failure, /: 50[34] /)
      })
  )
})

describe("a root that is exchanged under 500 calls a second", () => {
  it.live.each(["http", "tcp"] as const)(
    "costs no call between datacenters (%s)",
    (protocol) =>
      Effect.gen(function*() {
        const { dc1, dc2, rotate } = yield* Gateways.two
        yield* speaks(dc1, protocol, "remote")
        const app = yield* TrafficApplication.open(protocol)
        yield* service(dc2, "api", app.port)
        yield* gateway(dc2, "there")
        const web = yield* caller(dc1, { Datacenter: "dc2" })
        const { failures } = yield* under(
          `${protocol}: another root, of two datacenters`,
          protocol,
          web.port,
          ({ calls }) => Effect.andThen(rotate, calls(4 * rate))
        )
        assert.deepStrictEqual(failures, [])
      })
  )

  it.live.each(["ours", "the peer's"] as const)("costs no call to a peer (%s)", (whose) =>
    Effect.gen(function*() {
      const { rotate, rotateOurs, web } = yield* peered
      const { failures } = yield* under(
        `http: another root, ${whose}`,
        "http",
        web.port,
        ({ calls }) => Effect.andThen(whose === "ours" ? rotateOurs : rotate, calls(4 * rate))
      )
      assert.deepStrictEqual(failures, [])
    }))
})

describe("a caller that a peer denies under 500 calls a second", () => {
  it.live("is told so each time, until it is allowed again", () =>
    Effect.gen(function*() {
      const { app, east, web } = yield* peered
      const { failures, sent } = yield* under(
        "http: a peer denies",
        "http",
        web.port,
        ({ calls, report }) =>
          Effect.gen(function*() {
            yield* allow(east, "deny")
            yield* Gateways.eventually(Effect.sync(() => assert.isAbove(report().failures.length, 0)))
            const { failures, sent } = report()
            const [served, before, failed] = [app.served(), sent, failures.length]
            yield* calls(2 * rate)
            // None but those that were at hand when it was heard.
            assert.isAtMost(app.served() - served, Traffic.atHand)
            assert.isAtLeast(report().failures.length - failed, report().sent - before - 2 * Traffic.atHand)
            yield* allow(east, "allow")
            const answered = app.served()
            yield* Gateways.eventually(Effect.sync(() => assert.isAbove(app.served(), answered + rate)))
            const over = report().failures.length
            yield* calls(rate)
            assert.strictEqual(report().failures.length, over)
          })
      )
      for (const failure of failures) assert.match(failure, /: 403 /)
      assert.isBelow(failures.length, sent)
    }))
})

const allow = ({ write }: Datacenter, Action: string) =>
  write({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Peer: "dc1", Action }] })

/** `web` calls `api` of the peer `east`, over HTTP. */
const peered = Effect.gen(function*() {
  const { dc1, east, ...rest } = yield* Gateways.peers
  for (const each of [dc1, east]) yield* speaks(each, "http", "remote")
  const app = yield* TrafficApplication.open("http")
  yield* service(east, "api", app.port)
  yield* gateway(east, "there")
  yield* east.exportTo("dc1", "api")
  yield* allow(east, "allow")
  const web = yield* caller(dc1, { DestinationPeer: "east" })
  return { ...rest, dc1, east, app, web }
})
