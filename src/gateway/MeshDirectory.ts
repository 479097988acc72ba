/**
 * Where names of services lead, as the catalog has it now. What is not known leads nowhere: a name that somebody made up starts no
 * question to the agent.
 *
 *     name ─▶ of this trust domain? ─▶ datacenter ─┬─ ours: service in the catalog? subset defined? ─▶ its healthy instances
 *                                                  └─ another that is known ─▶ its gateways
 */
import { Duration, Effect, RcMap, Result, type Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as DestinationWatch from "../outbound/DestinationWatch.ts"
import * as TcpUpstream from "../outbound/TcpUpstream.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as CatalogServices from "../watch/CatalogServices.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as ExportedServices from "../watch/ExportedServices.ts"
import * as MeshGateways from "../watch/MeshGateways.ts"
import type * as SubsetRoute from "../watch/SubsetRoute.ts"
import * as Watched from "../watch/Watched.ts"
import * as ServerName from "./ServerName.ts"

/** Why a name leads nowhere. Stable: the attribute `reason` of `mesh_gateway_refusals_total`. */
export type Unknown = "other_trust_domain" | "unknown_name" | "unknown_datacenter" | "unknown_service"

/** Where a name leads. */
export interface Way {
  readonly _tag: "Way"
  /** One of the catalog's, or `*` where it is for another datacenter to know. */
  readonly service: string
  readonly datacenter: string
  /** Keeps what is known of its instances as long as the scope is open, and a minute longer. */
  readonly upstream: Effect.Effect<TcpUpstream.TcpUpstream, never, Scope.Scope>
}

export interface MeshDirectory {
  /** Synchronous and cheap. `name` is in lower case. */
  readonly find: (name: string) => Way | { readonly _tag: "Unknown"; readonly why: Unknown }
}

/** Names of services outlive their last connection for so long, and with them what is remembered of their instances. */
const idleTimeToLive = "1 minute"

export interface Options {
  readonly datacenter: string
  readonly connectTimeoutMillis: () => number
  readonly readyWithin?: Duration.Input | undefined
}

/** Ready once names, resolvers and the trust domain have arrived. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<MeshDirectory, Watched.NotReady, ConsulClient.ConsulClient | Scope.Scope> {
  const consul = yield* ConsulClient.ConsulClient
  const { datacenter, readyWithin = "30 seconds" } = options
  const asked = `the agent at ${consul.address}`
  const ready = <A>(watched: Watched.Watched<A>) => Watched.readyWithin(watched, readyWithin, asked)
  const resolvers = yield* DiscoveryChains.watchResolvers(consul)
  const known = Watched.map(yield* MeshGateways.watch(consul), "the mesh gateways", byName)
  const [isExported, roots, services, subsets, gateways] = yield* Effect.all([
    Effect.flatMap(ExportedServices.watch(consul), ready),
    Effect.flatMap(CaRoots.watch(consul), ready),
    Effect.flatMap(CatalogServices.watch(consul), ready),
    ready(resolvers),
    ready(known)
  ], { concurrency: "unbounded" })
  const endpoints = Endpoints.within(consul, Effect.succeed(datacenter))

  const locals = yield* RcMap.make({
    lookup: (key: string) => {
      const [service = "", subset = ""] = key.split(" ")
      const route = Watched.map(
        resolvers,
        resolvers.what,
        (all) => routeOf(all, { service, subset, datacenter, connectTimeoutMillis: options.connectTimeoutMillis() })
      )
      return TcpUpstream.make({
        name: subset === "" ? service : `${subset}.${service}`,
        patienceMillis: options.connectTimeoutMillis(),
        follow: DestinationWatch.make(service, route, endpoints)
      })
    },
    idleTimeToLive
  })

  const remotes = yield* RcMap.make({
    lookup: (other: string) => {
      const what = `the gateways of ${other}`
      return TcpUpstream.make({
        name: what,
        patienceMillis: options.connectTimeoutMillis(),
        follow: Effect.sync(() =>
          DestinationWatch.ofInstances(
            what,
            what,
            Watched.map(known, what, (all) => Result.succeed(gatewaysOf(all.get(other), datacenter))),
            options.connectTimeoutMillis()
          )
        )
      })
    },
    idleTimeToLive
  })

  const remote = (other: string): Way | Unknown => {
    const there = gateways().get(other)
    return there === undefined
      ? "unknown_datacenter"
      : { _tag: "Way", service: "*", datacenter: there.datacenter, upstream: RcMap.get(remotes, other) }
  }

  const local = (
    { namespace, partition, service, subset }: Omit<ServerName.Local, "_tag" | "datacenter">
  ): Way | Unknown => {
    if (namespace !== "default" || partition !== "default" || !services().has(service)) return "unknown_service"
    if (subset !== "" && filterOf(subsets(), service, subset) === undefined) return "unknown_service"
    return { _tag: "Way", service, datacenter, upstream: RcMap.get(locals, `${service} ${subset}`) }
  }

  const of = (name: string, { trustDomain }: TrustBundle.TrustBundle): Way | Unknown => {
    if (!ServerName.isIn(name, trustDomain)) return name.endsWith(".consul") ? "other_trust_domain" : "unknown_name"
    const parsed = ServerName.parse(name, trustDomain)
    if (parsed?._tag === "Exported") {
      return isExported()(parsed.service, parsed.peer) ? local({ ...parsed, subset: "" }) : "unknown_service"
    }
    if (parsed === undefined) return "unknown_name"
    return parsed.datacenter === datacenter.toLowerCase() ? local(parsed) : remote(parsed.datacenter)
  }

  return {
    find: (name) => {
      const way = of(name, roots())
      return typeof way === "string" ? { _tag: "Unknown", why: way } : way
    }
  }
})

/** The gateways of a datacenter. */
interface There {
  readonly datacenter: string
  readonly gateways: MeshGateways.MeshGateways[string]
}

/** By the names of their datacenters in lower case, in which they are asked for. */
const byName = (all: MeshGateways.MeshGateways): ReadonlyMap<string, There> =>
  new Map(Object.entries(all).map(([datacenter, gateways]) => [datacenter.toLowerCase(), { datacenter, gateways }]))

/** Where we reach those of another datacenter: their public (`wan`) addresses. */
const gatewaysOf = (there: There | undefined, datacenter: string): ReadonlyArray<Endpoints.Endpoint> =>
  (there?.gateways ?? []).flatMap((entry) => Endpoints.toEndpoint(entry, { onlyPassing: false }, datacenter))

interface Wanted {
  readonly service: string
  readonly subset: string
  readonly datacenter: string
  readonly connectTimeoutMillis: number
}

/** Redirects and failover are for the caller, whose name is of the target that they have led to. */
export const routeOf = (
  all: SubsetRoute.Resolvers,
  { connectTimeoutMillis, datacenter, service, subset }: Wanted
): DestinationWatch.Route => {
  const entry = all.get(service)?.entry
  const chosen = subset === "" ? everything : filterOf(all, service, subset)
  if (chosen === undefined) return Result.fail(`${service} has no subset ${subset}`)
  const target: TcpRoute.Target = {
    id: subset === "" ? service : `${subset}.${service}`,
    service,
    partition: "default",
    namespace: "default",
    datacenter,
    ...chosen,
    sni: ""
  }
  const millis = entry?.ConnectTimeout === undefined ? 0 : Duration.toMillis(entry.ConnectTimeout)
  return Result.succeed({ targets: [target], connectTimeoutMillis: millis || connectTimeoutMillis })
}

type Chosen = Pick<TcpRoute.Target, "filter" | "onlyPassing">

const everything: Chosen = { filter: "", onlyPassing: false }

/** Names of subsets come in lower case here, whatever they are. */
const filterOf = (all: SubsetRoute.Resolvers, service: string, subset: string): Chosen | undefined => {
  const found = Object.entries(all.get(service)?.entry.Subsets ?? {}).find(([name]) => name.toLowerCase() === subset)
  return found === undefined ? undefined : { filter: found[1].Filter ?? "", onlyPassing: found[1].OnlyPassing ?? false }
}
