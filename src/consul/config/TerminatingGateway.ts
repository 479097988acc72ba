/** `terminating-gateway`: the services outside of the mesh that callers reach through the gateways of this name. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

/** Files are those of the gateway's machine. */
export const LinkedService = Schema.Struct({
  /** `*`: every service that is not in the mesh by itself. */
  Name: Go.textOmitEmpty,
  Namespace: Go.textOmitEmpty,
  /** Present: the service is spoken to over TLS, and its certificate has to lead here. */
  CAFile: Go.textOmitEmpty,
  CertFile: Go.textOmitEmpty,
  KeyFile: Go.textOmitEmpty,
  SNI: Go.textOmitEmpty,
  DisableAutoHostRewrite: Go.flagOmitEmpty
})
export interface LinkedService extends Schema.Schema.Type<typeof LinkedService> {}

export const TerminatingGateway = Schema.Struct({
  Kind: Schema.Literal("terminating-gateway"),
  Name: Go.text,
  Services: Go.listOmitEmpty(LinkedService),
  ...Common.meta,
  ...Common.stored
})
export interface TerminatingGateway extends Schema.Schema.Type<typeof TerminatingGateway> {}
