/** `exported-services`: what peers may see. There is one, named `default`. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

export const ExportedServices = Schema.Struct({
  Kind: Schema.Literal("exported-services"),
  Name: Go.text,
  Services: Go.listOmitEmpty(Schema.Struct({
    Name: Go.text,
    Consumers: Go.listOmitEmpty(Schema.Struct({
      Partition: Go.textOmitEmpty,
      Peer: Go.textOmitEmpty,
      SamenessGroup: Go.textOmitEmpty
    }))
  })),
  ...Common.meta,
  ...Common.stored
})
export interface ExportedServices extends Schema.Schema.Type<typeof ExportedServices> {}
