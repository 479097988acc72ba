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

export interface Options {
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly node: string
  /** A service has been critical for longer than its check allows. */
  readonly expel: (serviceId: string) => Effect.Effect<void>
}

export const make = (options: Options): Effect.Effect<Checks, never, Scope.Scope> =>
  Effect.map(
    Effect.all([FiberMap.make<string>(), Effect.scope]),
    ([fibers, scope]) => new RunningChecks(options, fibers, scope)
  )

class RunningChecks implements Checks {
  private readonly options: Options
  /** By the id of the check; those of `reap` beside them. */
  private readonly fibers: FiberMap.FiberMap<string>
  private readonly scope: Scope.Scope
  private readonly definitions = new Map<string, CheckDefinition.CheckDefinition>()
  private readonly local = new Map<string, Health.Check>()
  private readonly streaks = new Map<string, CheckStreak.CheckStreak>()

  constructor(options: Options, fibers: FiberMap.FiberMap<string>, scope: Scope.Scope) {
    this.options = options
    this.fibers = fibers
    this.scope = scope
  }

  list(): ReadonlyMap<string, Health.Check> {
    return this.local
  }

  definition(id: string): CheckDefinition.CheckDefinition | undefined {
    return this.definitions.get(id)
  }

  put(
    transaction: CatalogStore.Transaction,
    definition: CheckDefinition.CheckDefinition,
    service: { readonly name: string; readonly tags: ReadonlyArray<string> }
  ): void {
    const { node } = this.options
    const check = checkOf(definition, node, service, this.local.get(definition.id))
    this.definitions.set(definition.id, definition)
    this.local.set(definition.id, check)
    this.streaks.delete(definition.id)
    transaction.putCheck(node, check)
  }

  start(definition: CheckDefinition.CheckDefinition): Effect.Effect<void> {
    return Effect.andThen(
      this.reap(definition, this.local.get(definition.id)?.Status ?? definition.status),
      Effect.asVoid(FiberMap.run(this.fibers, definition.id, this.program(definition)))
    )
  }

  remove(transaction: CatalogStore.Transaction, id: string): void {
    this.definitions.delete(id)
    this.local.delete(id)
    this.streaks.delete(id)
    transaction.removeCheck(this.options.node, id)
  }

  stop(id: string): Effect.Effect<void> {
    return Effect.andThen(FiberMap.remove(this.fibers, id), FiberMap.remove(this.fibers, `reap:${id}`))
  }

  report(id: string, outcome: ProbeCheck.Outcome): Effect.Effect<void, ApiError.NotFound | ApiError.InternalError> {
    return Effect.gen({ self: this }, function*() {
      const definition = this.definitions.get(id)
      if (definition === undefined) {
        return yield* new ApiError.NotFound({
          body: `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`
        })
      }
      if (definition.run._tag !== "Ttl") {
        return yield* new ApiError.InternalError({ body: `CheckID ${JSON.stringify(id)} does not have associated TTL` })
      }
      yield* this.set(id, outcome)
      yield* this.start(definition)
    })
  }

  private set(id: string, outcome: ProbeCheck.Outcome): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { catalog, node } = this.options
      const check = this.local.get(id)
      const definition = this.definitions.get(id)
      if (check === undefined || definition === undefined) return Effect.void
      const next = { ...check, Status: outcome.status, Output: outcome.output }
      this.local.set(id, next)
      if (next.Status === check.Status && catalog.node(node)?.checks.get(id)?.Status === next.Status) return Effect.void
      catalog.change((transaction) => transaction.putCheck(node, next))
      return this.reap(definition, next.Status)
    })
  }

  private reap(
    { deregisterAfter, id, serviceId }: CheckDefinition.CheckDefinition,
    status: string
  ): Effect.Effect<void> {
    if (deregisterAfter === undefined || serviceId === "") return Effect.void
    const key = `reap:${id}`
    return status !== "critical"
      ? FiberMap.remove(this.fibers, key)
      : Effect.asVoid(FiberMap.run(
        this.fibers,
        key,
        Effect.andThen(
          Effect.sleep(deregisterAfter),
          // In the agent's scope: the removal ends this very fiber.
          Effect.forkIn(this.options.expel(serviceId), this.scope)
        ),
        { onlyIfMissing: true }
      ))
  }

  private observe(definition: CheckDefinition.CheckDefinition, outcome: ProbeCheck.Outcome): Effect.Effect<void> {
    return Effect.suspend(() => {
      const streak = CheckStreak.next(this.streaks.get(definition.id) ?? CheckStreak.none, outcome)
      this.streaks.set(definition.id, streak)
      const verdict = CheckStreak.verdict(streak, definition, outcome)
      return verdict === undefined ? Effect.void : this.set(definition.id, verdict)
    })
  }

  private program(definition: CheckDefinition.CheckDefinition): Effect.Effect<void> {
    const { run } = definition
    switch (run._tag) {
      case "Tcp":
        return this.repeat(definition, ProbeCheck.tcp(run), run.period.interval)
      case "Http":
        return this.repeat(definition, ProbeCheck.http(run), run.period.interval)
      case "Script":
        return this.repeat(definition, ScriptCheck.run(run), run.period.interval)
      case "Grpc":
        return this.repeat(definition, Http2Check.grpc(run), run.period.interval)
      case "H2ping":
        return this.repeat(definition, Http2Check.ping(run), run.period.interval)
      case "Alias":
        return this.alias(definition, run.service)
      case "Ttl":
        return this.expire(definition, run.ttl)
      default:
        return Effect.void
    }
  }

  private repeat(
    definition: CheckDefinition.CheckDefinition,
    probe: Effect.Effect<ProbeCheck.Outcome>,
    interval: Duration.Duration
  ): Effect.Effect<void> {
    let passed = false
    // A check that has never passed is of something that starts: asking every second lets a mesh come up quickly.
    const pause = Effect.suspend(() => Effect.sleep(passed ? interval : Duration.min(interval, Duration.seconds(1))))
    const once = Effect.flatMap(probe, (outcome) => {
      passed ||= outcome.status === "passing"
      return this.observe(definition, outcome)
    })
    return Effect.forever(Effect.andThen(once, pause))
  }

  private alias(definition: CheckDefinition.CheckDefinition, service: string): Effect.Effect<void> {
    const { store } = this.options
    return Effect.forever(Effect.suspend(() => {
      const seen = store.indexOf(["checks", "services"])
      return Effect.andThen(
        this.set(definition.id, aliased([...this.local.values()], definition.id, service)),
        // Its own change wakes it once more, to find nothing new.
        store.changed(["checks", "services"], seen)
      )
    }))
  }

  private expire(definition: CheckDefinition.CheckDefinition, ttl: Duration.Duration): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(ttl),
      Effect.suspend(() => {
        const output = this.local.get(definition.id)?.Output ?? ""
        return this.set(definition.id, {
          status: "critical",
          output: output === "" ? "TTL expired" : `TTL expired (last output before timeout follows): ${output}`
        })
      })
    )
  }
}

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
