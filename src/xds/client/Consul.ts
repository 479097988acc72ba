/** What proxies ask Consul's servers besides their configuration, by gRPC. */
import { Effect, Redacted, type Scope, Stream } from "effect"
import { decode } from "../proto/Decode.ts"
import { encode } from "../proto/Encode.ts"
import type { Message, Name } from "../proto/Messages.ts"
import * as Grpc from "./Grpc.ts"
import * as Servers from "./Servers.ts"

/** How to come by a token at an auth method. */
export interface Login {
  readonly method: string
  /** Read again for each login. */
  readonly bearer: Effect.Effect<Redacted.Redacted<string>, Grpc.GrpcError>
  readonly meta: Readonly<Record<string, string>>
  readonly datacenter: string
  readonly namespace: string
  readonly partition: string
}

export const login = (
  connection: Grpc.Connection,
  { bearer, datacenter, meta, method, namespace, partition }: Login
): Effect.Effect<Redacted.Redacted<string>, Grpc.GrpcError> =>
  Effect.gen(function*() {
    const path = "/hashicorp.consul.acl.ACLService/Login"
    const request = {
      auth_method: method,
      bearer_token: Redacted.value(yield* bearer),
      meta,
      datacenter,
      namespace,
      partition
    }
    const answer = yield* call(connection, path, "consul_acl.LoginRequest", request, "consul_acl.LoginResponse", "")
    const secret = answer.token?.secret_id ?? ""
    if (secret === "") return yield* unintelligible(connection, path, "the server gives no token")
    return Redacted.make(secret, { label: "token" })
  })

export const logout = (
  connection: Grpc.Connection,
  token: Redacted.Redacted<string>
): Effect.Effect<void, Grpc.GrpcError> =>
  Effect.asVoid(call(
    connection,
    "/hashicorp.consul.acl.ACLService/Logout",
    "consul_acl.LogoutRequest",
    { token: Redacted.value(token) },
    "consul_acl.LogoutResponse",
    ""
  ))

export interface Whose {
  readonly proxyId: string
  /** Where it is registered in the catalog. Undefined: with the agent that answers. */
  readonly nodeName: string | undefined
  readonly namespace: string
  readonly partition: string
}

/** What a server knows of a proxy: whose it is. */
export type Parameters = Message<"consul_dataplane.GetEnvoyBootstrapParamsResponse">

export const parameters = (
  connection: Grpc.Connection,
  { namespace, nodeName, partition, proxyId }: Whose,
  token: string
): Effect.Effect<Parameters, Grpc.GrpcError> =>
  call(
    connection,
    "/hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams",
    "consul_dataplane.GetEnvoyBootstrapParamsRequest",
    // Older servers know the proxy by the older name of the field.
    { node_name: nodeName, service_id: proxyId, proxy_id: proxyId, namespace, partition },
    "consul_dataplane.GetEnvoyBootstrapParamsResponse",
    token
  )

/** Each list of servers that there are. */
export const servers = (
  connection: Grpc.Connection,
  token: string
): Effect.Effect<Stream.Stream<ReadonlyArray<Grpc.Address>, Grpc.GrpcError>, Grpc.GrpcError, Scope.Scope> =>
  Effect.map(
    connection.stream({
      path: "/hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers",
      metadata: metadataOf(token)
    }),
    ({ end, messages, send }) => {
      send(encode("consul_servers.WatchServersRequest", {}))
      end()
      return Stream.map(messages, (bytes) =>
        (decode("consul_servers.WatchServersResponse", bytes).message.servers ?? []).flatMap(({ address = "" }) =>
          Servers.parse(address) ?? []
        ))
    }
  )

export const metadataOf = (token: string): Readonly<Record<string, string>> =>
  token === "" ? {} : { "x-consul-token": token }

const call = <Q extends Name, A extends Name>(
  connection: Grpc.Connection,
  path: string,
  question: Q,
  message: Message<Q>,
  answer: A,
  token: string
): Effect.Effect<Message<A>, Grpc.GrpcError> =>
  Effect.flatMap(
    connection.unary({ path, metadata: metadataOf(token) }, encode(question, message)),
    (bytes) =>
      Effect.try({
        try: () => decode(answer, bytes).message,
        catch: () => notUnderstood(connection, path, `what is answered is no ${answer}`)
      })
  )

const notUnderstood = ({ address }: Grpc.Connection, call: string, why: string) =>
  new Grpc.GrpcError({ server: Grpc.format(address), call, reason: new Grpc.Unintelligible({ why }) })

const unintelligible = (connection: Grpc.Connection, call: string, why: string) =>
  Effect.fail(notUnderstood(connection, call, why))
