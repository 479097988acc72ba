/**
 * Two datacenters, a mesh gateway in each, and `api` in both: that of dc2 stands in for that of dc1. `web` has a sidecar of ours, `shop` an
 * Envoy; both call on while `api` of dc1 stops and comes back. Each step is shown as it happens, and has to hold:
 *
 *     ENVOY_BIN=/path/to/envoy node examples/federation/main.ts
 *
 * Without ENVOY_BIN, the same without Envoys.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Effect, References, Schema } from "effect"
import { intentions } from "./entries.ts"
import * as Federation from "./mesh.ts"

class ClaimFailed extends Schema.TaggedError<ClaimFailed>()("ClaimFailed", { claim: Schema.String }) {
  override readonly message = `this did not hold: ${this.claim}`
}

const claim = (text: string, holds: boolean) =>
  holds ? Console.log(`   ✓ ${text}`) : Effect.fail(new ClaimFailed({ claim: text }))

/** Calls as the application does, plain HTTP to the port of its upstream: the answer, or what was there instead. */
const ask = ({ upstream }: Federation.Caller): Effect.Effect<string> =>
  Effect.promise(async (signal) => {
    try {
      const answer = await fetch(`http://127.0.0.1:${upstream}/`, { signal })
      const body = await answer.text()
      return answer.ok ? body : `status ${answer.status}`
    } catch {
      return "no answer"
    }
  })

/** Calls and calls until this has been the answer ten times in a row. Each change is shown, with the time since `began`. */
const until = (caller: Federation.Caller, wanted: string, began: number) =>
  Effect.gen(function*() {
    let last = ""
    let inARow = 0
    while (inARow < 10) {
      const answer = yield* ask(caller)
      inARow = answer === wanted ? inARow + 1 : 0
      if (answer !== last) {
        const seconds = (((yield* Clock.currentTimeMillis) - began) / 1000).toFixed(1)
        yield* Console.log(`   ${seconds.padStart(4)} s  ${caller.name} hears: ${answer}`)
      }
      last = answer
      yield* Effect.sleep("50 millis")
    }
  })

/** All callers at once. */
const allHear = Effect.fnUntraced(function*(callers: ReadonlyArray<Federation.Caller>, wanted: string) {
  const began = yield* Clock.currentTimeMillis
  const text = `${callers.map(({ name }) => name).join(" and ")}: ${wanted}`
  yield* Effect.forEach(callers, (caller) => until(caller, wanted, began), { concurrency: "unbounded" }).pipe(
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => claim(text, false) })
  )
  yield* claim(text, true)
})

const walk = Effect.gen(function*() {
  const envoy = process.env["ENVOY_BIN"] || undefined
  yield* Console.log(
    envoy === undefined
      ? "Without Envoy, as ENVOY_BIN names none: shop is left out, and api in dc2 has a sidecar of ours.\n"
      : "web has a sidecar of ours, shop an Envoy. So has api: ours in dc1, an Envoy in dc2.\n"
  )
  yield* Console.log("1. Two datacenters are up, with a gateway of ours in each. api at home answers")
  const { callers, home, passed, write } = yield* Federation.up(envoy)
  yield* allHear(callers, "api in dc1")
  yield* claim("nothing went through the gateways", passed().dc1 === 0 && passed().dc2 === 0)

  yield* Console.log("\n2. api in dc1 stops: that of dc2 takes over")
  yield* home.stop
  yield* allHear(callers, "api in dc2")
  const { dc1, dc2 } = passed()
  yield* claim(`through both gateways: dc1 took ${dc1} connections, dc2 ${dc2}`, dc1 > 0 && dc2 > 0)

  yield* Console.log("\n3. An intention denies web: it holds in dc2 as well")
  yield* write(intentions("deny"))
  yield* allHear(callers.filter(({ name }) => name === "web"), "status 403")
  yield* allHear(callers.filter(({ name }) => name !== "web"), "api in dc2").pipe(
    Effect.when(Effect.succeed(callers.length > 1))
  )
  yield* write(intentions("allow"))
  yield* allHear(callers, "api in dc2")

  yield* Console.log("\n4. api in dc1 is back: so are its callers")
  yield* home.start
  yield* allHear(callers, "api in dc1")
  yield* Console.log("\nEvery claim held.")
})

walk.pipe(
  Effect.provideService(References.MinimumLogLevel, "Fatal"),
  Effect.scoped,
  Effect.provide(NodeServices.layer),
  Effect.tapError((error) => Console.error(error instanceof Error ? error.message : String(error))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
