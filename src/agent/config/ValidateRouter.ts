/** `service-router`. */
import { Result } from "effect"
import type { Destination, HttpMatch, Route, ServiceRouter } from "../../consul/config/ServiceRouter.ts"

export const validate = (entry: ServiceRouter): Result.Result<ServiceRouter, string> => {
  if (entry.Name === "") return Result.fail("Name is required")
  const routes = entry.Routes.map(normalize)
  for (const [index, route] of routes.entries()) {
    const problem = matching(route.Match?.HTTP) ?? leading(route, route.Destination)
    if (problem !== undefined) return Result.fail(`Route[${index}] ${problem}`)
  }
  return Result.succeed({ ...entry, Routes: routes })
}

const normalize = (route: Route): Route =>
  route.Match?.HTTP === undefined
    ? route
    : {
      ...route,
      Match: { HTTP: { ...route.Match.HTTP, Methods: route.Match.HTTP.Methods.map((method) => method.toUpperCase()) } }
    }

const matching = (match: HttpMatch | undefined): string | undefined => {
  if (match === undefined) return undefined
  const paths = [match.PathExact, match.PathPrefix, match.PathRegex].filter((path) => path !== "")
  if (paths.length > 1) return "should only contain at most one of PathExact, PathPrefix, or PathRegex"
  if (match.PathExact !== "" && !match.PathExact.startsWith("/")) {
    return `PathExact doesn't start with '/': ${JSON.stringify(match.PathExact)}`
  }
  if (match.PathPrefix !== "" && !match.PathPrefix.startsWith("/")) {
    return `PathPrefix doesn't start with '/': ${JSON.stringify(match.PathPrefix)}`
  }
  for (const [index, header] of match.Header.entries()) {
    if (header.Name === "") return `Header[${index}] missing required Name field`
    if (conditions(header.Present, header.Exact, header.Prefix, header.Suffix, header.Regex) !== 1) {
      return `Header[${index}] should only contain one of Present, Exact, Prefix, Suffix, or Regex`
    }
  }
  for (const [index, parameter] of match.QueryParam.entries()) {
    if (parameter.Name === "") return `QueryParam[${index}] missing required Name field`
    if (conditions(parameter.Present, parameter.Exact, parameter.Regex) !== 1) {
      return `QueryParam[${index}] should only contain one of Present, Exact, or Regex`
    }
  }
  const problem = methods(match.Methods)
  return problem === undefined ? undefined : `Methods ${problem}`
}

const leading = (route: Route, destination: Destination | undefined): string | undefined => {
  if (destination === undefined) return undefined
  const match = route.Match?.HTTP
  if (
    destination.PrefixRewrite !== "" && (match === undefined || (match.PathExact === "" && match.PathPrefix === ""))
  ) {
    return "cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix"
  }
  const unknown = destination.RetryOn.find((condition) => !retryConditions.has(condition))
  return unknown === undefined ? undefined : `contains an invalid retry condition: ${JSON.stringify(unknown)}`
}

const conditions = (...given: ReadonlyArray<boolean | string>): number =>
  given.filter((condition) => condition !== false && condition !== "").length

const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"])

/** For routes and permissions alike: what is wrong with upper-case methods. */
export const methods = (list: ReadonlyArray<string>): string | undefined => {
  const seen = new Set<string>()
  for (const method of list) {
    if (!knownMethods.has(method)) return `contains an invalid method ${JSON.stringify(method)}`
    if (seen.has(method)) return `contains ${JSON.stringify(method)} more than once`
    seen.add(method)
  }
  return undefined
}

const retryConditions = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable"
])
