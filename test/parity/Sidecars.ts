/** The sidecars of a mesh: those of this project in this process, or programs that a command starts. */
import { Context, Effect, Layer, Redacted, Schedule, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import * as Net from "node:net"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as Feed from "../../src/xds/client/Feed.ts"
import * as Activity from "./Activity.ts"
import type * as Consul from "./Consul.ts"

export interface Sidecars {
  /** Starts the one of an instance, which is ready when these ports accept. It ends with the scope. */
  readonly start: (id: string, ports: ReadonlyArray<number>) => Effect.Effect<void, unknown, Scope.Scope>
  /** Waits until what has been written to the agent has reached all of them. `patient`: more time than it ever should take. */
  readonly settled: (patient: boolean) => Effect.Effect<void>
}

/**
 * Each with a client of its own, as a process of its own has. Scenarios change more entries in a second than operators do: watches ask
 * again at once all the same, or a change would be heard of only when its scenario is over.
 */
export const inProcess = (
  address: string,
  defaultPolicy: "allow" | "deny" | undefined
): Effect.Effect<Sidecars> =>
  Effect.map(Activity.make, (activity) => ({
    start: (id) =>
      Effect.gen(function*() {
        const built = yield* Layer.build(Layer.fresh(ConsulClient.layer({ address })))
        const client = activity.counted(Context.get(built, ConsulClient.ConsulClient))
        const policy = yield* BlockingQuery.Policy
        yield* ConsulSidecar.make({ proxyId: `${id}-sidecar-proxy`, drain: "1 second", defaultPolicy }).pipe(
          Effect.provideService(ConsulClient.ConsulClient, client),
          Effect.provideService(BlockingQuery.Policy, { ...policy, burst: 1000 })
        )
      }),
    settled: (patient) => activity.quiet(patient ? 1500 : 150)
  }))

/** Fed by the server of a Consul, and by nothing else. They have settled when none of them has heard anything for a while. */
export const fed = ({ grpc, token }: Pick<Consul.Consul, "grpc" | "token">): Sidecars => {
  let last = 0
  return {
    start: (id) =>
      Effect.gen(function*() {
        const feed = yield* Feed.make({
          servers: [{ host: "127.0.0.1", port: grpc }],
          tls: undefined,
          credentials: { _tag: "Token", read: Effect.succeed(Redacted.make(token)) },
          whose: { proxyId: `${id}-sidecar-proxy`, nodeName: undefined, namespace: "", partition: "" }
        })
        yield* ConsulSidecar.makeFed(feed, { drain: "1 second" })
        yield* Effect.forkScoped(
          Stream.runForEach(feed.changes, () =>
            Effect.sync(() => {
              last = performance.now()
            }))
        )
      }),
    settled: (patient) =>
      Effect.gen(function*() {
        const quiet = patient ? 2500 : 700
        const started = performance.now()
        while (performance.now() - Math.max(last, started) < quiet && performance.now() - started < 15_000) {
          yield* Effect.sleep("20 millis")
        }
      })
  }
}

/** Run by a shell, `NAME` in the command standing for the instance. Nobody says when they have settled: that takes a while. */
export const spawned = (address: string, command: string): Sidecars => ({
  start: (id, ports) =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("sh", ["-c", `exec ${command.replaceAll("NAME", id)}`], {
            stdio: "ignore",
            env: { ...process.env, CONSUL_HTTP_ADDR: address }
          })
        ),
        (child) => Effect.sync(() => child.kill())
      )
      for (const port of ports) yield* Effect.retry(accepts(port), patience)
    }),
  settled: (patient) => Effect.sleep(patient ? "5 seconds" : "2500 millis")
})

export const patience = Schedule.max([Schedule.spaced("200 millis"), Schedule.recurs(300)])

export const accepts = (port: number): Effect.Effect<void, string> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.on("error", (error) => resume(Effect.fail(error.message)))
  })
