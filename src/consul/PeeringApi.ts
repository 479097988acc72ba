/** `/v1/peering…`: clusters that are no part of our federation, with trust domains of their own. */
import { Effect, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as Go from "./GoJson.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const indexed = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.indexed)

const names = Go.nilList(Schema.String).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(null)),
  Schema.withConstructorDefault(Effect.succeed([]))
)

/** Before the first time: what Go prints for none. */
const noTime = "0001-01-01T00:00:00Z"

export const Peering = Schema.Struct({
  ID: Go.text,
  /** What this side calls the other. */
  Name: Go.text,
  Meta: Go.mapOmitEmpty(Schema.String),
  /** `PENDING`, `ESTABLISHING`, `ACTIVE`, `FAILING`, `DELETING` or `TERMINATED`. */
  State: Go.text,
  /** The id on the other side. Known to the side that established it. */
  PeerID: Go.textOmitEmpty,
  /** The root certificates of the other side's mesh: those that sign now, and those that did. */
  PeerCAPems: Go.listOmitEmpty(Schema.String),
  /** Known to the side that established it. */
  PeerServerName: Go.textOmitEmpty,
  PeerServerAddresses: Go.listOmitEmpty(Schema.String),
  StreamStatus: Go.struct(
    Schema.Struct({
      ImportedServices: names,
      ExportedServices: names,
      LastHeartbeat: Go.text,
      LastReceive: Go.text,
      LastSend: Go.text
    }),
    { ImportedServices: [], ExportedServices: [], LastHeartbeat: noTime, LastReceive: noTime, LastSend: noTime }
  ),
  ...Go.indexes,
  Remote: Go.struct(Schema.Struct({ Partition: Go.text, Datacenter: Go.text }), { Partition: "", Datacenter: "" })
})
export interface Peering extends Schema.Schema.Type<typeof Peering> {}

const meta = Schema.optionalKey(Schema.Record(Schema.String, Schema.String))

export const TokenRequest = Schema.Struct({
  PeerName: Query.text,
  Meta: meta,
  ServerExternalAddresses: Schema.optionalKey(Schema.Array(Schema.String))
})

export const EstablishRequest = Schema.Struct({ PeerName: Query.text, PeeringToken: Query.text, Meta: meta })

const name = { name: Schema.String }

export class PeeringApi extends HttpApiGroup.make("peering").add(
  /** A token by which another cluster can establish the peering, once. */
  HttpApiEndpoint.post("token", "/v1/peering/token", {
    query: Query.scope,
    payload: TokenRequest,
    success: answer(Schema.Struct({ PeeringToken: Schema.String })),
    error: ApiError.common
  }),
  HttpApiEndpoint.post("establish", "/v1/peering/establish", {
    query: Query.scope,
    payload: EstablishRequest,
    success: answer(Schema.Struct({})),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("list", "/v1/peerings", {
    query: { ...Query.scope, ...Query.consistency, ...Query.blocking },
    success: indexed(go(Schema.Array(Peering))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("read", "/v1/peering/:name", {
    params: name,
    query: { ...Query.scope, ...Query.consistency, ...Query.blocking },
    success: indexed(go(Peering)),
    error: ApiError.common
  }),
  /** Also where there is none. */
  HttpApiEndpoint.delete("delete", "/v1/peering/:name", {
    params: name,
    query: Query.scope,
    success: answer(HttpApiSchema.Empty(200)),
    error: ApiError.common
  })
) {}
