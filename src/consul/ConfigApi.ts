/** `/v1/config…` and `/v1/discovery-chain/…`: config entries and what they compile to. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as ConfigEntry from "./ConfigEntry.ts"
import * as DiscoveryChain from "./DiscoveryChain.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const indexed = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.indexed)
const kind = { kind: Schema.String }
const named = { kind: Schema.String, name: Schema.String }
const cas = { cas: Schema.optionalKey(Schema.BigInt) }
const read = { ...Query.scope, ...Query.consistency, ...Query.blocking }

export class ConfigApi extends HttpApiGroup.make("config").add(
  /** False when the compare-and-set was lost. */
  HttpApiEndpoint.put("write", "/v1/config", {
    query: { ...Query.scope, ...cas },
    payload: ConfigEntry.ConfigEntry,
    success: answer(Schema.Boolean),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("list", "/v1/config/:kind", {
    params: kind,
    query: { ...read, ...Query.filter },
    success: indexed(go(Schema.Array(ConfigEntry.ConfigEntry))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("read", "/v1/config/:kind/:name", {
    params: named,
    query: read,
    success: indexed(go(ConfigEntry.ConfigEntry)),
    error: ApiError.common
  }),
  /** With `cas` whether it was deleted, otherwise an empty object, also when there was nothing to delete. */
  HttpApiEndpoint.delete("delete", "/v1/config/:kind/:name", {
    params: named,
    query: { ...Query.scope, ...cas },
    success: answer(Schema.Union([Schema.Boolean, Schema.Struct({})])),
    error: ApiError.common
  })
) {}

const compile = { ...read, "compile-dc": Query.text }
const chain = indexed(go(Schema.Struct({ Chain: DiscoveryChain.Chain })))

/** Never 404: an unknown service has the default chain. */
export class DiscoveryChainApi extends HttpApiGroup.make("discoveryChain").add(
  HttpApiEndpoint.get("read", "/v1/discovery-chain/:service", {
    params: { service: Schema.String },
    query: compile,
    success: chain,
    error: ApiError.common
  }),
  HttpApiEndpoint.post("compile", "/v1/discovery-chain/:service", {
    params: { service: Schema.String },
    query: compile,
    payload: DiscoveryChain.Overrides,
    success: chain,
    error: ApiError.common
  })
) {}
