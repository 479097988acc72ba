/** Checks, nodes and service instances as the health endpoints answer them. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"
import * as Proxy from "./Proxy.ts"

export const Status = Schema.Literals(["passing", "warning", "critical", "maintenance"])
export type Status = typeof Status.Type

export const Weights = Schema.Struct({ Passing: Go.number, Warning: Go.number })
export type Weights = typeof Weights.Type

export const Address = Schema.Struct({ Address: Go.text, Port: Go.number })
export type Address = typeof Address.Type

export const Locality = Schema.Struct({ Region: Go.text, Zone: Go.text })
export type Locality = typeof Locality.Type

export const Check = Schema.Struct({
  Node: Go.text,
  CheckID: Go.text,
  Name: Go.text,
  /** `passing`, `warning` or `critical`. */
  Status: Go.text,
  Notes: Go.text,
  Output: Go.text,
  /** Empty for a check of the node. */
  ServiceID: Go.text,
  ServiceName: Go.text,
  ServiceTags: Go.list(Schema.String),
  Type: Go.text,
  Interval: Go.text,
  Timeout: Go.text,
  ExposedPort: Go.number,
  PeerName: Go.textOmitEmpty,
  Definition: Go.map(Schema.Json),
  ...Go.indexes
})
export interface Check extends Schema.Schema.Type<typeof Check> {}

export const Node = Schema.Struct({
  ID: Go.text,
  Node: Go.text,
  Address: Go.text,
  Datacenter: Go.text,
  TaggedAddresses: Go.map(Schema.String),
  Meta: Go.map(Schema.String),
  PeerName: Go.textOmitEmpty,
  Locality: Go.pointer(Locality),
  ...Go.indexes
})
export interface Node extends Schema.Schema.Type<typeof Node> {}

/** How an instance takes part in the mesh; `PeerMeta` is there for instances imported from a peer. */
export const Connect = Schema.Struct({
  Native: Go.flagOmitEmpty,
  PeerMeta: Go.pointer(Schema.Struct({
    SNI: Go.list(Schema.String),
    SpiffeID: Go.list(Schema.String),
    Protocol: Go.textOmitEmpty
  }))
})
export type Connect = typeof Connect.Type

/** An instance as the catalog knows it. The agent's own view of it is `AgentService`. */
export const NodeService = Schema.Struct({
  Kind: Go.textOmitEmpty,
  ID: Go.text,
  Service: Go.text,
  Tags: Go.list(Schema.String),
  /** Empty: the address of the node. */
  Address: Go.text,
  TaggedAddresses: Go.mapOmitEmpty(Address),
  Meta: Go.map(Schema.String),
  Port: Go.numberOmitEmpty,
  SocketPath: Go.textOmitEmpty,
  Weights: Go.struct(Weights, { Passing: 1, Warning: 1 }),
  EnableTagOverride: Go.flag,
  Proxy: Go.struct(Proxy.CatalogProxy, Proxy.CatalogProxy.make({})),
  Connect: Go.struct(Connect, { Native: false }),
  PeerName: Go.text,
  Locality: Go.pointer(Locality),
  ...Go.indexes
})
export interface NodeService extends Schema.Schema.Type<typeof NodeService> {}

/** One instance of a service: where it runs, what it is, how it fares. */
export const ServiceEntry = Schema.Struct({ Node, Service: NodeService, Checks: Go.list(Check) })
export interface ServiceEntry extends Schema.Schema.Type<typeof ServiceEntry> {}
