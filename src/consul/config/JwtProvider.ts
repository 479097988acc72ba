/** `jwt-provider`: who issues tokens, how they are verified, where requests carry them. */
import { Schema } from "effect"
import * as Go from "../GoJson.ts"
import * as Common from "./Common.ts"

export const Location = Schema.Struct({
  Header: Go.pointer(Schema.Struct({ Name: Go.text, ValuePrefix: Go.textOmitEmpty, Forward: Go.flagOmitEmpty })),
  QueryParam: Go.pointer(Schema.Struct({ Name: Go.text })),
  Cookie: Go.pointer(Schema.Struct({ Name: Go.text }))
})

/** How the server of remote keys is reached. */
const Cluster = Schema.Struct({
  DiscoveryType: Go.textOmitEmpty,
  TLSCertificates: Go.pointer(Schema.Struct({
    CaCertificateProviderInstance: Schema.optionalKey(Schema.JsonObject),
    /** One of these. */
    TrustedCA: Go.pointer(Schema.Struct({
      Filename: Go.textOmitEmpty,
      EnvironmentVariable: Go.textOmitEmpty,
      InlineString: Go.textOmitEmpty,
      /** Base64. */
      InlineBytes: Go.textOmitEmpty
    }))
  })),
  ConnectTimeout: Common.durationNanos
})

export const JwtProvider = Schema.Struct({
  Kind: Schema.Literal("jwt-provider"),
  Name: Go.text,
  JSONWebKeySet: Go.pointer(Schema.Struct({
    Local: Go.pointer(Schema.Struct({ JWKS: Go.textOmitEmpty, Filename: Go.textOmitEmpty })),
    Remote: Go.pointer(Schema.Struct({
      URI: Go.textOmitEmpty,
      RequestTimeoutMs: Go.numberOmitEmpty,
      CacheDuration: Common.durationNanos,
      FetchAsynchronously: Go.flagOmitEmpty,
      RetryPolicy: Go.pointer(Schema.Struct({
        NumRetries: Go.numberOmitEmpty,
        RetryPolicyBackOff: Go.pointer(Schema.Struct({
          BaseInterval: Common.durationNanos,
          MaxInterval: Common.durationNanos
        }))
      })),
      JWKSCluster: Go.pointer(Cluster)
    }))
  })),
  Issuer: Go.textOmitEmpty,
  Audiences: Go.listOmitEmpty(Schema.String),
  Locations: Go.listOmitEmpty(Location),
  Forwarding: Go.pointer(Schema.Struct({ HeaderName: Go.text, PadForwardPayloadHeader: Go.flag })),
  ClockSkewSeconds: Go.numberOmitEmpty,
  CacheConfig: Go.pointer(Schema.Struct({ Size: Go.number })),
  ...Common.meta,
  ...Common.stored
})
export interface JwtProvider extends Schema.Schema.Type<typeof JwtProvider> {}
