/**
 * What is checked about one entry by itself, and how it is normalised, by kind (`Normalize` and `Validate` in
 * `agent/structs/config_entry*.go`). The first problem is returned in a real agent's words.
 */
import { Result } from "effect"
import type { ExportedServices } from "../../consul/config/ExportedServices.ts"
import type { ProxyDefaults } from "../../consul/config/ProxyDefaults.ts"
import type { ServiceSplitter } from "../../consul/config/ServiceSplitter.ts"
import type { StoredEntry } from "../../consul/config/StoredEntry.ts"
import * as DecodeEntry from "./DecodeEntry.ts"
import * as ValidateApiGateway from "./ValidateApiGateway.ts"
import * as ValidateDefaults from "./ValidateDefaults.ts"
import * as ValidateJwtProvider from "./ValidateJwtProvider.ts"
import * as ValidateMesh from "./ValidateMesh.ts"
import * as ValidateIntentions from "./ValidateIntentions.ts"
import * as ValidateResolver from "./ValidateResolver.ts"
import * as ValidateRouter from "./ValidateRouter.ts"
import * as ValidateTerminatingGateway from "./ValidateTerminatingGateway.ts"

/** The entry as it is to be stored, or why it is refused. */
export const validate = (entry: StoredEntry): Result.Result<StoredEntry, string> =>
  Result.flatMap(metadata(entry), (): Result.Result<StoredEntry, string> => {
    switch (entry.Kind) {
      case "proxy-defaults":
        return proxyDefaults(entry)
      case "service-defaults":
        return ValidateDefaults.validate(entry)
      case "service-router":
        return ValidateRouter.validate(entry)
      case "service-splitter":
        return splitter(entry)
      case "service-resolver":
        return ValidateResolver.validate(entry)
      case "service-intentions":
        return ValidateIntentions.validate(entry)
      case "mesh":
        return ValidateMesh.validate(entry)
      case "exported-services":
        return exported(entry)
      case "terminating-gateway":
        return ValidateTerminatingGateway.validate(entry)
      case "api-gateway":
        return ValidateApiGateway.gateway(entry)
      case "http-route":
        return ValidateApiGateway.httpRoute(entry)
      case "tcp-route":
        return ValidateApiGateway.tcpRoute(entry)
      case "inline-certificate":
        return ValidateApiGateway.certificate(entry)
      case "jwt-provider":
        return ValidateJwtProvider.validate(entry)
      default:
        return entry.Name === "" ? Result.fail("Name is required") : Result.succeed(entry)
    }
  })

/** `validateConfigEntryMeta`: at most 64 pairs, keys of 128 and values of 512 bytes. */
const metadata = (entry: StoredEntry): Result.Result<void, string> => {
  const meta = entry["Meta"] ?? {}
  const pairs = typeof meta === "object" ? Object.entries(meta) : []
  const problems = [
    ...(pairs.length > 64 ? [`Meta exceeds maximum element count 64`] : []),
    ...pairs.flatMap(([key, value]) => [
      ...(Buffer.byteLength(key) > 128 ? [`Meta key "${key}" exceeds maximum length 128`] : []),
      ...(Buffer.byteLength(String(value)) > 512 ? [`Meta value for key "${key}" exceeds maximum length 512`] : [])
    ])
  ]
  return problems.length === 0 ? Result.void : Result.fail(DecodeEntry.errors(problems))
}

const proxyDefaults = (entry: ProxyDefaults): Result.Result<ProxyDefaults, string> => {
  if (entry.Name !== "" && entry.Name !== "global") {
    return Result.fail(`invalid name ("${entry.Name}"), only "global" is supported`)
  }
  const logs = entry.AccessLogs
  if (!["", "file", "stderr", "stdout"].includes(logs.Type)) {
    return Result.fail(`invalid access log type: ${logs.Type}`)
  }
  if (logs.JSONFormat !== "" && logs.TextFormat !== "") {
    return Result.fail("cannot specify both access log JSONFormat and TextFormat")
  }
  if (logs.Type !== "file" && logs.Path !== "") return Result.fail("path is only valid for file type access logs")
  if (logs.Type === "file" && logs.Path === "") {
    return Result.fail("path must be specified when using file type access logs")
  }
  if (entry.PrioritizeByLocality !== undefined) {
    return Result.fail("Prioritize-by-locality requires Consul Enterprise ")
  }
  return Result.map(ValidateDefaults.mutualTlsMode(entry.MutualTLSMode), () => ({ ...entry, Name: "global" }))
}

const splitter = (entry: ServiceSplitter): Result.Result<ServiceSplitter, string> => {
  if (entry.Name === "") return Result.fail("Name is required")
  if (entry.Splits.length === 0) return Result.fail("no splits configured")
  // Hundredths: what is finer does not exist.
  const splits = entry.Splits.map((split) => ({ ...split, Weight: Math.round(split.Weight * 100) / 100 }))
  const seen = new Set<string>()
  let total = 0
  for (const split of splits) {
    if (split.Namespace !== "" && split.Namespace !== "default") {
      return Result.fail("Splits.Namespace: Setting Namespace requires Consul Enterprise")
    }
    const service = split.Service === "" ? entry.Name : split.Service
    const key = JSON.stringify([service, split.ServiceSubset])
    if (seen.has(key)) {
      return Result.fail(
        `split destination occurs more than once: service="${service}", subset="${split.ServiceSubset}", ` +
          `namespace="", partition=""`
      )
    }
    seen.add(key)
    total += Math.round(split.Weight * 100)
  }
  return total === 10_000
    ? Result.succeed({ ...entry, Splits: splits })
    : Result.fail(`the sum of all split weights must be 100, not ${(total / 100).toFixed(6)}`)
}

const exported = (entry: ExportedServices): Result.Result<ExportedServices, string> => {
  if (entry.Name === "") return Result.fail("Name is required")
  if (entry.Name !== "default") return Result.fail(`exported-services Name must be "default"`)
  for (const [index, service] of entry.Services.entries()) {
    if (service.Name === "") return Result.fail(`Services[${index}]: service name cannot be empty`)
    if (service.Consumers.length === 0) return Result.fail(`Services[${index}]: must have at least one consumer`)
    for (const [at, consumer] of service.Consumers.entries()) {
      const given = [consumer.Peer, consumer.Partition, consumer.SamenessGroup].filter((name) => name !== "")
      if (given.length > 1) {
        return Result.fail(
          `Services[${index}].Consumers[${at}]: must define at most one of Peer, Partition, or SamenessGroup`
        )
      }
      if (given.includes("*")) {
        return Result.fail(`Services[${index}].Consumers[${at}]: exporting to all peers (wildcard) is not supported`)
      }
    }
  }
  return Result.succeed(entry)
}
