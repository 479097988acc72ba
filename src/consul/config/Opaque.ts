/** Other kinds about gateways and certificates: kept as they were written. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

export const opaqueKinds = [
  "ingress-gateway",
  "bound-api-gateway",
  "file-system-certificate"
] as const

export const Opaque = Schema.StructWithRest(
  Schema.Struct({ Kind: Schema.Literals(opaqueKinds), Name: Go.text, ...Common.stored }),
  [Schema.Record(Schema.String, Schema.Json)]
)
export type Opaque = typeof Opaque.Type
