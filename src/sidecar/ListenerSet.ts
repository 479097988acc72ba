/**
 * Listeners that follow what is wanted, such as a registration: those that go stop first, so that what comes may have their
 * addresses; what stays is adjusted; no other is touched. One that is not wanted any more lets its open connections finish.
 */
import { Effect, FiberSet, type Schedule, type Scope } from "effect"
import * as Listening from "../net/Listening.ts"
import type * as Listener from "./Listener.ts"
import * as Supervised from "./Supervised.ts"

type Direction = "inbound" | "outbound"

/** A listener as it is wanted. */
export interface Plan<in A, out R> {
  /** Of one listener at a time. */
  readonly name: string
  readonly direction: Direction
  /** Who is reached through it. */
  readonly service: string
  readonly bind: Listening.Bind
  /** What can not change while it is open. */
  readonly key: string
  /** When it is tried again to start it, from the first time on: others do not wait for it. */
  readonly later?: Schedule.Schedule<unknown> | undefined
  readonly start: (wanted: A) => Effect.Effect<Listener.Listener<A>, Listening.ListenError, R | Scope.Scope>
}

export interface ListenerStatus {
  /** `public`, `upstream` and its id, or `exposed` and its path; of a gateway, what its port is called. */
  readonly name: string
  readonly direction: Direction
  /** Who is reached through it. */
  readonly service: string
  readonly address: string
  readonly state: Supervised.State
  readonly counts: Listener.Counts
  readonly details: Listener.Details
}

export interface ListenerSet<A, R> {
  /** Those that are new. `rebind`: when one that can not bind is tried again; without it, the first failure is its end. */
  readonly apply: (
    plans: ReadonlyArray<Plan<A, R>>,
    wanted: A,
    rebind?: Schedule.Schedule<unknown>
  ) => Effect.Effect<ReadonlyArray<Supervised.Supervised<A>>>
  /** Tells the callers of these that they are to go elsewhere, and serves them on. */
  readonly announce: (direction: Direction) => Effect.Effect<void>
  /** Wants none of these any more, and waits until no connection to them is open. */
  readonly close: (direction: Direction) => Effect.Effect<void>
  /** Connections that are open now. */
  readonly open: () => number
  /** Those that drain included. */
  readonly status: () => ReadonlyArray<ListenerStatus>
}

interface Running<in A, out R> {
  readonly plan: Plan<A, R>
  readonly supervised: Supervised.Supervised<A>
}

/** `ended` hears of one that has ended by itself, which is a bug. */
export const make = Effect.fnUntraced(function*<A, R>(
  ended: (name: string) => Effect.Effect<unknown>
): Effect.fn.Return<ListenerSet<A, R>, never, R | Scope.Scope> {
  const listeners = new Set<Running<A, R>>()
  const wanted = new Map<string, Running<A, R>>()
  const fibers = yield* FiberSet.make<void>()
  const run = yield* FiberSet.runtime(fibers)<R>()

  const launch = (plan: Plan<A, R>, next: A, rebind: Schedule.Schedule<unknown> | undefined) => {
    const { run: serve, supervised } = Supervised.make({ ...plan, wanted: next, rebind: plan.later ?? rebind })
    const running = { plan, supervised }
    listeners.add(running)
    wanted.set(plan.name, running)
    const gone = Effect.suspend(() => {
      listeners.delete(running)
      return wanted.get(plan.name) === running ? ended(plan.name) : Effect.void
    })
    run(Effect.ensuring(Effect.scoped(serve), gone))
    return supervised
  }

  const each = (direction: Direction, act: (supervised: Supervised.Supervised<A>) => Effect.Effect<void>) =>
    Effect.suspend(() =>
      Effect.forEach(
        [...listeners].filter(({ plan }) => plan.direction === direction),
        ({ supervised }) => act(supervised),
        { concurrency: "unbounded", discard: true }
      )
    )

  return {
    apply: Effect.fnUntraced(function*(planned, next, rebind) {
      const plans = new Map(planned.map((plan) => [plan.name, plan]))
      for (const [name, { plan, supervised }] of wanted) {
        if (plans.get(name)?.key === plan.key) continue
        wanted.delete(name)
        yield* supervised.retire
      }
      const launched: Array<Supervised.Supervised<A>> = []
      for (const plan of plans.values()) {
        const running = wanted.get(plan.name)
        if (running === undefined) launched.push(launch(plan, next, rebind))
        else yield* running.supervised.update(next)
      }
      return launched
    }),
    announce: (direction) => each(direction, ({ announce }) => announce),
    close: (direction) =>
      Effect.suspend(() => {
        for (const [name, { plan }] of wanted) if (plan.direction === direction) wanted.delete(name)
        return each(direction, ({ gone, retire }) => Effect.andThen(retire, gone))
      }),
    open: () => [...listeners].reduce((sum, { supervised }) => sum + supervised.counts().open, 0),
    status: () =>
      Array.from(listeners, ({ plan, supervised }) => ({
        name: plan.name,
        direction: plan.direction,
        service: plan.service,
        address: supervised.address() ?? Listening.format(plan.bind),
        state: supervised.state(),
        counts: supervised.counts(),
        details: supervised.details()
      }))
  }
})
