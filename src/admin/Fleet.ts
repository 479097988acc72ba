/** The sidecars of this process, as operators see them: each from the moment that it is wanted until it is gone. */
import { Effect, type Scope } from "effect"
import type * as ConsulSidecar from "../sidecar/ConsulSidecar.ts"
import type * as Sidecars from "../sidecar/Sidecars.ts"

export interface Member {
  /** How it was asked for: `web`, or the ID of a proxy. */
  readonly name: string
  /** Undefined while it does not run. */
  readonly sidecar: ConsulSidecar.ConsulSidecar | undefined
  /** Why it does not run, where it has failed. */
  readonly why?: string | undefined
}

export interface Fleet {
  /** In the order in which they were wanted. */
  readonly members: () => ReadonlyArray<Member>
}

/** As many as are registered. One that stops is there until its connections have ended. */
export const of = (sidecars: Sidecars.Sidecars): Fleet => ({
  members: () => {
    const { members, missing } = sidecars.status()
    return [
      ...members.map(({ name, state }): Member => ({
        name,
        sidecar: "sidecar" in state ? state.sidecar : undefined,
        ...(state._tag === "Waiting" ? { why: state.why } : {})
      })),
      ...missing.map(({ name, why }): Member => ({ name, sidecar: undefined, why }))
    ]
  }
})

/** One sidecar, while it starts and while it runs. */
export interface Single extends Fleet {
  /** Lists the sidecar that `start` makes from now on, until the scope closes. */
  readonly start: <E, R>(
    name: string,
    start: Effect.Effect<ConsulSidecar.ConsulSidecar, E, R>
  ) => Effect.Effect<ConsulSidecar.ConsulSidecar, E, R | Scope.Scope>
}

export const single = (): Single => {
  let member: Member | undefined
  return {
    members: () => member === undefined ? [] : [member],
    start: (name, start) =>
      Effect.gen(function*() {
        member = { name, sidecar: undefined }
        const sidecar = yield* start
        yield* Effect.acquireRelease(
          Effect.sync(() => member = { name, sidecar }),
          () => Effect.sync(() => member = undefined)
        )
        return sidecar
      })
  }
}
