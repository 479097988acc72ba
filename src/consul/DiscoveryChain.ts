/** A compiled discovery chain: how to get from the name of a service to instances of it. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"
import * as GoDuration from "./GoDuration.ts"

/** Follow `Target`; when it has no healthy instance, `Failover.Targets` in order. */
export const Resolver = Schema.Struct({
  Default: Go.flagOmitEmpty,
  ConnectTimeout: Schema.optionalKey(GoDuration.FromText),
  /** On the wire an integer of nanoseconds. */
  RequestTimeout: Schema.optionalKey(GoDuration.FromNanos),
  Target: Go.text,
  Failover: Go.pointer(Schema.Struct({ Targets: Go.listOmitEmpty(Schema.String) }))
})
export interface Resolver extends Schema.Schema.Type<typeof Resolver> {}

/** A leg of a splitter. A weight of zero is legal: no traffic. */
export const Split = Schema.Struct({
  Definition: Schema.optionalKey(Schema.JsonObject),
  Weight: Go.numberOmitEmpty,
  NextNode: Go.textOmitEmpty
})
export interface Split extends Schema.Schema.Type<typeof Split> {}

/** `Definition` is a route of the service-router entry; the first one that matches is taken. */
export const Route = Schema.Struct({
  Definition: Schema.optionalKey(Schema.JsonObject),
  NextNode: Go.textOmitEmpty
})
export interface Route extends Schema.Schema.Type<typeof Route> {}

export const Node = Schema.Struct({
  /** `router`, `splitter` or `resolver`: exactly one of the three below. */
  Type: Schema.String,
  Name: Go.text,
  Routes: Go.listOmitEmpty(Route),
  Splits: Go.listOmitEmpty(Split),
  Resolver: Go.pointer(Resolver),
  /** As in the service-resolver entry. */
  LoadBalancer: Schema.optionalKey(Schema.JsonObject)
})
export interface Node extends Schema.Schema.Type<typeof Node> {}

export const Target = Schema.Struct({
  /** Opaque: never parse it. */
  ID: Go.text,
  Service: Go.text,
  ServiceSubset: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Partition: Go.textOmitEmpty,
  Datacenter: Go.textOmitEmpty,
  Peer: Go.textOmitEmpty,
  Locality: Schema.optionalKey(Schema.JsonObject),
  MeshGateway: Go.struct(Schema.Struct({ Mode: Go.textOmitEmpty }), { Mode: "" }),
  Subset: Go.struct(Schema.Struct({ Filter: Go.textOmitEmpty, OnlyPassing: Go.flagOmitEmpty }), {
    Filter: "",
    OnlyPassing: false
  }),
  TransparentProxy: Go.map(Schema.Json),
  ConnectTimeout: Schema.optionalKey(GoDuration.FromText),
  External: Go.flagOmitEmpty,
  SNI: Go.textOmitEmpty,
  Name: Go.textOmitEmpty,
  PrioritizeByLocality: Schema.optionalKey(Schema.JsonObject)
})
export interface Target extends Schema.Schema.Type<typeof Target> {}

export const Chain = Schema.Struct({
  ServiceName: Go.text,
  Namespace: Go.text,
  Partition: Go.textOmitEmpty,
  Datacenter: Go.text,
  /** Opaque; present when an override took effect. */
  CustomizationHash: Go.textOmitEmpty,
  Default: Go.flagOmitEmpty,
  Protocol: Go.textOmitEmpty,
  ServiceMeta: Go.mapOmitEmpty(Schema.String),
  EnvoyExtensions: Go.listOmitEmpty(Schema.Json),
  StartNode: Go.textOmitEmpty,
  Nodes: Go.mapOmitEmpty(Node),
  Targets: Go.mapOmitEmpty(Target),
  AutoVirtualIPs: Go.list(Schema.String),
  ManualVirtualIPs: Go.list(Schema.String)
})
export interface Chain extends Schema.Schema.Type<typeof Chain> {}

/** Settings of the caller that replace those of the chain; what is left out overrides nothing. */
export const Overrides = Schema.Struct({
  OverrideConnectTimeout: Schema.optionalKey(GoDuration.FromText),
  OverrideProtocol: Schema.optionalKey(Schema.String),
  OverrideMeshGateway: Schema.optionalKey(Schema.Struct({ Mode: Schema.optionalKey(Schema.String) }))
})
export interface Overrides extends Schema.Schema.Type<typeof Overrides> {}
