/** `service-splitter`: shares of the traffic. Weights are percents with two decimals and sum to 100. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

export const Split = Schema.Struct({
  Weight: Go.number,
  /** Empty: the service of the splitter. */
  Service: Go.textOmitEmpty,
  ServiceSubset: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  Partition: Go.textOmitEmpty,
  RequestHeaders: Go.pointer(Common.HeaderModifiers),
  ResponseHeaders: Go.pointer(Common.HeaderModifiers)
})
export interface Split extends Schema.Schema.Type<typeof Split> {}

export const ServiceSplitter = Schema.Struct({
  Kind: Schema.Literal("service-splitter"),
  Name: Go.text,
  Splits: Go.list(Split),
  ...Common.meta,
  ...Common.stored
})
export interface ServiceSplitter extends Schema.Schema.Type<typeof ServiceSplitter> {}
