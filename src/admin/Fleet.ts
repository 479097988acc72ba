/** The sidecars and gateways of this process, as operators see them: each from the moment that it is wanted until it is gone. */
import { Effect, type Scope } from "effect"
import type * as ConsulSidecar from "../sidecar/ConsulSidecar.ts"
import type * as Sidecar from "../sidecar/Sidecar.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import type * as Sidecars from "../sidecar/Sidecars.ts"

/** What runs: a sidecar, or a gateway, which may have no identity, no policy or no application. */
export interface Running extends Pick<ConsulSidecar.ConsulSidecar, "leave"> {
  readonly status: () => Status
  /** Undefined: it holds no certificate. */
  readonly material?: ConsulSidecar.ConsulSidecar["material"] | undefined
  readonly renew?: ConsulSidecar.ConsulSidecar["renew"] | undefined
  /** Undefined: it lets everybody in, or leaves that to others. */
  readonly authorizer?: ConsulSidecar.ConsulSidecar["authorizer"] | undefined
}

export interface Status extends Pick<Sidecar.Status, "movedTo" | "phase" | "listeners"> {
  readonly registration: Registration
}

/** With more that is shown as it is. */
export interface Registration extends Pick<ProxyRegistration.Registration, "proxyId" | "service" | "ignored"> {
  readonly protocol?: ProxyRegistration.Registration["protocol"] | undefined
  readonly application?: ProxyRegistration.Registration["application"] | undefined
  readonly listen?: ProxyRegistration.Registration["listen"] | undefined
}

export interface Member {
  /** How it was asked for: `web`, or the ID of a proxy. */
  readonly name: string
  /** Undefined while it does not run. */
  readonly sidecar: Running | undefined
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

/** One sidecar or gateway, while it starts and while it runs. */
export interface Single extends Fleet {
  /** Lists the sidecar that `start` makes from now on, until the scope closes. */
  readonly start: <S extends Running, E, R>(
    name: string,
    start: Effect.Effect<S, E, R>
  ) => Effect.Effect<S, E, R | Scope.Scope>
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
