/** What several kinds of config entries have in common. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as GoDuration from "../GoDuration.ts"

export const meta = { Meta: Go.mapOmitEmpty(Schema.String) }
export const stored = { ...Go.indexesOmitEmpty }

/** A duration that is absent when zero. */
export const duration = Schema.optionalKey(GoDuration.FromText)
export const durationNanos = Schema.optionalKey(GoDuration.FromNanos)

export const noMeshGateway = { Mode: "" }

export const noTransparentProxy = { OutboundListenerPort: 0, DialedDirectly: false }

export const noExpose = { Checks: false, Paths: [] }

export const HeaderModifiers = Schema.Struct({
  Add: Go.mapOmitEmpty(Schema.String),
  Set: Go.mapOmitEmpty(Schema.String),
  Remove: Go.listOmitEmpty(Schema.String)
})
export interface HeaderModifiers extends Schema.Schema.Type<typeof HeaderModifiers> {}

export const EnvoyExtensions = Go.listOmitEmpty(Schema.JsonObject)
