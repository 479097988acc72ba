/** An upstream: where calls to it go, and whether each instance proves by a handshake to be the service that is wanted there. */
import { Clock, Effect, Result } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"
import * as CompleteAnswer from "../../consul/CompleteAnswer.ts"
import * as Listening from "../../net/Listening.ts"
import * as Connect from "../../outbound/Connect.ts"
import * as Destination from "../../outbound/Destination.ts"
import type * as DialError from "../../outbound/DialError.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import * as DiscoveryChains from "../../watch/DiscoveryChains.ts"
import * as Endpoints from "../../watch/Endpoints.ts"
import * as PreparedQueries from "../../watch/PreparedQueries.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as Asking from "./Asking.ts"
import * as CallersCheck from "./CallersCheck.ts"
import * as Finding from "./Finding.ts"

export interface Options extends CallersCheck.Options {
  readonly material: SecureContexts.Material
  /** For each handshake. */
  readonly millis: number
}

/** Instances are many at times: of so many handshakes, each has a finding. */
const handshakes = 100

export const check = Effect.fnUntraced(function*(
  asking: Asking.Asking,
  upstream: ProxyRegistration.Upstream,
  options: Options
): Effect.fn.Return<ReadonlyArray<Finding.Finding>, never, ConsulClient.ConsulClient> {
  return yield* (upstream.query === true ? ofQuery : ofService)(asking, upstream, options)
})

const ofService = Effect.fnUntraced(function*(
  asking: Asking.Asking,
  upstream: ProxyRegistration.Upstream,
  options: Options
) {
  const targets = yield* targetsOf(asking, upstream)
  if (Result.isFailure(targets)) return [targets.failure]
  const services = new Set(targets.success.map(({ service }) => service))
  const found: Array<Finding.Finding> = []
  for (const service of services) found.push(yield* mayCall(asking, service, options))
  for (const target of targets.success) {
    const answer = yield* instancesOf(asking, target, options.material.leaf.identity.datacenter)
    if (Result.isFailure(answer)) found.push(answer.failure)
    else found.push(...(yield* ofInstances(`the target ${target.id}`, target, answer.success, options)))
  }
  return found
})

const ofQuery = Effect.fnUntraced(function*(
  asking: Asking.Asking,
  { datacenter, service: query }: ProxyRegistration.Upstream,
  options: Options
) {
  const { identity } = options.material.leaf
  const answer = yield* asking.ask(`GET /v1/query/${query}/execute`, (api) =>
    api.query.execute({
      params: { query },
      query: { connect: "true", ...(datacenter === undefined ? {} : { dc: datacenter }) }
    }))
  if (Result.isFailure(answer)) {
    return [
      answer.failure.reason._tag === "NotFound"
        ? Finding.broken(
          `there is no prepared query ${query}`,
          "Create it with a POST to /v1/query, or correct its name"
        )
        : Finding.ofError(`execute the prepared query ${query}`, "service:read on what it finds", answer.failure)
    ]
  }
  const endpoints = PreparedQueries.toEndpoints(answer.success.body.Nodes, identity.datacenter)
  const found: Array<Finding.Finding> = []
  const services = new Set(endpoints.flatMap(({ expected }) => expected?.map(({ service }) => service) ?? []))
  for (const service of services) found.push(yield* mayCall(asking, service, options))
  const target: TcpRoute.Target = {
    id: query,
    service: query,
    partition: "default",
    namespace: "default",
    datacenter: datacenter ?? identity.datacenter,
    filter: "",
    onlyPassing: false,
    sni: ""
  }
  return [...found, ...(yield* ofInstances(`the prepared query ${query}`, target, endpoints, options))]
})

const mayCall = (asking: Asking.Asking, service: string, options: Options) =>
  Effect.map(CallersCheck.read(asking, service, options), (authorizer) =>
    Result.isFailure(authorizer)
      ? authorizer.failure
      : CallersCheck.ofCaller(authorizer.success, options.material.leaf.identity))

/** Each that a call may come to, once. */
const targetsOf = Effect.fnUntraced(function*(
  { ask }: Asking.Asking,
  { datacenter, protocol, service }: ProxyRegistration.Upstream
) {
  const answer = yield* ask(`POST /v1/discovery-chain/${service}`, (api) =>
    api.discoveryChain.compile({
      params: { service },
      query: datacenter === undefined ? {} : { "compile-dc": datacenter },
      payload: protocol === undefined ? {} : { OverrideProtocol: protocol }
    }))
  if (Result.isFailure(answer)) {
    return Result.fail(
      Finding.ofError(`read where calls to ${service} go`, `service:read on ${service}`, answer.failure)
    )
  }
  const { Chain } = answer.success.body
  const isHttp = ["http", "http2", "grpc"].includes(Chain.Protocol)
  const targets: Result.Result<ReadonlyArray<TcpRoute.Target>, string> = isHttp
    ? Result.map(
      HttpRoutes.compile(Chain),
      ({ routes }) => routes.flatMap(({ legs }) => legs.flatMap(({ to }) => to.targets))
    )
    : Result.map(DiscoveryChains.toRoute(Chain), (route) => route.targets)
  return Result.map(
    Result.mapError(
      targets,
      (why) => Finding.broken(why, `Look at the service-router, -splitter and -resolver: effect-mesh route ${service}`)
    ),
    (all) => [...new Map(all.map((target) => [target.id, target])).values()]
  )
})

const instancesOf = Effect.fnUntraced(function*({ ask }: Asking.Asking, target: TcpRoute.Target, home: string) {
  const name = `GET /v1/health/connect/${target.service}`
  const answer = yield* ask(name, (api) =>
    api.health.connect({
      params: { service: target.service },
      query: {
        ...(target.datacenter === "" ? {} : { dc: target.datacenter }),
        ...(target.filter === "" ? {} : { filter: target.filter })
      }
    }))
  const right = `service:read on ${target.service}, and node:read`
  const failed = (error: ConsulError.ConsulError) =>
    Result.fail(Finding.ofError(`read the instances of ${target.service}`, right, error))
  if (Result.isFailure(answer)) return failed(answer.failure)
  const complete = yield* Effect.result(CompleteAnswer.body(name, right, answer.success))
  return Result.isFailure(complete)
    ? failed(complete.failure)
    : Result.succeed(complete.success.flatMap((entry) => Endpoints.toEndpoint(entry, target, home)))
})

const ofInstances = Effect.fnUntraced(function*(
  what: string,
  target: TcpRoute.Target,
  endpoints: ReadonlyArray<Endpoints.Endpoint>,
  options: Options
) {
  if (endpoints.length === 0) {
    return [Finding.broken(
      `${what} has no instance with a sidecar or a native integration`,
      "Register one, or correct the name; the token needs service:read on it, and node:read"
    )]
  }
  const healthy = endpoints.filter(({ weight }) => weight > 0)
  const left = healthy.length - handshakes
  return [
    ...endpoints.filter(({ weight }) => weight === 0).map(({ id, unhealthy }) =>
      (healthy.length > 0 ? Finding.doubt : Finding.broken)(
        `${id} is not called: ${unhealthy ?? "it is unhealthy"}`,
        "Look at its checks"
      )
    ),
    ...(yield* Effect.forEach(healthy.slice(0, handshakes), (endpoint) => ofInstance(target, endpoint, options), {
      concurrency: 8
    })),
    ...(left > 0 ? [Finding.unknown(`${what}: ${left} more instances`)] : [])
  ]
})

/** TCP, TLS, and who answers. Whether the peer lets us in is said by the intentions: some look at the first bytes only. */
const ofInstance = Effect.fnUntraced(function*(
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  { material, millis }: Options
) {
  const where = `${endpoint.id} at ${Listening.format(endpoint.address)}`
  const context = yield* Effect.context<never>()
  const before = yield* Clock.currentTimeMillis
  const answer = yield* Effect.scoped(Effect.result(Connect.scoped(Connect.open(
    { ...Destination.dialling(target, endpoint, material), timeoutMillis: millis },
    material,
    context
  ))))
  if (Result.isFailure(answer)) return Finding.broken(`${where}: ${answer.failure.message}`, remedyOf(answer.failure))
  const took = (yield* Clock.currentTimeMillis) - before
  return Finding.good(`${where} is ${SpiffeId.format(answer.success.peer)} (${took} ms)`)
})

const remedyOf = (failure: DialError.Reason): string => {
  switch (failure._tag) {
    case "ConnectFailed":
      return "Does its sidecar run? Is the address right as seen from here, and the port open in between?"
    case "TimedOut":
      return "Is the address right as seen from here, and the port open in between (firewalls drop silently)?"
    case "UnexpectedIdentity":
      return "Another service has the port now: register the instance where it is, or deregister it"
    default:
      return "Is it a sidecar that has the port? Compare roots and clocks: run effect-mesh check beside it, too"
  }
}
