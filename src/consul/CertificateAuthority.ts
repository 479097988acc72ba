/** The certificate authority of the mesh as the API shows it. */
import { Effect, Schema } from "effect"
import * as Go from "./GoJson.ts"

/** Times are RFC 3339, key ids and fingerprints colon-separated lower-case hex, certificates PEM. */
export const Root = Schema.Struct({
  /** SHA-1 fingerprint. */
  ID: Go.text,
  Name: Go.text,
  /** A uint64: beyond 2^53 it is not exact here. */
  SerialNumber: Go.number,
  SigningKeyID: Go.text,
  /** The trust domain without `.consul`. */
  ExternalTrustDomain: Go.text,
  NotBefore: Go.text,
  NotAfter: Go.text,
  RootCert: Go.text,
  IntermediateCerts: Go.nilList(Schema.String).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(null)),
    Schema.withConstructorDefault(Effect.succeed([]))
  ),
  Active: Go.flag,
  PrivateKeyType: Go.text,
  PrivateKeyBits: Go.number,
  ...Go.indexes
})
export interface Root extends Schema.Schema.Type<typeof Root> {}

/** Every root is to be trusted; the inactive ones stay while leaves that they signed may be in use. */
export const Roots = Schema.Struct({ ActiveRootID: Go.text, TrustDomain: Go.text, Roots: Go.list(Root) })
export interface Roots extends Schema.Schema.Type<typeof Roots> {}

export const Leaf = Schema.Struct({
  /** Colon-separated hex. */
  SerialNumber: Go.text,
  /** The leaf, then the intermediates to send with it. */
  CertPEM: Schema.String,
  /** SEC1 (`EC PRIVATE KEY`). */
  PrivateKeyPEM: Schema.String,
  Service: Go.textOmitEmpty,
  ServiceURI: Go.textOmitEmpty,
  ValidAfter: Go.text,
  ValidBefore: Go.text,
  ...Go.indexes
})
export interface Leaf extends Schema.Schema.Type<typeof Leaf> {}

export const Configuration = Schema.Struct({
  /** `consul`, `vault` or `aws-pca`. */
  Provider: Go.text,
  Config: Go.map(Schema.Json),
  State: Schema.NullOr(Schema.Record(Schema.String, Schema.String)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(null)),
    Schema.withConstructorDefault(Effect.succeed(null))
  ),
  ForceWithoutCrossSigning: Go.flag,
  ...Go.indexes
})
export interface Configuration extends Schema.Schema.Type<typeof Configuration> {}

/** `Config` holds what is to change of the provider's; the certificates of a changed key are cross-signed unless forced. */
export const ConfigurationUpdate = Schema.Struct({
  Provider: Schema.optionalKey(Schema.String),
  Config: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  State: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String))),
  ForceWithoutCrossSigning: Schema.optionalKey(Schema.Boolean)
})
export interface ConfigurationUpdate extends Schema.Schema.Type<typeof ConfigurationUpdate> {}

/** Whether the caller with this identity may connect to `Target`. */
export const AuthorizeRequest = Schema.Struct({
  Target: Schema.String,
  ClientCertURI: Schema.String,
  ClientCertSerial: Schema.optionalKey(Schema.String)
})
export interface AuthorizeRequest extends Schema.Schema.Type<typeof AuthorizeRequest> {}

export const AuthorizeResponse = Schema.Struct({ Authorized: Schema.Boolean, Reason: Go.text })
export interface AuthorizeResponse extends Schema.Schema.Type<typeof AuthorizeResponse> {}
