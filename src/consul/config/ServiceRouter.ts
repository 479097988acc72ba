/** `service-router`: which requests go where. The first route that matches is taken. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

/** One kind of condition, and `Invert` to turn it round. */
export const HeaderMatch = Schema.Struct({
  Name: Go.text,
  Present: Go.flagOmitEmpty,
  Exact: Go.textOmitEmpty,
  Prefix: Go.textOmitEmpty,
  Suffix: Go.textOmitEmpty,
  Regex: Go.textOmitEmpty,
  Invert: Go.flagOmitEmpty
})

export const QueryParamMatch = Schema.Struct({
  Name: Go.text,
  Present: Go.flagOmitEmpty,
  Exact: Go.textOmitEmpty,
  Regex: Go.textOmitEmpty
})

/** All conditions must hold; at most one of the paths. */
export const HttpMatch = Schema.Struct({
  PathExact: Go.textOmitEmpty,
  PathPrefix: Go.textOmitEmpty,
  PathRegex: Go.textOmitEmpty,
  CaseInsensitive: Go.flagOmitEmpty,
  Header: Go.listOmitEmpty(HeaderMatch),
  QueryParam: Go.listOmitEmpty(QueryParamMatch),
  Methods: Go.listOmitEmpty(Schema.String)
})
export interface HttpMatch extends Schema.Schema.Type<typeof HttpMatch> {}

export const Destination = Schema.Struct({
  RequestTimeout: Common.duration,
  IdleTimeout: Common.duration,
  /** Empty: the service of the router. */
  Service: Go.textOmitEmpty,
  ServiceSubset: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Partition: Go.textOmitEmpty,
  PrefixRewrite: Go.textOmitEmpty,
  NumRetries: Go.numberOmitEmpty,
  RetryOnConnectFailure: Go.flagOmitEmpty,
  RetryOn: Go.listOmitEmpty(Schema.String),
  RetryOnStatusCodes: Go.listOmitEmpty(Schema.Finite),
  RequestHeaders: Go.pointer(Common.HeaderModifiers),
  ResponseHeaders: Go.pointer(Common.HeaderModifiers)
})
export interface Destination extends Schema.Schema.Type<typeof Destination> {}

export const Route = Schema.Struct({
  Match: Go.pointer(Schema.Struct({ HTTP: Go.pointer(HttpMatch) })),
  Destination: Go.pointer(Destination)
})
export interface Route extends Schema.Schema.Type<typeof Route> {}

export const ServiceRouter = Schema.Struct({
  Kind: Schema.Literal("service-router"),
  Name: Go.text,
  Routes: Go.listOmitEmpty(Route),
  ...Common.meta,
  ...Common.stored
})
export interface ServiceRouter extends Schema.Schema.Type<typeof ServiceRouter> {}
