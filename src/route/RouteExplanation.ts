/** Which route a request takes, and why: every route up to it with the condition that does not hold, then where it leads. */
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as HttpRoutes from "./HttpRoutes.ts"
import * as InstanceShares from "./InstanceShares.ts"
import type * as Retry from "./Retry.ts"
import * as RequestMatch from "./RequestMatch.ts"

export interface RouteExplanation {
  readonly service: string
  readonly request: HttpRequest.HttpRequest
  /** In order. None after the one that is taken is looked at. */
  readonly passed: ReadonlyArray<{ readonly route: HttpRoutes.Route; readonly unmet: RequestMatch.Condition }>
  /** Undefined: no route takes the request. It is answered 404. */
  readonly taken: Taken | undefined
}

export interface Taken {
  readonly route: HttpRoutes.Route
  /** The request target that is sent on. */
  readonly path: string
  /** Those that get something. */
  readonly legs: ReadonlyArray<TakenLeg>
}

export interface TakenLeg {
  readonly leg: HttpRoutes.Leg
  /** Of the traffic of the route, at most 1. */
  readonly share: number
  /** Undefined: it is not known which instances there are. */
  readonly instances: InstanceShares.InstanceShares | undefined
}

/** By the ids of targets. */
export type Instances = ReadonlyMap<string, ReadonlyArray<InstanceShares.Instance>>

export const make = (
  { find, routes, service }: HttpRoutes.HttpRoutes,
  request: HttpRequest.HttpRequest,
  instances?: Instances
): RouteExplanation => {
  const route = find(request)
  const passed = routes.slice(0, route?.position).flatMap((route) => {
    const unmet = RequestMatch.unmet(route.conditions, request)
    return unmet === undefined ? [] : [{ route, unmet }]
  })
  return { service, request, passed, taken: route === undefined ? undefined : taken(route, request, instances) }
}

const taken = (
  route: HttpRoutes.Route,
  request: HttpRequest.HttpRequest,
  instances: Instances | undefined
): Taken => {
  const sum = route.legs.reduce((sum, { weight }) => sum + weight, 0)
  return {
    route,
    path: HttpRoutes.rewritten(route, request.path),
    legs: route.legs.filter(({ weight }) => weight > 0).map((leg) => ({
      leg,
      share: leg.weight / sum,
      instances: instances === undefined ? undefined : InstanceShares.make(route, leg, request, instances)
    }))
  }
}

type Row = readonly [what: string, answer: string, why: string]

/** For people, a line each. */
export const format = ({ passed, request, service, taken }: RouteExplanation): string => {
  const rows: ReadonlyArray<Row> = [
    ...passed.map(({ route, unmet }): Row => [nameOf(route), "no", `not so: ${unmet.says}`]),
    ...(taken === undefined ? [["nothing", "404", "no route takes such a request"] as const] : rowsOf(taken, request))
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return [
    `${request.method} ${request.path} for ${service}`,
    ...rows.map((row) => `  ${row[0].padEnd(widths[0]!)}  ${row[1].padStart(widths[1]!)}  ${row[2]}`.trimEnd())
  ].join("\n")
}

const rowsOf = (taken: Taken, request: HttpRequest.HttpRequest): ReadonlyArray<Row> => {
  const { legs, route } = taken
  const hashBy = route.hashBy.map(({ field, name }) => `${field.replaceAll("_", " ")} ${name}`.trimEnd())
  return [
    [nameOf(route), "yes", route.conditions.map(({ says }) => says).join("; ")],
    ...settingsOf(taken, request).map((line): Row => ["", "", line]),
    ...legs.flatMap((each, i): ReadonlyArray<Row> => [
      [i === 0 ? "goes to" : "", percent(each.share), legOf(each.leg)],
      ...(each.instances === undefined ? [] : instancesOf(each.instances).map((line): Row => ["", "", line]))
    ]),
    ...(legs.length === 0 ? [["goes to", "503", "nothing: all legs have a weight of zero"] as const] : []),
    ...(hashBy.length > 0 ? [["", "", `equal requests keep to one instance, by ${hashBy.join(", ")}`] as const] : [])
  ]
}

const instancesOf = (
  { hashed, shares, target, unhealthy }: InstanceShares.InstanceShares
): ReadonlyArray<string> => [
  ...(target === undefined ? ["  503: no instance of it is healthy"] : []),
  ...shares.map(({ instance, share }) => `  ${hashed ? "the hash chooses" : percent(share)} ${instance.id}`),
  ...unhealthy.map(({ id, unhealthy = "unhealthy" }) => `  left out ${id}: ${unhealthy}`)
]

const nameOf = ({ position, written }: HttpRoutes.Route): string => written ? `route ${position + 1}` : "all others"

const percent = (share: number): string => `${Math.round(share * 10_000) / 100} %`

const legOf = ({ changes, to: { connectTimeoutMillis, targets } }: HttpRoutes.Leg): string =>
  [
    targets.map(({ datacenter, filter, service }) =>
      `${service}${filter === "" ? "" : ` where ${filter}`} in ${datacenter}`
    ).join(", else "),
    `connecting within ${seconds(connectTimeoutMillis)}`,
    ...changesOf(changes)
  ].join("; ")

const settingsOf = ({ path, route }: Taken, request: HttpRequest.HttpRequest): ReadonlyArray<string> => [
  ...(path === request.path ? [] : [`sent on as ${path}`]),
  ...changesOf(route.changes),
  timesOf(route),
  ...(route.retry === undefined ? [] : [retriesOf(route.retry)])
]

const timesOf = ({ idleTimeoutMillis, requestTimeoutMillis }: HttpRoutes.Route): string =>
  [
    requestTimeoutMillis === undefined
      ? "the answer may take any time"
      : `answered within ${seconds(requestTimeoutMillis)}`,
    idleTimeoutMillis === undefined ? "silence may last" : `cut after ${seconds(idleTimeoutMillis)} of silence`
  ].join(", ")

const retriesOf = ({ on, onStatus, times }: Retry.Retry): string =>
  `up to ${times} more ${times === 1 ? "attempt" : "attempts"} on ${[...on, ...onStatus].join(", ")}`

const changesOf = ({ request, response }: HttpRoutes.HeaderChanges): ReadonlyArray<string> => [
  ...modifiersOf("request", request),
  ...modifiersOf("response", response)
]

const modifiersOf = (of: string, rules: HttpRoutes.HeaderChanges["request"]): ReadonlyArray<string> => {
  const said = rules === undefined ? [] : [
    ...rules.said.Remove.map((name) => `removes ${name}`),
    ...Object.entries(rules.said.Set).map(([name, value]) => `sets ${name}: ${value}`),
    ...Object.entries(rules.said.Add).map(([name, value]) => `adds ${name}: ${value}`)
  ]
  return said.length === 0 ? [] : [`in the ${of} it ${said.join(", ")}`]
}

const seconds = (millis: number): string => `${millis / 1000} s`

/** Stable: what `effect-mesh route --json` prints. */
export const toJson = ({ passed, request, service, taken }: RouteExplanation) => ({
  service,
  method: request.method,
  path: request.path,
  passed: passed.map(({ route, unmet }) => ({ route: route.position + 1, unmet: unmet.says })),
  ...(taken !== undefined && {
    taken: {
      route: taken.route.position + 1,
      written: taken.route.written,
      conditions: taken.route.conditions.map(({ says }) => says),
      path: taken.path,
      requestTimeoutMillis: taken.route.requestTimeoutMillis ?? null,
      idleTimeoutMillis: taken.route.idleTimeoutMillis ?? null,
      ...(taken.route.retry !== undefined && {
        retry: {
          times: taken.route.retry.times,
          on: [...taken.route.retry.on, ...taken.route.retry.onStatus]
        }
      }),
      legs: taken.legs.map(({ instances, leg, share }) => ({
        share,
        connectTimeoutMillis: leg.to.connectTimeoutMillis,
        targets: leg.to.targets.map(({ datacenter, filter, id, service }) => ({ id, service, datacenter, filter })),
        ...(instances !== undefined && {
          instances: instances.shares.map(({ instance, share }) => ({ id: instance.id, share })),
          unhealthy: instances.unhealthy.map(({ id, unhealthy }) => ({ id, why: unhealthy }))
        })
      }))
    }
  })
})
