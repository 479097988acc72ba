/** `mesh`: settings of the whole mesh. There is one; its name is not written. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

const TlsDirection = Schema.Struct({
  TLSMinVersion: Go.textOmitEmpty,
  TLSMaxVersion: Go.textOmitEmpty,
  CipherSuites: Go.listOmitEmpty(Schema.String)
})

export const Mesh = Schema.Struct({
  Kind: Schema.Literal("mesh"),
  TransparentProxy: Go.struct(Schema.Struct({ MeshDestinationsOnly: Go.flag }), { MeshDestinationsOnly: false }),
  AllowEnablingPermissiveMutualTLS: Go.flagOmitEmpty,
  ValidateClusters: Go.flagOmitEmpty,
  TLS: Go.pointer(Schema.Struct({ Incoming: Go.pointer(TlsDirection), Outgoing: Go.pointer(TlsDirection) })),
  HTTP: Go.pointer(Schema.Struct({
    SanitizeXForwardedClientCert: Go.flag,
    Incoming: Go.pointer(Schema.Struct({
      RequestNormalization: Go.pointer(Schema.Struct({
        InsecureDisablePathNormalization: Go.flag,
        MergeSlashes: Go.flag,
        PathWithEscapedSlashesAction: Go.text,
        HeadersWithUnderscoresAction: Go.text
      }))
    }))
  })),
  Peering: Go.pointer(Schema.Struct({ PeerThroughMeshGateways: Go.flagOmitEmpty })),
  ...Common.meta,
  ...Common.stored
})
export interface Mesh extends Schema.Schema.Type<typeof Mesh> {}
