/** `service-intentions`. */
import { Result } from "effect"
import type {
  HttpPermission,
  JwtRequirement,
  Permission,
  ServiceIntentions,
  Source
} from "../../consul/config/ServiceIntentions.ts"
import * as Intention from "../../intention/Intention.ts"
import * as DecodeEntry from "./DecodeEntry.ts"
import * as ValidateRouter from "./ValidateRouter.ts"

export const validate = (entry: ServiceIntentions): Result.Result<ServiceIntentions, string> => {
  const normal = normalize(entry)
  const problem = firstProblem(normal)
  return problem === undefined ? Result.succeed(normal) : Result.fail(problem)
}

/** Fills in the type, computes precedence, sorts by it, and upper-cases methods. */
const normalize = (entry: ServiceIntentions): ServiceIntentions => ({
  ...entry,
  Sources: entry.Sources.map((source) => ({
    ...source,
    Type: source.Type === "" ? "consul" : source.Type,
    Precedence: Intention.precedence({
      SourceNS: "default",
      SourceName: source.Name,
      DestinationNS: "default",
      DestinationName: entry.Name
    }),
    Permissions: source.Permissions.map(normalizePermission)
  })).sort((a, b) => b.Precedence - a.Precedence || compareText(a.Name, b.Name))
})

const normalizePermission = (permission: Permission): Permission =>
  permission.HTTP === undefined ? permission : {
    ...permission,
    HTTP: { ...permission.HTTP, Methods: permission.HTTP.Methods.map((method) => method.toUpperCase()) }
  }

const compareText = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const firstProblem = (entry: ServiceIntentions): string | undefined => {
  if (entry.Name === "") return "Name is required"
  if (isPartialWildcard(entry.Name)) return "Name: wildcard character '*' cannot be used with partial values"
  const jwt = jwtProblem(entry.JWT)
  if (jwt !== undefined) return jwt
  if (entry.Sources.length === 0) return "At least one source is required"
  const seen = new Set<string>()
  for (const [index, source] of entry.Sources.entries()) {
    const problem = sourceProblem(source, entry.Name, `Sources[${index}]`)
    if (problem !== undefined) return problem
    const key = JSON.stringify([source.Peer, source.Name])
    if (seen.has(key)) {
      return `Sources[${index}] defines ${source.Peer === "" ? "" : `peer(${JSON.stringify(source.Peer)})/`}${
        JSON.stringify(source.Name)
      } more than once`
    }
    seen.add(key)
  }
  return undefined
}

const sourceProblem = (source: Source, destination: string, at: string): string | undefined => {
  if (source.Name === "") return `${at}.Name is required`
  if (isPartialWildcard(source.Name)) return `${at}.Name: wildcard character '*' cannot be used with partial values`
  if (source.Peer.includes("*")) return `${at}.Peer: cannot use wildcard '*' in peer`
  if (source.SamenessGroup !== "") {
    return `${at}.SamenessGroup: Sameness groups are a Consul Enterprise feature. `
  }
  if (Buffer.byteLength(source.Description) > 512) return `${at}.Description exceeds maximum length 512`
  if (source.Type !== "consul") return `${at}.Type must be set to 'consul'`
  if (source.Permissions.length === 0) {
    return isAction(source.Action) ? undefined : `${at}.Action must be set to 'allow' or 'deny'`
  }
  if (source.Action !== "") return `${at}.Action must be omitted if Permissions are specified`
  if (destination === "*") return `${at}.Permissions cannot be specified on intentions with wildcarded destinations`
  for (const [index, permission] of source.Permissions.entries()) {
    const problem = permissionProblem(permission, `${at}.Permissions[${index}]`)
    if (problem !== undefined) return problem
  }
  return undefined
}

const permissionProblem = (permission: Permission, at: string): string | undefined => {
  if (!isAction(permission.Action)) return `${at}.Action must be set to 'allow' or 'deny'`
  if (permission.HTTP === undefined) return `${at}.HTTP is required`
  return httpProblem(permission.HTTP, `${at}.HTTP`) ?? jwtProblem(permission.JWT)
}

const httpProblem = (http: HttpPermission, at: string): string | undefined => {
  const paths = [http.PathExact, http.PathPrefix, http.PathRegex].filter((path) => path !== "")
  if (paths.length > 1) return `${at} should only contain at most one of PathExact, PathPrefix, or PathRegex`
  if (http.PathExact !== "" && !http.PathExact.startsWith("/")) {
    return `${at}.PathExact doesn't start with '/': ${JSON.stringify(http.PathExact)}`
  }
  if (http.PathPrefix !== "" && !http.PathPrefix.startsWith("/")) {
    return `${at}.PathPrefix doesn't start with '/': ${JSON.stringify(http.PathPrefix)}`
  }
  for (const [index, header] of http.Header.entries()) {
    if (header.Name === "") return `${at}.Header[${index}] missing required Name field`
    const kinds = [header.Exact, header.Prefix, header.Suffix, header.Contains].filter((kind) => kind !== "").length
    const all = kinds + (header.Present ? 1 : 0) + (header.Regex === "" ? 0 : 1)
    if (all !== 1) {
      return `${at}.Header[${index}] should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex`
    }
    if (header.IgnoreCase && kinds === 0) {
      return `${at}.Header[${index}] should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase`
    }
  }
  const methods = ValidateRouter.methods(http.Methods)
  if (methods !== undefined) return `${at}.Methods ${methods}`
  return paths.length === 0 && http.Header.length === 0 && http.Methods.length === 0
    ? `${at} should not be empty`
    : undefined
}

const jwtProblem = (jwt: JwtRequirement | undefined): string | undefined =>
  jwt?.Providers.some((provider) => provider.Name === "") === true
    ? DecodeEntry.errors(["JWT provider name is required"])
    : undefined

const isAction = (action: string): boolean => action === "allow" || action === "deny"
const isPartialWildcard = (name: string): boolean => name !== "*" && name.includes("*")
