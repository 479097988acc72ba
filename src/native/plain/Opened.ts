/**
 * What a mesh has opened, and how it ends.
 *
 *     open ─▶ `first` closed: callers are sent elsewhere ─▶ `then` closed: listeners drain ─▶ the rest aborted ─▶ closed
 *
 * Nothing starts once it is closed: what is running then fails, and says that the mesh has been closed.
 */
import { Effect, Exit, type ManagedRuntime, Scope } from "effect"

type Turn = "first" | "then"

export interface Closable {
  readonly close: () => Promise<void>
}

export interface Opened<R> {
  readonly run: <A, E>(effect: Effect.Effect<A, E, R>) => Promise<A>
  /** Runs until it is closed, at the latest with the mesh, in its turn. */
  readonly last: <A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>, turn: Turn) => Promise<A & Closable>
  /** `rest` ends what is open besides: after the turns, before the runtime. */
  readonly close: (rest: () => Promise<void>) => Promise<void>
}

export const make = <R, E>(runtime: ManagedRuntime.ManagedRuntime<R, E>): Opened<R> => {
  const ending = new AbortController()
  const owned: Record<Turn, Set<() => Promise<void>>> = { first: new Set(), then: new Set() }
  let ended: Promise<void> | undefined

  const check = () => {
    if (ending.signal.aborted) throw new Error(closed)
  }

  const run: Opened<R>["run"] = async (effect) => {
    check()
    try {
      return await runtime.runPromise(effect, { signal: ending.signal })
    } catch (error) {
      check()
      throw error
    }
  }

  const last: Opened<R>["last"] = async (effect, turn) => {
    check()
    const scope = Scope.makeUnsafe()
    const end = () => runtime.runPromise(Scope.close(scope, Exit.void))
    try {
      const value = await run(Scope.provide(effect, scope))
      let closing: Promise<void> | undefined
      const close = () => closing ??= end().finally(() => owned[turn].delete(close))
      owned[turn].add(close)
      return { ...value, close }
    } catch (error) {
      await end()
      throw error
    }
  }

  const closeAll = (turn: Turn) => Promise.all([...owned[turn]].map((close) => close()))

  const end = async (rest: () => Promise<void>) => {
    await closeAll("first")
    await closeAll("then")
    ending.abort()
    await rest()
    await runtime.dispose()
  }

  return { run, last, close: (rest) => ended ??= end(rest) }
}

const closed = "the mesh has been closed: join it again to go on"
