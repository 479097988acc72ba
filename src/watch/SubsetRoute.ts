/**
 * Where calls to a subset of a service go. A chain is compiled for a service, and has the subsets that its own routes
 * lead to; one that a caller names is looked up here in the service-resolvers, by the rules of the chain compiler
 * (`agent/consul/discoverychain/compile.go`): redirects are followed, and failover has targets of its own.
 */
import { Duration, Option, Result, Schema } from "effect"
import * as TargetKey from "../route/TargetKey.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as ConfigEntry from "../consul/ConfigEntry.ts"
import * as ServiceResolver from "../consul/config/ServiceResolver.ts"
import * as Balancing from "../route/Balancing.ts"
import * as TimerLimit from "../route/TimerLimit.ts"

export interface Request {
  readonly service: string
  readonly subset: string
  /** Absent: the caller's. */
  readonly datacenter?: string | undefined
  readonly connectTimeoutMillis?: number | undefined
}

/** The service-resolvers by the names of their services, which have no case. */
export type Resolvers = ReadonlyMap<string, Resolver>

interface Resolver {
  readonly entry: ServiceResolver.ServiceResolver
  /** On the wire. */
  readonly balancing: unknown
}

const decode = Schema.decodeUnknownOption(Schema.toCodecGoJson(ServiceResolver.ServiceResolver))

/** One that is not understood is as if it were not there. */
export const resolvers = (entries: ReadonlyArray<ConfigEntry.ConfigEntry>): Resolvers =>
  new Map(entries.flatMap((raw) =>
    Option.match(decode(raw), {
      onNone: () => [],
      onSome: (entry) => [[entry.Name.toLowerCase(), { entry, balancing: raw["LoadBalancer"] }] as const]
    })
  ))

/** Fails with what is wrong with the name. An empty datacenter in a target is the caller's own. */
export const of = (all: Resolvers, request: Request): Result.Result<TcpRoute.TcpRoute, string> =>
  Result.gen(function*() {
    const home = request.datacenter ?? ""
    const first = yield* resolve(all, { ...request, datacenter: home, peer: "" }, home)
    const rest = TargetKey.failover(first.key, first.resolver?.entry.Failover ?? {}, home).flatMap((key) =>
      // The trust bundle of a peer is not to be had over HTTP; a subset that is gone is no failover.
      Result.match(resolve(all, key, home), {
        onFailure: () => [],
        onSuccess: (found) => [toTarget(found)]
      })
    )
    const ids = new Set([TargetKey.id(first.key)])
    const timeout = request.connectTimeoutMillis ??
      Duration.toMillis(first.resolver?.entry.ConnectTimeout ?? Duration.zero)
    return {
      targets: [toTarget(first), ...rest.filter(({ id }) => !ids.has(id) && ids.add(id))],
      connectTimeoutMillis: TimerLimit.clamp(timeout || 5000),
      ...Balancing.of(first.resolver?.balancing)
    }
  })

interface Found {
  readonly key: TargetKey.TargetKey
  readonly resolver: Resolver | undefined
}

/** After redirects and default subsets. */
const resolve = (
  all: Resolvers,
  key: TargetKey.TargetKey,
  home: string,
  path: ReadonlyArray<string> = []
): Result.Result<Found, string> => {
  const id = TargetKey.id(key)
  const { peer, service, subset } = key
  if (peer !== "") return Result.fail(`it leads to the cluster peer ${peer}, which is not supported`)
  if (path.includes(id)) return Result.fail(`the redirects of ${[...path, id].join(" → ")} go round in a circle`)
  const resolver = all.get(service.toLowerCase())
  const entry = resolver?.entry
  if (entry?.Redirect !== undefined) {
    const next = TargetKey.rewrite(key, entry.Redirect, home)
    if (TargetKey.id(next) !== id) return resolve(all, next, home, [...path, id])
  }
  if (subset === "") {
    return entry === undefined || entry.DefaultSubset === ""
      ? Result.succeed({ key, resolver })
      : resolve(all, { ...key, subset: entry.DefaultSubset }, home, [...path, id])
  }
  if (entry !== undefined && Object.hasOwn(entry.Subsets, subset)) return Result.succeed({ key, resolver })
  const known = Object.keys(entry?.Subsets ?? {})
  return Result.fail(
    `${service} has no subset ${subset}${known.length === 0 ? "" : ` (but ${known.join(", ")})`}: ` +
      `define it in the service-resolver of ${service}, and let the token read that`
  )
}

const toTarget = ({ key, resolver }: Found): TcpRoute.Target => {
  const subset = resolver?.entry.Subsets[key.subset]
  return {
    id: TargetKey.id(key),
    service: key.service,
    partition: "default",
    namespace: "default",
    datacenter: key.datacenter,
    filter: subset?.Filter ?? "",
    onlyPassing: subset?.OnlyPassing ?? false,
    sni: ""
  }
}
