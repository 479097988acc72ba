/** Services and checks as their own agent knows them: what applications register, and what the agent answers. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"
import * as Health from "./Health.ts"
import * as InstanceFields from "./InstanceFields.ts"
import * as Proxy from "./Proxy.ts"

export const AgentService = Schema.Struct({
  /** Empty for an application, else `connect-proxy` or a kind of gateway. */
  Kind: Go.textOmitEmpty,
  ID: Go.text,
  Service: Go.text,
  Tags: Go.list(Schema.String),
  Meta: Go.map(Schema.String),
  Port: Go.number,
  Address: Go.text,
  SocketPath: Go.textOmitEmpty,
  TaggedAddresses: Go.mapOmitEmpty(Health.Address),
  Weights: Go.struct(Health.Weights, { Passing: 1, Warning: 1 }),
  EnableTagOverride: Go.flag,
  /** Only in the answer to a single service: what to send as `hash` to wait for another one. */
  ContentHash: Go.textOmitEmpty,
  Proxy: Go.pointer(Proxy.Proxy),
  Connect: Go.pointer(Schema.Struct({ Native: Go.flagOmitEmpty })),
  PeerName: Go.textOmitEmpty,
  Locality: Go.pointer(Health.Locality),
  Datacenter: Go.textOmitEmpty,
  ...Go.indexesOmitEmpty
})
export interface AgentService extends Schema.Schema.Type<typeof AgentService> {}

/** What the agent says about the health of one instance. */
export const AgentHealth = Schema.Struct({
  AggregatedStatus: Go.text,
  Service: Go.pointer(AgentService),
  Checks: Go.list(Health.Check)
})
export interface AgentHealth extends Schema.Schema.Type<typeof AgentHealth> {}

const text = Schema.optionalKey(Schema.String)
const flag = Schema.optionalKey(Schema.Boolean)
const number = Schema.optionalKey(Schema.Finite)

/** Exactly one of the kinds. Durations are Go durations; `Interval` is required except for TTL and alias checks. */
const checkFields = {
  ID: text,
  CheckID: text,
  Name: text,
  Notes: text,
  /** At first: `critical` if empty. */
  Status: text,
  TTL: text,
  HTTP: text,
  Method: text,
  Header: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.String))),
  Body: text,
  DisableRedirects: flag,
  TLSServerName: text,
  TLSSkipVerify: flag,
  TCP: text,
  TCPUseTLS: flag,
  UDP: text,
  GRPC: text,
  GRPCUseTLS: flag,
  H2PING: text,
  H2PingUseTLS: Schema.optionalKey(Schema.Boolean),
  AliasNode: text,
  AliasService: text,
  /** The same, which wins over `ScriptArgs`. */
  Args: Schema.optionalKey(Schema.Array(Schema.String)),
  ScriptArgs: Schema.optionalKey(Schema.Array(Schema.String)),
  DockerContainerID: text,
  Shell: text,
  OSService: text,
  Interval: text,
  Timeout: text,
  OutputMaxSize: number,
  SuccessBeforePassing: number,
  FailuresBeforeWarning: number,
  FailuresBeforeCritical: number,
  DeregisterCriticalServiceAfter: text,
  /** Of an agent's own making. */
  ProxyHTTP: text,
  ProxyGRPC: text,
  ServiceID: text
}

/** A check inside the registration of its service. */
export const ServiceCheck = Schema.Struct(checkFields)
export interface ServiceCheck extends Schema.Schema.Type<typeof ServiceCheck> {}

/** A check registered by itself; of the node when `ServiceID` is empty. */
export const CheckRegistration = Schema.Struct(checkFields)
export interface CheckRegistration extends Schema.Schema.Type<typeof CheckRegistration> {}

const definitionFields = {
  Kind: text,
  ID: text,
  ...InstanceFields.registered,
  Token: text,
  Locality: Schema.optionalKey(Schema.Struct({ Region: text, Zone: text })),
  Check: Schema.optionalKey(ServiceCheck),
  Checks: Schema.optionalKey(Schema.Array(ServiceCheck)),
  Proxy: Schema.optionalKey(Proxy.Registration)
}

/** The sidecar of a service. Everything left out is derived from the service. */
export const SidecarService = Schema.Struct({ Name: text, ...definitionFields })
export interface SidecarService extends Schema.Schema.Type<typeof SidecarService> {}

export const ServiceRegistration = Schema.Struct({
  Name: Schema.String,
  ...definitionFields,
  Connect: Schema.optionalKey(Schema.Struct({ Native: flag, SidecarService: Schema.optionalKey(SidecarService) }))
})
export interface ServiceRegistration extends Schema.Schema.Type<typeof ServiceRegistration> {}

/** What a TTL check is told. */
export const CheckUpdate = Schema.Struct({ Status: Schema.String, Output: text })
export interface CheckUpdate extends Schema.Schema.Type<typeof CheckUpdate> {}
