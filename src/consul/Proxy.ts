/** The `Proxy` block of a sidecar's registration. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"

export const MeshGateway = Schema.Struct({ Mode: Go.textOmitEmpty })

export const ExposePath = Schema.Struct({
  ListenerPort: Go.numberOmitEmpty,
  Path: Go.textOmitEmpty,
  LocalPathPort: Go.numberOmitEmpty,
  Protocol: Go.textOmitEmpty,
  ParsedFromCheck: Go.flagOmitEmpty
})

export const Expose = Schema.Struct({ Checks: Go.flagOmitEmpty, Paths: Go.listOmitEmpty(ExposePath) })

/** The agent spells one more zero out. */
const AgentExpose = Schema.Struct({
  ...Expose.fields,
  Paths: Go.listOmitEmpty(Schema.Struct({ ...ExposePath.fields, ParsedFromCheck: Go.flag }))
})

export const TransparentProxy = Schema.Struct({
  OutboundListenerPort: Go.numberOmitEmpty,
  DialedDirectly: Go.flagOmitEmpty
})

export const AccessLogs = Schema.Struct({
  Enabled: Go.flagOmitEmpty,
  DisableListenerLogs: Go.flagOmitEmpty,
  /** Empty (standard output), `file`, `stderr` or `stdout`. */
  Type: Go.textOmitEmpty,
  Path: Go.textOmitEmpty,
  JSONFormat: Go.textOmitEmpty,
  TextFormat: Go.textOmitEmpty
})

const upstreamFields = {
  /** `service` or `prepared_query`. */
  DestinationType: Go.textOmitEmpty,
  DestinationNamespace: Go.textOmitEmpty,
  DestinationPartition: Go.textOmitEmpty,
  DestinationPeer: Go.textOmitEmpty,
  DestinationName: Go.text,
  /** Empty: `127.0.0.1`. */
  LocalBindAddress: Go.textOmitEmpty,
  LocalBindPort: Go.numberOmitEmpty,
  LocalBindSocketPath: Go.textOmitEmpty,
  /** Octal text, such as `"0700"`. */
  LocalBindSocketMode: Go.textOmitEmpty,
  /** Free: `protocol`, `connect_timeout_ms`, `limits`, `passive_health_check`, … */
  Config: Go.opaque,
  MeshGateway: Go.struct(MeshGateway, { Mode: "" }),
  /** Made from defaults: it has no listener of its own. */
  CentrallyConfigured: Go.flagOmitEmpty
}

export const Upstream = Schema.Struct({ ...upstreamFields, Datacenter: Go.textOmitEmpty })
export interface Upstream extends Schema.Schema.Type<typeof Upstream> {}

const proxyFields = {
  DestinationServiceName: Go.textOmitEmpty,
  DestinationServiceID: Go.textOmitEmpty,
  LocalServiceAddress: Go.textOmitEmpty,
  LocalServicePort: Go.numberOmitEmpty,
  LocalServiceSocketPath: Go.textOmitEmpty,
  TransparentProxy: Go.pointer(TransparentProxy),
  /** Free: `protocol`, `bind_address`, `bind_port`, `local_connect_timeout_ms`, … Numbers may be texts. */
  Config: Go.opaque,
  MeshGateway: Go.struct(MeshGateway, { Mode: "" }),
  Expose: Go.struct(Expose, { Checks: false, Paths: [] }),
  AccessLogs: Go.pointer(AccessLogs),
  MutualTLSMode: Go.textOmitEmpty
}

/** As the agent answers it: merged with proxy-defaults and service-defaults. */
export const Proxy = Schema.Struct({
  ...proxyFields,
  Expose: Go.struct(AgentExpose, { Checks: false, Paths: [] }),
  Mode: Go.textOmitEmpty,
  Upstreams: Go.listOmitEmpty(Upstream)
})
export interface Proxy extends Schema.Schema.Type<typeof Proxy> {}

/** As the catalog answers it: as it was registered, with two zeros spelled out. */
export const CatalogProxy = Schema.Struct({
  ...proxyFields,
  Mode: Go.text,
  Upstreams: Go.listOmitEmpty(Schema.Struct({ ...upstreamFields, Datacenter: Go.text }))
})
export interface CatalogProxy extends Schema.Schema.Type<typeof CatalogProxy> {}

const text = Schema.optionalKey(Schema.String)
const flag = Schema.optionalKey(Schema.Boolean)
const number = Schema.optionalKey(Schema.Finite)
const config = Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))

const MeshGatewayRegistration = Schema.Struct({ Mode: text })

export const UpstreamRegistration = Schema.Struct({
  DestinationType: text,
  DestinationNamespace: text,
  DestinationPartition: text,
  DestinationPeer: text,
  DestinationName: text,
  Datacenter: text,
  LocalBindAddress: text,
  LocalBindPort: number,
  LocalBindSocketPath: text,
  LocalBindSocketMode: text,
  Config: config,
  MeshGateway: Schema.optionalKey(MeshGatewayRegistration),
  CentrallyConfigured: flag
})
export interface UpstreamRegistration extends Schema.Schema.Type<typeof UpstreamRegistration> {}

/** As it is registered: what is left out is derived, or comes from the defaults. */
export const Registration = Schema.Struct({
  DestinationServiceName: text,
  DestinationServiceID: text,
  LocalServiceAddress: text,
  LocalServicePort: number,
  LocalServiceSocketPath: text,
  Mode: text,
  TransparentProxy: Schema.optionalKey(Schema.Struct({ OutboundListenerPort: number, DialedDirectly: flag })),
  Config: config,
  Upstreams: Schema.optionalKey(Schema.Array(UpstreamRegistration)),
  MeshGateway: Schema.optionalKey(MeshGatewayRegistration),
  Expose: Schema.optionalKey(Schema.Struct({
    Checks: flag,
    Paths: Schema.optionalKey(Schema.Array(Schema.Struct({
      ListenerPort: number,
      Path: text,
      LocalPathPort: number,
      Protocol: text,
      ParsedFromCheck: flag
    })))
  })),
  AccessLogs: Schema.optionalKey(Schema.Struct({
    Enabled: flag,
    DisableListenerLogs: flag,
    Type: text,
    Path: text,
    JSONFormat: text,
    TextFormat: text
  })),
  EnvoyExtensions: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  MutualTLSMode: text
})
export interface Registration extends Schema.Schema.Type<typeof Registration> {}
