/** A line to a port: open, or cut as lines are. */
import * as Net from "node:net"
import { Effect, type Scope } from "effect"
import * as Sockets from "./sockets.ts"

/** `refusing`: what is on it ends, and nothing begins. `silent`: connections are made, and no byte passes. */
export type State = "open" | "refusing" | "silent"

export interface Line {
  readonly port: number
  readonly become: (state: State) => void
}

export const to = (port: number): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.gen(function*() {
    let state: State = "open"
    const pairs = new Set<readonly [Net.Socket, Net.Socket]>()
    const { port: own } = yield* Sockets.server((near) => {
      if (state === "refusing") return near.resetAndDestroy()
      const far = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
      const pair = [near, far] as const
      pairs.add(pair)
      far.on("error", () => near.destroy())
      near.on("error", () => far.destroy())
      near.once("close", () => {
        pairs.delete(pair)
        far.destroy()
      })
      far.once("close", () => near.destroy())
      pipe(pair)
    })
    const pipe = ([near, far]: readonly [Net.Socket, Net.Socket]): void => {
      if (state === "silent") return
      near.pipe(far)
      far.pipe(near)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => pairs.forEach(([, far]) => far.destroy())))
    return {
      port: own,
      become: (next) => {
        state = next
        for (const pair of pairs) {
          const [near, far] = pair
          if (next === "open") pipe(pair)
          else if (next === "refusing") near.resetAndDestroy()
          else {
            near.unpipe(far).pause()
            far.unpipe(near).pause()
          }
        }
      }
    }
  })
