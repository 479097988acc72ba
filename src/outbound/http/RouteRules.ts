/**
 * What holds for a request beyond where it goes: its times, and further attempts. The route says it, unless the program says
 * otherwise for requests of its own. Times that nobody has said do not hold here: those of Envoy are for sidecars, and would cut
 * streams that no operator has thought of.
 */
import type * as Undici from "@effect/platform-node/Undici"
import type * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as Retry from "../../route/Retry.ts"
import * as TimerLimit from "../../route/TimerLimit.ts"
import type * as RequestFailed from "./RequestFailed.ts"

/** What a program says instead of the routes. Left out: as the route says. */
export interface Overrides {
  /** For the whole answer, all attempts included. `Infinity`: as long as it takes. */
  readonly requestTimeoutMillis?: number | undefined
  /** Without a byte in either direction. `Infinity`: as long as it takes. */
  readonly idleTimeoutMillis?: number | undefined
  /** `false`: the route has no attempts made beyond the first one. */
  readonly retries?: boolean | undefined
}

/** Undefined: as long as it takes, and one attempt. */
export interface RouteRules extends HttpRoutes.Times {
  readonly retry: Retry.Retry | undefined
}

/** Undefined: there is nothing to mind, as for most requests. */
export const of = (
  route: HttpRoutes.Route | undefined,
  overrides: Overrides | undefined
): RouteRules | undefined => {
  const requestTimeoutMillis = timeoutOf(overrides?.requestTimeoutMillis, route?.said.requestTimeoutMillis)
  const idleTimeoutMillis = timeoutOf(overrides?.idleTimeoutMillis, route?.said.idleTimeoutMillis)
  const retry = overrides?.retries === false ? undefined : route?.retry
  return requestTimeoutMillis === undefined && idleTimeoutMillis === undefined && retry === undefined
    ? undefined
    : { requestTimeoutMillis, idleTimeoutMillis, retry }
}

const timeoutOf = (said: number | undefined, route: number | undefined): number | undefined =>
  said === undefined ? route : said === Infinity ? undefined : TimerLimit.clamp(said)

/** For errors: who has said how long a request may take. */
export const saidBy = (
  limit: RequestFailed.RouteTimedOut["limit"],
  service: string,
  route: HttpRoutes.Route | undefined,
  overrides: Overrides | undefined
): string => {
  const [option, entry] = limit === "request"
    ? ["requestTimeoutMillis", "RequestTimeout"] as const
    : ["idleTimeoutMillis", "IdleTimeout"] as const
  if (overrides?.[option] !== undefined || route === undefined) return `the ${option} of the program`
  return route.written
    ? `the ${entry} of route ${route.position + 1} in the service-router of ${service}`
    : `the ${entry} in the service-resolver of ${service}`
}

/** In the options of a request. */
const key = Symbol("effect-mesh/overrides")

type Options = Partial<Undici.Dispatcher.DispatchOptions>

interface Overriding {
  readonly [key]?: Overrides
}

/** The options of a request with what its program says. What they say already stays, where there is no other word about it. */
export const override = <O extends Options>(options: O & Overriding, overrides: Overrides): O => ({
  ...options,
  [key]: { ...options[key], ...overrides }
})

/** `general` is for all requests. */
export const overridesOf = (options: Options & Overriding, general?: Overrides): Overrides | undefined =>
  options[key] === undefined || general === undefined ? options[key] ?? general : { ...general, ...options[key] }
