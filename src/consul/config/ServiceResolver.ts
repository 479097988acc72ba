/** `service-resolver`: which instances a service is, where else it may be found, and how they are balanced. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

export const Subset = Schema.Struct({ Filter: Go.textOmitEmpty, OnlyPassing: Go.flagOmitEmpty })
export interface Subset extends Schema.Schema.Type<typeof Subset> {}

export const Redirect = Schema.Struct({
  Service: Go.textOmitEmpty,
  ServiceSubset: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Partition: Go.textOmitEmpty,
  Datacenter: Go.textOmitEmpty,
  Peer: Go.textOmitEmpty,
  SamenessGroup: Go.textOmitEmpty
})
export interface Redirect extends Schema.Schema.Type<typeof Redirect> {}

export const FailoverTarget = Schema.Struct({
  Service: Go.textOmitEmpty,
  ServiceSubset: Go.textOmitEmpty,
  Partition: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Datacenter: Go.textOmitEmpty,
  Peer: Go.textOmitEmpty
})
export interface FailoverTarget extends Schema.Schema.Type<typeof FailoverTarget> {}

export const Failover = Schema.Struct({
  Service: Go.textOmitEmpty,
  ServiceSubset: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Datacenters: Go.listOmitEmpty(Schema.String),
  Targets: Go.listOmitEmpty(FailoverTarget),
  Policy: Schema.optionalKey(Schema.JsonObject),
  SamenessGroup: Go.textOmitEmpty
})
export interface Failover extends Schema.Schema.Type<typeof Failover> {}

export const HashPolicy = Schema.Struct({
  /** `header`, `cookie` or `query_parameter`. */
  Field: Go.textOmitEmpty,
  FieldValue: Go.textOmitEmpty,
  CookieConfig: Go.pointer(Schema.Struct({
    Session: Go.flagOmitEmpty,
    TTL: Common.durationNanos,
    Path: Go.textOmitEmpty
  })),
  SourceIP: Go.flagOmitEmpty,
  Terminal: Go.flagOmitEmpty
})

export interface HashPolicy extends Schema.Schema.Type<typeof HashPolicy> {}

export const LoadBalancer = Schema.Struct({
  /** Empty, `random`, `round_robin`, `least_request`, `ring_hash` or `maglev`. */
  Policy: Go.textOmitEmpty,
  RingHashConfig: Go.pointer(Schema.Struct({
    MinimumRingSize: Go.numberOmitEmpty,
    MaximumRingSize: Go.numberOmitEmpty
  })),
  LeastRequestConfig: Go.pointer(Schema.Struct({ ChoiceCount: Go.numberOmitEmpty })),
  HashPolicies: Go.listOmitEmpty(HashPolicy)
})
export interface LoadBalancer extends Schema.Schema.Type<typeof LoadBalancer> {}

export const ServiceResolver = Schema.Struct({
  Kind: Schema.Literal("service-resolver"),
  Name: Go.text,
  DefaultSubset: Go.textOmitEmpty,
  Subsets: Go.mapOmitEmpty(Subset),
  Redirect: Go.pointer(Redirect),
  /** By subset, or `*` for all others. */
  Failover: Go.mapOmitEmpty(Failover),
  ConnectTimeout: Common.duration,
  RequestTimeout: Common.duration,
  PrioritizeByLocality: Schema.optionalKey(Schema.JsonObject),
  LoadBalancer: Go.pointer(LoadBalancer),
  ...Common.meta,
  ...Common.stored
})
export interface ServiceResolver extends Schema.Schema.Type<typeof ServiceResolver> {}
