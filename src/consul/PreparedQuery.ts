/** Prepared queries: questions about the catalog that the servers keep, and answer by name. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"
import * as Health from "./Health.ts"

const FailoverTarget = Schema.Struct({ Peer: Go.text, Datacenter: Go.text })

/** Where to look when no instance here is healthy: the nearest datacenters, then the listed ones. */
export const Failover = Schema.Struct({
  SkipLocalDatacenter: Go.flag,
  NearestN: Go.number,
  Datacenters: Go.list(Schema.String),
  Targets: Go.list(FailoverTarget)
})
const noFailover = Failover.make({})

export const ServiceQuery = Schema.Struct({
  Service: Go.text,
  SamenessGroup: Go.text,
  Failover: Go.struct(Failover, noFailover),
  IncludeAll: Go.flag,
  /** Instances with a warning do not count. Critical ones never do. */
  OnlyPassing: Go.flag,
  /** Checks that do not make an instance unhealthy. */
  IgnoreCheckIDs: Go.list(Schema.String),
  Near: Go.text,
  /** All of them; with `!` before it: not that one. */
  Tags: Go.list(Schema.String),
  NodeMeta: Go.map(Schema.String),
  ServiceMeta: Go.map(Schema.String),
  /** Answer the instances through which the mesh reaches the service, without being asked to. */
  Connect: Go.flag,
  Peer: Go.text
})
export interface ServiceQuery extends Schema.Schema.Type<typeof ServiceQuery> {}

/** Of type `name_prefix_match` it answers for every name that starts with its own. */
export const Template = Schema.Struct({ Type: Go.text, Regexp: Go.text, RemoveEmptyTags: Go.flag })

const Dns = Schema.Struct({ TTL: Go.text })
const noTtl = Dns.make({})

export const PreparedQuery = Schema.Struct({
  ID: Go.text,
  Name: Go.text,
  Session: Go.text,
  Token: Go.text,
  Template: Go.struct(Template, Template.make({})),
  Service: Go.struct(ServiceQuery, ServiceQuery.make({})),
  DNS: Go.struct(Dns, noTtl),
  ...Go.indexes
})
export interface PreparedQuery extends Schema.Schema.Type<typeof PreparedQuery> {}

const text = Schema.optionalKey(Schema.String)
const flag = Schema.optionalKey(Schema.Boolean)
const texts = Schema.optionalKey(Schema.Array(Schema.String))
const map = Schema.optionalKey(Schema.Record(Schema.String, Schema.String))

/** As it is written: what is left out is zero. */
export const Definition = Schema.Struct({
  Name: text,
  Session: text,
  Token: text,
  Template: Schema.optionalKey(Schema.Struct({ Type: text, Regexp: text, RemoveEmptyTags: flag })),
  Service: Schema.Struct({
    Service: Schema.String,
    Failover: Schema.optionalKey(Schema.Struct({
      NearestN: Schema.optionalKey(Schema.Finite),
      Datacenters: texts,
      Targets: Schema.optionalKey(Schema.Array(Schema.Struct({ Peer: text, Datacenter: text })))
    })),
    OnlyPassing: flag,
    IgnoreCheckIDs: texts,
    Near: text,
    Tags: texts,
    NodeMeta: map,
    ServiceMeta: map,
    Connect: flag
  }),
  DNS: Schema.optionalKey(Schema.Struct({ TTL: text }))
})
export interface Definition extends Schema.Schema.Type<typeof Definition> {}

/** What executing one answers. */
export const Execution = Schema.Struct({
  /** The service that was looked for, after the template. */
  Service: Go.text,
  /** In random order, or nearest first. None is critical. */
  Nodes: Go.list(Health.ServiceEntry),
  DNS: Go.struct(Dns, noTtl),
  /** Where the instances are. */
  Datacenter: Go.text,
  PeerName: Go.text,
  /** How many other datacenters were asked. */
  Failovers: Go.number,
  Index: Go.number,
  LastContact: Go.number,
  KnownLeader: Go.flag,
  ConsistencyLevel: Go.text,
  NotModified: Go.flag,
  Backend: Go.number,
  ResultsFilteredByACLs: Go.flag
})
export interface Execution extends Schema.Schema.Type<typeof Execution> {}
