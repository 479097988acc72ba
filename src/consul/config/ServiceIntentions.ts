/** `service-intentions`: who may call the service that the entry is named after, or every service for `*`. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

const header = {
  Name: Go.text,
  Present: Go.flagOmitEmpty,
  Exact: Go.textOmitEmpty,
  Prefix: Go.textOmitEmpty,
  Suffix: Go.textOmitEmpty,
  Contains: Go.textOmitEmpty,
  Regex: Go.textOmitEmpty,
  Invert: Go.flagOmitEmpty,
  IgnoreCase: Go.flagOmitEmpty
}
export const HeaderPermission = Schema.Struct(header)

export const HttpPermission = Schema.Struct({
  PathExact: Go.textOmitEmpty,
  PathPrefix: Go.textOmitEmpty,
  PathRegex: Go.textOmitEmpty,
  Header: Go.listOmitEmpty(HeaderPermission),
  Methods: Go.listOmitEmpty(Schema.String)
})
export interface HttpPermission extends Schema.Schema.Type<typeof HttpPermission> {}

export const JwtRequirement = Schema.Struct({
  Providers: Go.listOmitEmpty(Schema.Struct({
    Name: Go.textOmitEmpty,
    VerifyClaims: Go.listOmitEmpty(Schema.Struct({ Path: Go.listOmitEmpty(Schema.String), Value: Go.textOmitEmpty }))
  }))
})
export interface JwtRequirement extends Schema.Schema.Type<typeof JwtRequirement> {}

export const Permission = Schema.Struct({
  Action: Go.text,
  HTTP: Go.pointer(HttpPermission),
  JWT: Go.pointer(JwtRequirement)
})
export interface Permission extends Schema.Schema.Type<typeof Permission> {}

export const Source = Schema.Struct({
  Name: Go.text,
  /** `allow` or `deny`, or `Permissions` instead. */
  Action: Go.textOmitEmpty,
  Permissions: Go.listOmitEmpty(Permission),
  /** Computed by the server. */
  Precedence: Go.numberOmitEmpty,
  LegacyID: Go.textOmitEmpty,
  Type: Go.textOmitEmpty,
  Description: Go.textOmitEmpty,
  LegacyMeta: Go.mapOmitEmpty(Schema.String),
  LegacyCreateTime: Go.textOmitEmpty,
  LegacyUpdateTime: Go.textOmitEmpty,
  Peer: Go.textOmitEmpty,
  SamenessGroup: Go.textOmitEmpty
})
export interface Source extends Schema.Schema.Type<typeof Source> {}

export const ServiceIntentions = Schema.Struct({
  Kind: Schema.Literal("service-intentions"),
  Name: Go.text,
  JWT: Go.pointer(JwtRequirement),
  /** Sorted by precedence. */
  Sources: Go.listOmitEmpty(Source),
  ...Common.meta,
  ...Common.stored
})
export interface ServiceIntentions extends Schema.Schema.Type<typeof ServiceIntentions> {}
