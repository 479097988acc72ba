/** The catalog: every node, service and check of a datacenter. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"
import * as Health from "./Health.ts"
import * as InstanceFields from "./InstanceFields.ts"
import * as Proxy from "./Proxy.ts"

/** An instance, flat: its node's fields and its own. */
export const CatalogService = Schema.Struct({
  ID: Go.text,
  Node: Go.text,
  Address: Go.text,
  Datacenter: Go.text,
  TaggedAddresses: Go.map(Schema.String),
  NodeMeta: Go.map(Schema.String),
  ServiceKind: Go.text,
  ServiceID: Go.text,
  ServiceName: Go.text,
  ServiceTags: Go.list(Schema.String),
  ServiceAddress: Go.text,
  ServiceTaggedAddresses: Go.mapOmitEmpty(Health.Address),
  ServiceWeights: Go.struct(Health.Weights, { Passing: 1, Warning: 1 }),
  ServiceMeta: Go.map(Schema.String),
  ServicePort: Go.number,
  ServiceSocketPath: Go.text,
  ServiceEnableTagOverride: Go.flag,
  ServiceProxy: Go.struct(Proxy.CatalogProxy, Proxy.CatalogProxy.make({})),
  ServiceConnect: Go.struct(Health.Connect, { Native: false }),
  ServiceLocality: Go.pointer(Health.Locality),
  PeerName: Go.textOmitEmpty,
  ...Go.indexes
})
export interface CatalogService extends Schema.Schema.Type<typeof CatalogService> {}

/** A node and what runs on it, by id. */
export const NodeServices = Schema.Struct({ Node: Health.Node, Services: Go.map(Health.NodeService) })
export interface NodeServices extends Schema.Schema.Type<typeof NodeServices> {}

/** The same as a list. `Node` is absent for an unknown node. */
export const NodeServiceList = Schema.Struct({
  Node: Go.pointer(Health.Node),
  Services: Go.list(Health.NodeService)
})
export interface NodeServiceList extends Schema.Schema.Type<typeof NodeServiceList> {}

/** A name with the tenancy that Consul has for it. */
export const CompoundName = Schema.Struct({ Name: Go.text, Namespace: Go.textOmitEmpty, Partition: Go.textOmitEmpty })

/** That a gateway is the way to a service, as a config entry says. */
export const GatewayService = Schema.Struct({
  Gateway: Go.struct(CompoundName, CompoundName.make({ Name: "" })),
  Service: Go.struct(CompoundName, CompoundName.make({ Name: "" })),
  GatewayKind: Go.text,
  Port: Go.numberOmitEmpty,
  Protocol: Go.textOmitEmpty,
  Hosts: Go.listOmitEmpty(Schema.String),
  CAFile: Go.textOmitEmpty,
  CertFile: Go.textOmitEmpty,
  KeyFile: Go.textOmitEmpty,
  SNI: Go.textOmitEmpty,
  FromWildcard: Go.flagOmitEmpty,
  /** `destination`: of no service, but of a `service-defaults` with a `Destination`. */
  ServiceKind: Go.textOmitEmpty,
  DisableAutoHostRewrite: Go.flagOmitEmpty,
  ...Go.indexes
})
export interface GatewayService extends Schema.Schema.Type<typeof GatewayService> {}

const text = Schema.optionalKey(Schema.String)
const flag = Schema.optionalKey(Schema.Boolean)

const Service = Schema.Struct({
  Kind: text,
  ID: text,
  Service: Schema.String,
  ...InstanceFields.registered,
  Proxy: Schema.optionalKey(Proxy.Registration),
  Connect: Schema.optionalKey(Schema.Struct({ Native: flag })),
  Locality: Schema.optionalKey(Schema.Struct({ Region: text, Zone: text }))
})

const Check = Schema.Struct({
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text
})

/** Puts a node, and what it is given, into the catalog directly: for things that have no agent. */
export const Registration = Schema.Struct({
  Datacenter: text,
  ID: text,
  Node: Schema.String,
  Address: text,
  TaggedAddresses: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  NodeMeta: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  SkipNodeUpdate: flag,
  Service: Schema.optionalKey(Service),
  Check: Schema.optionalKey(Check),
  Checks: Schema.optionalKey(Schema.Array(Check))
})
export interface Registration extends Schema.Schema.Type<typeof Registration> {}

/** Of the node itself when it names neither a service nor a check. */
export const Deregistration = Schema.Struct({
  Datacenter: text,
  Node: Schema.String,
  ServiceID: text,
  CheckID: text
})
export interface Deregistration extends Schema.Schema.Type<typeof Deregistration> {}
