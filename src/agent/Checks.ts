/**
 * The checks of this agent, running: each is a fiber that ends with its check. A check's status goes into the catalog as
 * soon as it changes; an output that changes alone does not, so that it wakes no reader (Consul waits minutes with it).
 */
import { Duration, Effect, FiberMap, type Scope } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import * as Health from "../consul/Health.ts"
import * as CheckStreak from "./CheckStreak.ts"
import type * as CatalogStore from "./CatalogStore.ts"
import type * as CheckDefinition from "./CheckDefinition.ts"
import * as Http2Check from "./Http2Check.ts"
import * as ProbeCheck from "./ProbeCheck.ts"
import * as ScriptCheck from "./ScriptCheck.ts"
import type * as Store from "./Store.ts"

export interface Checks {
  /** As the agent sees them: with the latest output. */
  readonly list: () => ReadonlyMap<string, Health.Check>
  readonly definition: (id: string) => CheckDefinition.CheckDefinition | undefined
  /** Puts the check into the transaction; `start` runs it afterwards. */
  readonly put: (
    transaction: CatalogStore.Transaction,
    definition: CheckDefinition.CheckDefinition,
    service: { readonly name: string; readonly tags: ReadonlyArray<string> }
  ) => void
  readonly start: (definition: CheckDefinition.CheckDefinition) => Effect.Effect<void>
  readonly remove: (transaction: CatalogStore.Transaction, id: string) => void
  readonly stop: (id: string) => Effect.Effect<void>
  /** A TTL check says how it fares. */
  readonly report: (
    id: string,
    outcome: ProbeCheck.Outcome
  ) => Effect.Effect<void, ApiError.NotFound | ApiError.InternalError>
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly node: string
  /** A service has been critical for longer than its check allows. */
  readonly expel: (serviceId: string) => Effect.Effect<void>
}): Effect.fn.Return<Checks, never, Scope.Scope> {
  const { catalog, node, store } = options
  const definitions = new Map<string, CheckDefinition.CheckDefinition>()
  const local = new Map<string, Health.Check>()
  const streaks = new Map<string, CheckStreak.CheckStreak>()
  const fibers = yield* FiberMap.make<string>()
  const scope = yield* Effect.scope

  const set = (id: string, outcome: ProbeCheck.Outcome) =>
    Effect.suspend(() => {
      const check = local.get(id)
      const definition = definitions.get(id)
      if (check === undefined || definition === undefined) return Effect.void
      const next = { ...check, Status: outcome.status, Output: outcome.output }
      local.set(id, next)
      if (next.Status === check.Status && catalog.node(node)?.checks.get(id)?.Status === next.Status) return Effect.void
      catalog.change((transaction) => transaction.putCheck(node, next))
      return reap(definition, next.Status)
    })

  const reap = ({ deregisterAfter, id, serviceId }: CheckDefinition.CheckDefinition, status: string) => {
    if (deregisterAfter === undefined || serviceId === "") return Effect.void
    const key = `reap:${id}`
    return status !== "critical"
      ? FiberMap.remove(fibers, key)
      : Effect.asVoid(FiberMap.run(
        fibers,
        key,
        Effect.andThen(
          Effect.sleep(deregisterAfter),
          // In the agent's scope: the removal ends this very fiber.
          Effect.forkIn(options.expel(serviceId), scope)
        ),
        { onlyIfMissing: true }
      ))
  }

  const observe = (definition: CheckDefinition.CheckDefinition, outcome: ProbeCheck.Outcome) =>
    Effect.suspend(() => {
      const streak = CheckStreak.next(streaks.get(definition.id) ?? CheckStreak.none, outcome)
      streaks.set(definition.id, streak)
      const verdict = CheckStreak.verdict(streak, definition, outcome)
      return verdict === undefined ? Effect.void : set(definition.id, verdict)
    })

  const repeat = (
    definition: CheckDefinition.CheckDefinition,
    probe: Effect.Effect<ProbeCheck.Outcome>,
    interval: Duration.Duration
  ): Effect.Effect<void> =>
    Effect.gen(function*() {
      let passed = false
      while (true) {
        const outcome = yield* probe
        passed ||= outcome.status === "passing"
        yield* observe(definition, outcome)
        // What has never passed is starting up: looking for it every second lets a mesh come up quickly.
        yield* Effect.sleep(passed ? interval : Duration.min(interval, Duration.seconds(1)))
      }
    })

  const alias = (definition: CheckDefinition.CheckDefinition, service: string): Effect.Effect<void> =>
    Effect.forever(Effect.suspend(() => {
      const seen = store.indexOf(["checks", "services"])
      return Effect.andThen(
        set(definition.id, aliased([...local.values()], definition.id, service)),
        // Its own change wakes it once more, to find nothing new.
        store.changed(["checks", "services"], seen)
      )
    }))

  const expire = (definition: CheckDefinition.CheckDefinition, ttl: Duration.Duration) =>
    Effect.andThen(
      Effect.sleep(ttl),
      Effect.suspend(() => {
        const output = local.get(definition.id)?.Output ?? ""
        return set(definition.id, {
          status: "critical",
          output: output === "" ? "TTL expired" : `TTL expired (last output before timeout follows): ${output}`
        })
      })
    )

  const program = (definition: CheckDefinition.CheckDefinition): Effect.Effect<void> => {
    const { run } = definition
    switch (run._tag) {
      case "Tcp":
        return repeat(definition, ProbeCheck.tcp(run), run.period.interval)
      case "Http":
        return repeat(definition, ProbeCheck.http(run), run.period.interval)
      case "Script":
        return repeat(definition, ScriptCheck.run(run), run.period.interval)
      case "Grpc":
        return repeat(definition, Http2Check.grpc(run), run.period.interval)
      case "H2ping":
        return repeat(definition, Http2Check.ping(run), run.period.interval)
      case "Alias":
        return alias(definition, run.service)
      case "Ttl":
        return expire(definition, run.ttl)
      default:
        return Effect.void
    }
  }

  const start: Checks["start"] = (definition) =>
    Effect.andThen(
      reap(definition, local.get(definition.id)?.Status ?? definition.status),
      Effect.asVoid(FiberMap.run(fibers, definition.id, program(definition)))
    )

  return {
    list: () => local,
    definition: (id) => definitions.get(id),
    put: (transaction, definition, service) => {
      const check = checkOf(definition, node, service, local.get(definition.id))
      definitions.set(definition.id, definition)
      local.set(definition.id, check)
      streaks.delete(definition.id)
      transaction.putCheck(node, check)
    },
    start,
    remove: (transaction, id) => {
      definitions.delete(id)
      local.delete(id)
      streaks.delete(id)
      transaction.removeCheck(node, id)
    },
    stop: (id) => Effect.andThen(FiberMap.remove(fibers, id), FiberMap.remove(fibers, `reap:${id}`)),
    report: Effect.fnUntraced(function*(id, outcome) {
      const definition = definitions.get(id)
      if (definition === undefined) {
        return yield* new ApiError.NotFound({
          body: `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`
        })
      }
      if (definition.run._tag !== "Ttl") {
        return yield* new ApiError.InternalError({ body: `CheckID ${JSON.stringify(id)} does not have associated TTL` })
      }
      yield* set(id, outcome)
      yield* start(definition)
    })
  }
})

/** As the catalog has it. `before`: the same check, where it is registered again: it goes on as it was. */
const checkOf = (
  definition: CheckDefinition.CheckDefinition,
  node: string,
  service: { readonly name: string; readonly tags: ReadonlyArray<string> },
  before: Health.Check | undefined
): Health.Check =>
  Health.Check.make({
    Node: node,
    CheckID: definition.id,
    Name: definition.name,
    Status: before?.Status ?? definition.status,
    Notes: definition.notes,
    Output: before?.Output ?? "",
    ServiceID: definition.serviceId,
    ServiceName: service.name,
    ServiceTags: service.tags,
    Type: definition.type === "manual" ? "maintenance" : definition.type,
    Interval: definition.interval,
    Timeout: definition.timeout
  })

/** The worst of what the checks of the service, and of the node, say. */
const aliased = (checks: ReadonlyArray<Health.Check>, self: string, service: string): ProbeCheck.Outcome => {
  const about = checks.filter(({ CheckID, ServiceID }) =>
    CheckID !== self && (ServiceID === service || ServiceID === "")
  )
  for (const status of ["critical", "warning"] as const) {
    const found = about.find(({ Status }) => Status === status)
    if (found !== undefined) {
      return { status, output: `Aliased check "${found.Name}" failing: ${found.Output}` }
    }
  }
  return { status: "passing", output: about.length === 0 ? "No checks found." : "All checks passing." }
}
