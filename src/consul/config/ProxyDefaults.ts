/** `proxy-defaults`: settings of every sidecar. There is one, named `global`. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Proxy from "../Proxy.ts"
import * as Common from "./Common.ts"

export const ProxyDefaults = Schema.Struct({
  Kind: Schema.Literal("proxy-defaults"),
  Name: Go.text,
  /** Free; `protocol` is the default of every service without a service-defaults entry. */
  Config: Go.opaque,
  Mode: Go.textOmitEmpty,
  TransparentProxy: Go.struct(Proxy.TransparentProxy, Common.noTransparentProxy),
  MutualTLSMode: Go.textOmitEmpty,
  MeshGateway: Go.struct(Proxy.MeshGateway, Common.noMeshGateway),
  Expose: Go.struct(Proxy.Expose, Common.noExpose),
  AccessLogs: Go.struct(Proxy.AccessLogs, Proxy.AccessLogs.make({})),
  EnvoyExtensions: Common.EnvoyExtensions,
  FailoverPolicy: Schema.optionalKey(Schema.JsonObject),
  PrioritizeByLocality: Schema.optionalKey(Schema.JsonObject),
  ...Common.meta,
  ...Common.stored
})
export interface ProxyDefaults extends Schema.Schema.Type<typeof ProxyDefaults> {}
