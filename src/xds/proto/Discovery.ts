/**
 * The two messages of a delta stream. Resources travel as bytes in both: a server encodes one once for all who take it,
 * and a client keeps what it did not understand apart, one resource at a time.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { AnySchema } from "@bufbuild/protobuf/wkt"
import { decode, type Decoded } from "./Decode.ts"
import { encode } from "./Encode.ts"
import type { Message } from "./Messages.ts"
import { descriptor } from "./Registry.ts"

export type DeltaRequest = Message<"discovery.DeltaDiscoveryRequest">

/** One resource on its way: `bytes` are those of a message of type `typeUrl`. */
export interface DeltaResource {
  readonly name: string
  readonly version: string
  readonly typeUrl: string
  readonly bytes: Uint8Array
}

export interface DeltaResponse {
  readonly typeUrl: string
  readonly nonce: string
  readonly systemVersion: string
  readonly resources: ReadonlyArray<DeltaResource>
  readonly removed: ReadonlyArray<string>
}

export const encodeRequest = (request: DeltaRequest): Uint8Array => encode("discovery.DeltaDiscoveryRequest", request)

/** What is not known in a request is no harm: Envoy tells of itself there. */
export const decodeRequest = (bytes: Uint8Array): Decoded<"discovery.DeltaDiscoveryRequest"> =>
  decode("discovery.DeltaDiscoveryRequest", bytes)

export const encodeResponse = (response: DeltaResponse): Uint8Array => {
  const schema = descriptor("discovery.DeltaDiscoveryResponse")
  const fields = {
    systemVersionInfo: response.systemVersion,
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    removedResources: [...response.removed],
    resources: response.resources.map(({ bytes, name, typeUrl, version }) =>
      create(descriptor("discovery.Resource"), {
        name,
        version,
        resource: create(AnySchema, { typeUrl, value: bytes })
      })
    )
  }
  return toBinary(schema, create(schema, fields))
}

/** Throws where the bytes are no response. Its resources are still closed: `decodeAny` opens each. */
export const decodeResponse = (bytes: Uint8Array): DeltaResponse => {
  const response = fromBinary(descriptor("discovery.DeltaDiscoveryResponse"), bytes) as unknown as WireResponse
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    systemVersion: response.systemVersionInfo,
    removed: response.removedResources,
    resources: response.resources.map(({ name, resource, version }) => ({
      name,
      version,
      typeUrl: resource?.typeUrl ?? "",
      bytes: resource?.value ?? new Uint8Array()
    }))
  }
}

/** The response as the runtime holds it. */
interface WireResponse {
  readonly systemVersionInfo: string
  readonly typeUrl: string
  readonly nonce: string
  readonly removedResources: Array<string>
  readonly resources: Array<{
    readonly name: string
    readonly version: string
    readonly resource?: { readonly typeUrl: string; readonly value: Uint8Array }
  }>
}
