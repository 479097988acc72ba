/** How one datacenter follows another: it copies, waits for news, and copies again once the line between them is open. */
import { Effect, type Scope } from "effect"
import type * as Store from "../Store.ts"

export interface Options {
  readonly from: Store.Store
  readonly topics: ReadonlyArray<Store.Topic>
  /** See `Wan`. */
  readonly crossing: Effect.Effect<void>
  readonly copy: Effect.Effect<void>
}

/** In the scope. */
export const follow = (options: Options): Effect.Effect<void, never, Scope.Scope> =>
  loop(options).pipe(Effect.forkScoped({ startImmediately: true }), Effect.asVoid)

/** Never ends. */
export const loop = (options: Options): Effect.Effect<never> =>
  Effect.gen(function*() {
    while (true) {
      yield* options.crossing
      const seen = options.from.indexOf(options.topics)
      yield* options.copy
      yield* options.from.followed(options.topics, seen)
    }
  })
