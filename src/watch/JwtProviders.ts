/**
 * The token providers that the intentions of a service name, by name. As long as they name none, nothing is watched. Where
 * one is named that is not here, it has not arrived yet, does not exist, or the rights do not suffice to read it.
 */
import { Context, Effect, Layer, Result, type Scope, type SubscriptionRef } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import type * as Intention from "../intention/Intention.ts"
import * as Intentions from "./Intentions.ts"
import * as JwtProvider from "./JwtProvider.ts"
import * as Watched from "./Watched.ts"

/** Fails with what is wrong with the entry. */
export type Providers = ReadonlyMap<string, Result.Result<JwtProvider.JwtProvider, string>>

export class JwtProviders extends Context.Service<JwtProviders, Watched.Watched<Providers>>()(
  "effect-mesh/watch/JwtProviders"
) {}

const what = "the token providers"

const none: Providers = new Map()

/** Serves what is put into `ref`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Providers>): Layer.Layer<JwtProviders> =>
  Layer.succeed(JwtProviders, Watched.fromRef(what, ref))

/** These, for ever. Without any, intentions that require tokens refuse. */
export const layerStatic = (providers: ReadonlyArray<JwtProvider.JwtProvider> = []): Layer.Layer<JwtProviders> =>
  Layer.succeed(JwtProviders, Watched.constant(what, fromList(providers)))

export const fromList = (providers: ReadonlyArray<JwtProvider.JwtProvider>): Providers =>
  new Map(providers.map((provider) => [provider.name, Result.succeed(provider)]))

/**
 * Watches the config entries at the Consul agent: one watch, whatever their number, shared by the services of one client.
 * Needs `mesh:read`, or `service:write` for any service. Builds at once.
 */
export const layer: Layer.Layer<JwtProviders, never, ConsulClient.ConsulClient | Intentions.Intentions> = Layer.effect(
  JwtProviders,
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const names = Watched.map(yield* Intentions.Intentions, what, named)
    const some = Watched.map(names, what, ({ length }) => length > 0)
    const entries = yield* Watched.switchMap(
      some,
      what,
      (some) => some ? watchEntries(consul) : Effect.succeed(Watched.constant(what, none))
    )
    return Watched.map(
      Watched.zip(names, entries, what),
      what,
      ([names, entries]): Providers =>
        new Map(names.flatMap((name) => {
          const entry = entries.get(name)
          return entry === undefined ? [] : [[name, entry] as const]
        }))
    )
  })
)

/** Sorted. None where only connections are authorized: those carry no tokens. */
export const named = ({ http, intentions }: Authorizer.Authorizer): ReadonlyArray<string> => {
  const names = new Set<string>()
  const add = (requirement: Intention.JwtRequirement | undefined) =>
    requirement?.Providers?.forEach(({ Name }) => names.add(Name))
  for (const { JWT, Permissions } of http ? intentions : []) {
    add(JWT)
    Permissions?.forEach((permission) => add(permission.JWT))
  }
  return [...names].sort()
}

const watchEntries = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<Providers>, never, Scope.Scope> => {
  const name = "GET /v1/config/jwt-provider"
  return consul.share(
    name,
    Watched.make(
      { what, watch: "providers", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.config.list({ params: { kind: "jwt-provider" }, query: blocking }),
        right: "mesh = \"read\", or service:write for a service",
        decode: (entries): Result.Result<Providers, string> =>
          Result.succeed(new Map(entries.map((entry) => [entry.Name ?? "", JwtProvider.fromEntry(entry)])))
      })
    )
  )
}
