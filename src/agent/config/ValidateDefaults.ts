/** `service-defaults`. */
import { Result } from "effect"
import type { ServiceDefaults, UpstreamConfig } from "../../consul/config/ServiceDefaults.ts"
import { isIP } from "node:net"
import * as DecodeEntry from "./DecodeEntry.ts"

export const validate = (entry: ServiceDefaults): Result.Result<ServiceDefaults, string> => {
  if (entry.Name === "") return Result.fail("Name is required")
  if (entry.Name === "*") return Result.fail("service-defaults name must be the name of a service, and not a wildcard")
  const mode = mutualTlsMode(entry.MutualTLSMode)
  if (Result.isFailure(mode)) return Result.fail(mode.failure)
  const config = entry.UpstreamConfig
  const normal = {
    ...entry,
    Protocol: entry.Protocol.toLowerCase(),
    ...(config !== undefined && {
      UpstreamConfig: {
        Overrides: config.Overrides.map(lowerCase),
        ...(config.Defaults !== undefined && { Defaults: lowerCase(config.Defaults) })
      }
    })
  }
  const problems = [
    ...protocol(normal.Protocol),
    ...(["", "exact_balance"].includes(entry.BalanceInboundConnections)
      ? []
      : [`invalid value for balance_inbound_connections: ${entry.BalanceInboundConnections}`]),
    ...(entry.RateLimits === undefined
      ? []
      : ["invalid rate_limits config. Rate limiting is a consul enterprise feature"]),
    ...(entry.Destination !== undefined && config !== undefined
      ? ["UpstreamConfig and Destination are mutually exclusive for service defaults"]
      : []),
    ...destination(entry),
    ...upstreams(entry)
  ]
  return problems.length === 0 ? Result.succeed(normal) : Result.fail(DecodeEntry.errors(problems))
}

const lowerCase = (upstream: UpstreamConfig): UpstreamConfig => ({
  ...upstream,
  Protocol: upstream.Protocol.toLowerCase()
})

const protocol = (value: string): ReadonlyArray<string> =>
  ["", "tcp", "http", "http2", "grpc"].includes(value) ? [] : [`invalid value for protocol: ${value}`]

export const mutualTlsMode = (mode: string): Result.Result<void, string> =>
  ["", "strict", "permissive"].includes(mode)
    ? Result.void
    : Result.fail(`Invalid MutualTLSMode "${mode}". Must be one of "", "strict", or "permissive".`)

const destination = (entry: ServiceDefaults): ReadonlyArray<string> => {
  if (entry.Destination === undefined) return []
  const { Addresses, Port } = entry.Destination
  return [
    ...(Addresses.length === 0 ? ["Destination must contain at least one valid address"] : []),
    ...Addresses.filter((address) => isIP(address) === 0 && !hostname.test(address)).map((address) =>
      `Destination address '${address}' is invalid Could not validate address ${address} as an IP or Hostname`
    ),
    ...(Port >= 1 && Port <= 65_535 ? [] : [`Invalid Port number ${Port}`])
  ]
}

const hostname =
  /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

const upstreams = ({ UpstreamConfig: config }: ServiceDefaults): ReadonlyArray<string> => {
  if (config === undefined) return []
  return [
    ...(config.Overrides.flatMap((override) => {
      const problem = upstream(override, true)
      return problem === undefined ? [] : [`error in upstream override for ${override.Name}:: ${problem}`]
    })),
    ...(config.Defaults === undefined ?
      [] :
      [upstream(config.Defaults, false)].flatMap((problem) =>
        problem === undefined ? [] : [`error in upstream defaults: ${problem}`]
      ))
  ]
}

const upstream = (config: UpstreamConfig, named: boolean): string | undefined => {
  if (named && config.Name === "") return "Name is required"
  if (!named && config.Name !== "") return "Name must be empty"
  const limits = config.Limits ?? {}
  const problems = [
    ...((limits.MaxConnections ?? 0) < 0 ? ["max connections cannot be negative"] : []),
    ...((limits.MaxPendingRequests ?? 0) < 0 ? ["max pending requests cannot be negative"] : []),
    ...((limits.MaxConcurrentRequests ?? 0) < 0 ? ["max concurrent requests cannot be negative"] : []),
    ...(["", "exact_balance"].includes(config.BalanceOutboundConnections)
      ? []
      : [`invalid value for balance_outbound_connections: ${config.BalanceOutboundConnections}`])
  ]
  return problems.length === 0 ? undefined : DecodeEntry.errors(problems).trimEnd()
}
