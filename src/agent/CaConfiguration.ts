/** What the configuration of the certificate authority says, for every provider alike. */
import { Duration, Option, Result, type Schema } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as GoDuration from "../consul/GoDuration.ts"
import type * as Keys from "./ca/Keys.ts"

export interface CaConfiguration {
  readonly provider: ProviderName
  /** Of authorities that the provider makes. */
  readonly key: Keys.KeyType
  readonly leafTtl: Duration.Duration
  readonly intermediateTtl: Duration.Duration
  readonly rootTtl: Duration.Duration
  /** As it was written, and what else holds. */
  readonly shown: Settings
}

export type ProviderName = "consul" | "files" | "vault"

type Settings = { readonly [key: string]: Schema.Json }

const providers: ReadonlyArray<string> = ["consul", "files", "vault"] satisfies ReadonlyArray<ProviderName>

/** The defaults of `agent/config`, except the lifetime of leaves. */
export const initial = (leafTtl: Duration.Duration): CaConfiguration => ({
  provider: "consul",
  key: { type: "ec", bits: 256 },
  leafTtl,
  intermediateTtl: Duration.hours(8760),
  rootTtl: Duration.hours(87_600),
  shown: {
    IntermediateCertTTL: "8760h",
    LeafCertTTL: GoDuration.format(leafTtl).replace(/(?<=h)0m0s$|(?<=m)0s$/, ""),
    RootCertTTL: "87600h"
  }
})

/** A setting that only one provider knows, as text; empty where it is not set. */
export const text = ({ shown }: Pick<CaConfiguration, "shown">, name: string): string => {
  const value = shown[name]
  return typeof value === "string" ? value : ""
}

const refuse = (text: string) => Result.fail(new ApiError.InternalError({ body: text }))

/** As Consul does: the new configuration stands for itself, what it leaves out is the default again. */
export const update = (
  request: ConsulCa.ConfigurationUpdate,
  before: CaConfiguration
): Result.Result<CaConfiguration, ApiError.BadRequest | ApiError.InternalError> => {
  const provider = request.Provider ?? before.provider
  if (!isProvider(provider)) return refuse(`could not initialize provider: unknown CA provider "${provider}"`)
  if (request.State !== undefined && request.State !== null && Object.keys(request.State).length > 0) {
    return Result.fail(
      new ApiError.BadRequest({
        body: "Provider State is read-only. It must be omitted or identical to the current value"
      })
    )
  }
  const config = request.Config ?? {}
  const read = Result.gen(function*() {
    return {
      provider,
      key: yield* keyType(config),
      leafTtl: yield* duration(config, "LeafCertTTL", Duration.hours(72)),
      intermediateTtl: yield* duration(config, "IntermediateCertTTL", Duration.hours(8760)),
      rootTtl: yield* duration(config, "RootCertTTL", Duration.hours(87_600)),
      shown: { ...defaults, ...config }
    }
  })
  return Result.match(
    Result.flatMap(read, (next) => config["SkipValidate"] === true ? Result.succeed(next) : validated(next)),
    { onSuccess: Result.succeed, onFailure: (why) => refuse(`error configuring provider: ${why}`) }
  )
}

const isProvider = (name: string): name is ProviderName => providers.includes(name)

const defaults = { IntermediateCertTTL: "8760h", LeafCertTTL: "72h" }

/** The rules that the lifetimes follow, unless `SkipValidate` turns them off (`agent/structs/connect_ca.go`). */
const validated = (config: CaConfiguration): Result.Result<CaConfiguration, string> => {
  const { intermediateTtl, leafTtl, rootTtl } = config
  if (Duration.isLessThan(rootTtl, intermediateTtl)) {
    return Result.fail(
      "root cert TTL is set and is not greater than intermediate cert ttl. root cert ttl: " +
        `${GoDuration.format(rootTtl)}, intermediate cert ttl: ${GoDuration.format(intermediateTtl)}`
    )
  }
  if (Duration.isLessThan(leafTtl, Duration.hours(1))) {
    return Result.fail("leaf cert TTL must be greater or equal than 1h0m0s")
  }
  if (Duration.isGreaterThan(leafTtl, Duration.hours(8760))) {
    return Result.fail("leaf cert TTL must be less than 8760h0m0s")
  }
  if (Duration.isLessThan(intermediateTtl, Duration.hours(3))) {
    return Result.fail("Intermediate Cert TTL must be greater or equal than 3h")
  }
  if (Duration.isLessThan(intermediateTtl, Duration.times(leafTtl, 3))) {
    return Result.fail(
      "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=" +
        `${GoDuration.format(Duration.times(leafTtl, 3))}).`
    )
  }
  return Result.succeed(config)
}

const duration = (
  config: Settings,
  name: string,
  fallback: Duration.Duration
): Result.Result<Duration.Duration, string> => {
  const value = config[name]
  if (value === undefined || value === null || value === "") return Result.succeed(fallback)
  const parsed = typeof value === "number"
    ? Option.some(Duration.nanos(BigInt(Math.round(value))))
    : GoDuration.parse(String(value))
  return Result.fromOption(
    parsed,
    () =>
      `error decoding config: 1 error(s) decoding:\n\n* error decoding '${name}': ` +
      `time: invalid duration ${JSON.stringify(String(value))}`
  )
}

const keyType = (config: Settings): Result.Result<Keys.KeyType, string> => {
  const type = config["PrivateKeyType"] ?? "ec"
  const bits = Number(config["PrivateKeyBits"] ?? (type === "rsa" ? 2048 : 256))
  if (type === "ec" && (bits === 256 || bits === 384 || bits === 521)) return Result.succeed({ type, bits })
  if (type === "rsa" && (bits === 2048 || bits === 4096)) return Result.succeed({ type, bits })
  return Result.fail(
    type === "ec"
      ? "EC key length must be one of (256, 384, 521) bits"
      : type === "rsa"
      ? "RSA key length must be 2048 or 4096 bits"
      : "private key type must be either 'ec' or 'rsa'"
  )
}
