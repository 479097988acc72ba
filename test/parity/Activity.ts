/**
 * How busy the watches of sidecars are. A change in the agent has reached everybody once every question is being held again
 * and none has been answered for a while.
 */
import { Clock, Duration, Effect } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"

export interface Activity {
  /** The same client, its watches counted. */
  readonly counted: (client: ConsulClient.ConsulClient["Service"]) => ConsulClient.ConsulClient["Service"]
  /** Waits until nothing has happened for so long. Gives up after ten seconds: who never rests is wrong about something else. */
  readonly quiet: (millis: number) => Effect.Effect<void>
}

const longest = 10_000

export const make = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  let asking = 0
  let last = clock.currentTimeMillisUnsafe()
  const touch = Effect.sync(() => {
    last = clock.currentTimeMillisUnsafe()
  })
  const self: Activity = {
    counted: (client) =>
      ConsulClient.ConsulClient.of({
        ...client,
        hold: (name, sharing, known, request) => {
          const answer = Effect.ensuring(client.hold(name, sharing, known, request), touch)
          // Without a cursor the agent answers at once: until it has, something is under way.
          if (known.cursor !== undefined) return answer
          return Effect.acquireUseRelease(
            Effect.sync(() => asking++),
            () => answer,
            () => Effect.sync(() => asking--)
          )
        }
      }),
    quiet: (millis) =>
      Effect.gen(function*() {
        const started = clock.currentTimeMillisUnsafe()
        last = Math.max(last, started)
        for (;;) {
          const now = clock.currentTimeMillisUnsafe()
          if ((asking === 0 && now - last >= millis) || now - started > longest) return
          yield* Effect.sleep(Duration.millis(asking === 0 ? Math.max(5, last + millis - now) : 10))
        }
      })
  }
  return self
})
