/** `service-defaults`: the protocol of a service and the settings of its sidecars. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Proxy from "../Proxy.ts"
import * as Common from "./Common.ts"

const upstream = {
  EnvoyListenerJSON: Go.textOmitEmpty,
  EnvoyClusterJSON: Go.textOmitEmpty,
  Protocol: Go.textOmitEmpty,
  ConnectTimeoutMs: Go.numberOmitEmpty,
  Limits: Go.pointer(Schema.Struct({
    MaxConnections: Schema.optionalKey(Schema.Finite),
    MaxPendingRequests: Schema.optionalKey(Schema.Finite),
    MaxConcurrentRequests: Schema.optionalKey(Schema.Finite)
  })),
  PassiveHealthCheck: Go.pointer(Schema.Struct({
    Interval: Common.durationNanos,
    MaxFailures: Go.numberOmitEmpty,
    EnforcingConsecutive5xx: Schema.optionalKey(Schema.Finite),
    MaxEjectionPercent: Schema.optionalKey(Schema.Finite),
    BaseEjectionTime: Common.durationNanos
  })),
  MeshGateway: Go.struct(Proxy.MeshGateway, Common.noMeshGateway),
  BalanceOutboundConnections: Go.textOmitEmpty
}

/** What this service uses when it calls another one. */
export const UpstreamConfig = Schema.Struct({ Name: Go.textOmitEmpty, Peer: Go.text, ...upstream })
export interface UpstreamConfig extends Schema.Schema.Type<typeof UpstreamConfig> {}

export const ServiceDefaults = Schema.Struct({
  Kind: Schema.Literal("service-defaults"),
  Name: Go.text,
  /** Lower case; empty is `tcp`, whatever proxy-defaults says. */
  Protocol: Go.text,
  Mode: Go.textOmitEmpty,
  TransparentProxy: Go.struct(Proxy.TransparentProxy, Common.noTransparentProxy),
  MutualTLSMode: Go.textOmitEmpty,
  MeshGateway: Go.struct(Proxy.MeshGateway, Common.noMeshGateway),
  Expose: Go.struct(Proxy.Expose, Common.noExpose),
  ExternalSNI: Go.textOmitEmpty,
  UpstreamConfig: Go.pointer(Schema.Struct({
    Overrides: Go.listOmitEmpty(UpstreamConfig),
    Defaults: Go.pointer(UpstreamConfig)
  })),
  Destination: Go.pointer(Schema.Struct({ Addresses: Go.listOmitEmpty(Schema.String), Port: Go.numberOmitEmpty })),
  MaxInboundConnections: Go.numberOmitEmpty,
  LocalConnectTimeoutMs: Go.numberOmitEmpty,
  LocalRequestTimeoutMs: Go.numberOmitEmpty,
  BalanceInboundConnections: Go.textOmitEmpty,
  RateLimits: Schema.optionalKey(Schema.JsonObject),
  EnvoyExtensions: Common.EnvoyExtensions,
  ...Common.meta,
  ...Common.stored
})
export interface ServiceDefaults extends Schema.Schema.Type<typeof ServiceDefaults> {}
