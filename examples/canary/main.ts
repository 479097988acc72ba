/**
 * A release of `api` in small steps, under the eyes of `web`, which calls it through two sidecars: a tenth of the requests, testers,
 * a retry, a failover. Each step is counted as it happens, and has to hold:
 *
 *     node examples/canary/main.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, References, Schedule, Schema } from "effect"
import * as CanaryMesh from "./mesh.ts"

class ClaimFailed extends Schema.TaggedError<ClaimFailed>()("ClaimFailed", { claim: Schema.String }) {
  override readonly message = `this did not hold: ${this.claim}`
}

/** Waits for something that takes a moment. */
const soon = <A, E>(look: Effect.Effect<A, E>, holds: (seen: A) => boolean, text: string) =>
  look.pipe(
    Effect.repeat({ until: holds, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => claim(text, false) }),
    Effect.andThen(claim(text, true))
  )

const claim = (text: string, holds: boolean) =>
  holds ? Console.log(`   ✓ ${text}`) : Effect.fail(new ClaimFailed({ claim: text }))

/** Who answered how often: the name of an instance, or a status. */
type Counts = Readonly<Record<string, number>>

const shown = (counts: Counts): string => Object.entries(counts).sort().map(([who, n]) => `${who} ${n}`).join(", ")

const of = (counts: Counts, ...names: ReadonlyArray<string>): number =>
  names.reduce((sum, name) => sum + (counts[name] ?? 0), 0)

const total = (counts: Counts): number => of(counts, ...Object.keys(counts))

const together = (lists: ReadonlyArray<Counts>): Counts =>
  Object.fromEntries(
    [...new Set(lists.flatMap(Object.keys))].map((who) => [who, lists.reduce((n, it) => n + of(it, who), 0)])
  )

/** Calls `api` as the application `web` does: plain HTTP to the port of its upstream. */
const caller = (upstream: number) => {
  const once = (headers: Readonly<Record<string, string>>) =>
    Effect.promise(async () => {
      const answer = await fetch(`http://127.0.0.1:${upstream}/`, { headers })
      const body = await answer.text()
      return answer.ok ? body : `status ${answer.status}`
    })
  return (times: number, { atATime = 20, headers = {} }: Options = {}): Effect.Effect<Counts> =>
    Effect.map(
      Effect.forEach(Array.from({ length: times }), () => once(headers), { concurrency: atATime }),
      (names) => Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]))
    )
}

interface Options {
  readonly headers?: Readonly<Record<string, string>>
  readonly atATime?: number
}

type Call = ReturnType<typeof caller>

const split = Effect.fnUntraced(function*(call: Call) {
  yield* Console.log("\n2. A tenth of the requests goes to v2")
  const parts: Array<Counts> = []
  for (let i = 0; i < 4; i++) {
    parts.push(yield* call(250))
    yield* Console.log(`   after ${(i + 1) * 250}: ${shown(together(parts))}`)
  }
  const all = together(parts)
  const v2 = of(all, "api-v2")
  yield* claim(`v2 got ${v2 / 10} % of 1000`, total(all) === 1000 && v2 >= 50 && v2 <= 150)
  yield* claim("v1 got the others, on both instances", of(all, "api-v1-a", "api-v1-b", "api-v2") === 1000)
})

const testers = Effect.fnUntraced(function*(call: Call) {
  yield* Console.log("\n3. Testers, who send x-tester: 1, always get v2")
  const counts = yield* call(100, { headers: { "x-tester": "1" } })
  yield* claim(`of 100: ${shown(counts)}`, of(counts, "api-v2") === 100)
})

const retried = Effect.fnUntraced(function*(call: Call, failed: () => number) {
  yield* Console.log("\n4. A request whose first answer is 503 is sent again")
  for (const key of ["one", "two", "three"]) {
    const before = failed()
    const counts = yield* call(1, { headers: { "x-fail-once": key } })
    yield* claim(
      `an instance answered 503 (${failed()} so far), web saw: ${shown(counts)}`,
      failed() === before + 1 && !Object.keys(counts).some((name) => name.startsWith("status"))
    )
  }
})

const failedOver = Effect.fnUntraced(function*(call: Call, mesh: CanaryMesh.Mesh) {
  yield* Console.log("\n5. Every instance of v1 and v2 stops: the standby takes over")
  for (const { service, stop } of mesh.instances) if (service === "api") stop()
  // One after another: retries that go on at a time are limited.
  const atOnce = yield* call(100, { atATime: 1 })
  yield* claim(`at once, by retries: ${shown(atOnce)} of 100, none lost`, of(atOnce, "standby") === 100)
  yield* soon(mesh.healthy("api"), (healthy) => healthy === 0, "the checks of the agent have found out")
  const counts = yield* call(100)
  yield* claim(`when checks have found it out: ${shown(counts)} of 100`, of(counts, "standby") === 100)
})

const walk = Effect.gen(function*() {
  yield* Console.log("1. An agent, two instances of v1, one of v2, a standby and web, with a sidecar beside each")
  const mesh = yield* CanaryMesh.up
  const call = caller(mesh.upstream)
  yield* soon(call(1), (counts) => of(counts, "status 503") === 0, "web reaches api")
  const failed = () => mesh.instances.reduce((sum, instance) => sum + instance.failed(), 0)
  yield* split(call)
  yield* testers(call)
  yield* retried(call, failed)
  yield* failedOver(call, mesh)
  yield* Console.log("\nEvery claim held.")
})

walk.pipe(
  Effect.provideService(References.MinimumLogLevel, "Fatal"),
  Effect.scoped,
  Effect.tapError((error) => Console.error(error.message)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
