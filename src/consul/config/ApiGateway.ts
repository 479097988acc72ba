/** `api-gateway` and what belongs to it: where the outside comes in, by which certificates, and where it goes. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

const envelope = { ...Common.meta, Status: Go.pointer(Schema.JsonObject), ...Common.stored }

export const Reference = Schema.Struct({
  Kind: Go.textOmitEmpty,
  Name: Go.textOmitEmpty,
  /** Of a gateway: one of its listeners. Empty: all of them. */
  SectionName: Go.textOmitEmpty
})
export interface Reference extends Schema.Schema.Type<typeof Reference> {}

export const Listener = Schema.Struct({
  Name: Go.textOmitEmpty,
  /** Requests for others do not belong here. Empty: all of them do. */
  Hostname: Go.textOmitEmpty,
  Port: Go.numberOmitEmpty,
  /** `http` or `tcp`. */
  Protocol: Go.textOmitEmpty,
  TLS: Go.struct(
    Schema.Struct({
      Certificates: Go.listOmitEmpty(Reference),
      MaxVersion: Go.textOmitEmpty,
      MinVersion: Go.textOmitEmpty,
      CipherSuites: Go.listOmitEmpty(Schema.String)
    }),
    { Certificates: [], MaxVersion: "", MinVersion: "", CipherSuites: [] }
  ),
  Override: Go.pointer(Schema.JsonObject),
  Default: Go.pointer(Schema.JsonObject)
})
export interface Listener extends Schema.Schema.Type<typeof Listener> {}

export const ApiGateway = Schema.Struct({
  Kind: Schema.Literal("api-gateway"),
  Name: Go.text,
  Listeners: Go.listOmitEmpty(Listener),
  ...envelope
})
export interface ApiGateway extends Schema.Schema.Type<typeof ApiGateway> {}

const Match = { Match: Go.textOmitEmpty, Name: Go.textOmitEmpty, Value: Go.textOmitEmpty }

export const HttpMatch = Schema.Struct({
  Headers: Go.listOmitEmpty(Schema.Struct(Match)),
  Method: Go.textOmitEmpty,
  Path: Go.struct(Schema.Struct({ Match: Go.textOmitEmpty, Value: Go.textOmitEmpty }), { Match: "", Value: "" }),
  Query: Go.listOmitEmpty(Schema.Struct(Match))
})
export interface HttpMatch extends Schema.Schema.Type<typeof HttpMatch> {}

const HeaderFilters = Go.listOmitEmpty(Common.HeaderModifiers)

export const Filters = Schema.Struct({
  Headers: HeaderFilters,
  URLRewrite: Go.pointer(Schema.Struct({ Path: Go.textOmitEmpty })),
  RetryFilter: Go.pointer(Schema.Struct({
    NumRetries: Go.numberOmitEmpty,
    RetryOn: Go.listOmitEmpty(Schema.String),
    RetryOnStatusCodes: Go.listOmitEmpty(Schema.Finite),
    RetryOnConnectFailure: Go.flagOmitEmpty
  })),
  TimeoutFilter: Go.pointer(Schema.Struct({ RequestTimeout: Common.durationNanos, IdleTimeout: Common.durationNanos })),
  JWT: Go.pointer(Schema.JsonObject)
})
export interface Filters extends Schema.Schema.Type<typeof Filters> {}

const noFilters = Filters.make({})

export const ResponseFilters = Schema.Struct({ Headers: HeaderFilters })
export interface ResponseFilters extends Schema.Schema.Type<typeof ResponseFilters> {}
const noResponseFilters = ResponseFilters.make({})

export const HttpService = Schema.Struct({
  Name: Go.textOmitEmpty,
  Weight: Go.numberOmitEmpty,
  Filters: Go.struct(Filters, noFilters),
  ResponseFilters: Go.struct(ResponseFilters, noResponseFilters)
})
export interface HttpService extends Schema.Schema.Type<typeof HttpService> {}

export const HttpRule = Schema.Struct({
  Filters: Go.struct(Filters, noFilters),
  ResponseFilters: Go.struct(ResponseFilters, noResponseFilters),
  Matches: Go.listOmitEmpty(HttpMatch),
  Services: Go.listOmitEmpty(HttpService)
})
export interface HttpRule extends Schema.Schema.Type<typeof HttpRule> {}

export const HttpRoute = Schema.Struct({
  Kind: Schema.Literal("http-route"),
  Name: Go.text,
  Parents: Go.listOmitEmpty(Reference),
  Rules: Go.listOmitEmpty(HttpRule),
  /** Empty: of every host. */
  Hostnames: Go.listOmitEmpty(Schema.String),
  ...envelope
})
export interface HttpRoute extends Schema.Schema.Type<typeof HttpRoute> {}

export const TcpRoute = Schema.Struct({
  Kind: Schema.Literal("tcp-route"),
  Name: Go.text,
  Parents: Go.listOmitEmpty(Reference),
  Services: Go.listOmitEmpty(Schema.Struct({ Name: Go.textOmitEmpty })),
  ...envelope
})
export interface TcpRoute extends Schema.Schema.Type<typeof TcpRoute> {}

/** PEM. */
export const InlineCertificate = Schema.Struct({
  Kind: Schema.Literal("inline-certificate"),
  Name: Go.text,
  Certificate: Go.textOmitEmpty,
  PrivateKey: Go.textOmitEmpty,
  ...envelope
})
export interface InlineCertificate extends Schema.Schema.Type<typeof InlineCertificate> {}
