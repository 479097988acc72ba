/** `proxy-defaults`: settings of every sidecar. There is one, named `global`. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

const AccessLogs = Schema.Struct({
  Enabled: Go.flagOmitEmpty,
  DisableListenerLogs: Go.flagOmitEmpty,
  /** Empty (standard output), `file`, `stderr` or `stdout`. */
  Type: Go.textOmitEmpty,
  Path: Go.textOmitEmpty,
  JSONFormat: Go.textOmitEmpty,
  TextFormat: Go.textOmitEmpty
})

export const ProxyDefaults = Schema.Struct({
  Kind: Schema.Literal("proxy-defaults"),
  Name: Go.text,
  /** Free; `protocol` is the default of every service without a service-defaults entry. */
  Config: Go.opaque,
  Mode: Go.textOmitEmpty,
  TransparentProxy: Go.struct(Common.TransparentProxy, Common.noTransparentProxy),
  MutualTLSMode: Go.textOmitEmpty,
  MeshGateway: Go.struct(Common.MeshGateway, Common.noMeshGateway),
  Expose: Go.struct(Common.Expose, Common.noExpose),
  AccessLogs: Go.struct(AccessLogs, AccessLogs.make({})),
  EnvoyExtensions: Common.EnvoyExtensions,
  FailoverPolicy: Schema.optionalKey(Schema.JsonObject),
  PrioritizeByLocality: Schema.optionalKey(Schema.JsonObject),
  ...Common.meta,
  ...Common.stored
})
export interface ProxyDefaults extends Schema.Schema.Type<typeof ProxyDefaults> {}
