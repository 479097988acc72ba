/** The configuration of the built-in certificate authority, and what may be changed about it. */
import { Duration, Option, Result } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as GoDuration from "../consul/GoDuration.ts"
import type * as CertificateAuthority from "./CertificateAuthority.ts"
import type { Schema } from "effect"

export interface CaConfiguration {
  readonly key: CertificateAuthority.KeyType
  readonly leafTtl: Duration.Duration
  readonly rootTtl: Duration.Duration
  readonly intermediateTtl: Duration.Duration
  /** As it was written. */
  readonly shown: { readonly [key: string]: Schema.Json }
}

/** The defaults of `agent/config`, except the lifetime of leaves. */
export const initial = (leafTtl: Duration.Duration): CaConfiguration => ({
  key: { type: "ec", bits: 256 },
  leafTtl,
  rootTtl: Duration.hours(87_600),
  intermediateTtl: Duration.hours(8760),
  shown: {
    IntermediateCertTTL: "8760h",
    LeafCertTTL: GoDuration.format(leafTtl).replace(/(?<=h)0m0s$|(?<=m)0s$/, ""),
    RootCertTTL: "87600h"
  }
})

const refuse = (text: string) => Result.fail(new ApiError.InternalError({ body: text }))

/** As Consul does: the new configuration stands for itself, what it leaves out is the default again. */
export const update = (
  request: ConsulCa.ConfigurationUpdate
): Result.Result<CaConfiguration, ApiError.BadRequest | ApiError.InternalError> => {
  if (request.Provider !== undefined && request.Provider !== "consul") {
    return refuse(`could not initialize provider: unknown CA provider "${request.Provider}"`)
  }
  if (request.State !== undefined && request.State !== null && Object.keys(request.State).length > 0) {
    return Result.fail(new ApiError.BadRequest({ body: "unsupported state: the built-in provider keeps none" }))
  }
  const config = request.Config ?? {}
  for (const name of ["PrivateKey", "RootCert"]) {
    if (config[name] !== undefined && config[name] !== "") {
      return refuse(
        `error configuring provider: ${name} is not supported by the development agent: change PrivateKeyType or ` +
          `PrivateKeyBits to rotate to a new key`
      )
    }
  }
  const leafTtl = duration(config, "LeafCertTTL", Duration.hours(72))
  if (Result.isFailure(leafTtl)) return refuse(leafTtl.failure)
  const intermediateTtl = duration(config, "IntermediateCertTTL", Duration.hours(8760))
  if (Result.isFailure(intermediateTtl)) return refuse(intermediateTtl.failure)
  const rootTtl = duration(config, "RootCertTTL", Duration.hours(87_600))
  if (Result.isFailure(rootTtl)) return refuse(rootTtl.failure)
  const key = keyType(config)
  if (Result.isFailure(key)) return refuse(key.failure)
  if (Duration.isLessThan(leafTtl.success, Duration.hours(1))) {
    return refuse("error configuring provider: leaf cert TTL must be greater or equal than 1h0m0s")
  }
  if (Duration.isGreaterThan(leafTtl.success, Duration.hours(8760))) {
    return refuse("error configuring provider: leaf cert TTL must be less than 8760h0m0s")
  }
  if (Duration.isLessThan(intermediateTtl.success, Duration.times(leafTtl.success, 3))) {
    return refuse(
      "error configuring provider: Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=" +
        `${GoDuration.format(Duration.times(leafTtl.success, 3))}).`
    )
  }
  return Result.succeed({
    key: key.success,
    leafTtl: leafTtl.success,
    rootTtl: rootTtl.success,
    intermediateTtl: intermediateTtl.success,
    shown: { ...defaults, ...config }
  })
}

const defaults = { IntermediateCertTTL: "8760h", LeafCertTTL: "72h" }

const duration = (
  config: { readonly [key: string]: Schema.Json },
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
      `error configuring provider: error decoding config: 1 error(s) decoding:\n\n* error decoding '${name}': ` +
      `time: invalid duration ${JSON.stringify(String(value))}`
  )
}

const keyType = (
  config: { readonly [key: string]: Schema.Json }
): Result.Result<CertificateAuthority.KeyType, string> => {
  const type = config["PrivateKeyType"] ?? "ec"
  const bits = Number(config["PrivateKeyBits"] ?? (type === "rsa" ? 2048 : 256))
  if (type === "ec" && (bits === 256 || bits === 384 || bits === 521)) return Result.succeed({ type, bits })
  if (type === "rsa" && (bits === 2048 || bits === 4096)) return Result.succeed({ type, bits })
  return Result.fail(
    type === "ec"
      ? "error configuring provider: EC key length must be one of (256, 384, 521) bits"
      : type === "rsa"
      ? "error configuring provider: RSA key length must be 2048 or 4096 bits"
      : "error configuring provider: private key type must be either 'ec' or 'rsa'"
  )
}
