import { assert, describe, it } from "@effect/vitest"
import type protobuf from "protobufjs"
import { definitions } from "../../../src/xds/proto/Messages.ts"
import { fullName } from "../../../src/xds/proto/Packages.ts"
import { load } from "../../support/envoyProtos.ts"

const v3 = "envoy/extensions"
const root = load([
  "envoy/service/discovery/v3/discovery.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/config/rbac/v3/rbac.proto",
  "envoy/config/accesslog/v3/accesslog.proto",
  `${v3}/transport_sockets/tls/v3/tls.proto`,
  `${v3}/transport_sockets/tls/v3/tls_spiffe_validator_config.proto`,
  `${v3}/filters/network/http_connection_manager/v3/http_connection_manager.proto`,
  `${v3}/filters/network/tcp_proxy/v3/tcp_proxy.proto`,
  `${v3}/filters/network/rbac/v3/rbac.proto`,
  `${v3}/filters/network/connection_limit/v3/connection_limit.proto`,
  `${v3}/filters/network/sni_cluster/v3/sni_cluster.proto`,
  `${v3}/filters/http/rbac/v3/rbac.proto`,
  `${v3}/filters/http/jwt_authn/v3/config.proto`,
  `${v3}/filters/http/header_to_metadata/v3/header_to_metadata.proto`,
  `${v3}/filters/http/grpc_stats/v3/config.proto`,
  `${v3}/filters/http/grpc_http1_bridge/v3/config.proto`,
  `${v3}/filters/http/router/v3/router.proto`,
  `${v3}/filters/http/local_ratelimit/v3/local_rate_limit.proto`,
  `${v3}/filters/listener/tls_inspector/v3/tls_inspector.proto`,
  `${v3}/filters/listener/original_dst/v3/original_dst.proto`,
  `${v3}/filters/listener/http_inspector/v3/http_inspector.proto`,
  `${v3}/access_loggers/stream/v3/stream.proto`,
  `${v3}/access_loggers/file/v3/file.proto`,
  `${v3}/clusters/aggregate/v3/cluster.proto`,
  `${v3}/upstreams/http/v3/http_protocol_options.proto`
])

/** A field of the original, written as the definitions write it. */
const written = (field: protobuf.Field): string => {
  const type = field.resolvedType === null ? field.type : field.resolvedType.fullName.slice(1)
  const label = "keyType" in field ? "map " : field.repeated ? "repeated " : ""
  return `${field.id} ${label}${type}${field.partOf === null ? "" : ` in ${field.partOf.name}`}`
}

/** A field of ours with the names of types in full. */
const full = (definition: string): string =>
  definition.replace(
    /^(\d+ (?:repeated |map )?)(\S+)/,
    (_, before: string, type: string) => before + (/^[a-z0-9]+$/.test(type) ? type : fullName(type))
  )

describe("definitions", () => {
  const ofEnvoy = Object.entries(definitions).filter(([name]) => !name.startsWith("consul_"))
  it.each(ofEnvoy.map(([name, body]) => ({ name, body: body as Record<string, string | number> })))(
    "$name is as Envoy has it",
    ({ body, name }) => {
      const original = root.lookup(fullName(name)) as protobuf.Type & protobuf.Enum
      assert.isNotNull(original, fullName(name))
      const theirs = original.fields === undefined
        ? { ...original.values }
        : Object.fromEntries(
          Object.entries(original.fields).filter(([field]) => field in body).map(([field, it]) => [field, written(it)])
        )
      const ours = Object.fromEntries(
        Object.entries(body).map(([field, it]) => [field, typeof it === "number" ? it : full(it)])
      )
      assert.deepStrictEqual(ours, theirs)
    }
  )
})
