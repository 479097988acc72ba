/**
 * One connection to a server, from the first question to its end: log in, ask whose the proxy is, then follow its resources.
 *
 *     connect ─▶ token ─▶ parameters ─▶ stream: request ⇄ response, acknowledged or refused
 *                             └─▶ which servers there are, for the next connection
 */
import { Effect, Redacted, type Scope, Stream } from "effect"
import { decodeAny } from "../proto/Decode.ts"
import * as Discovery from "../proto/Discovery.ts"
import type * as Fields from "../read/Fields.ts"
import * as Ads from "./Ads.ts"
import * as Consul from "./Consul.ts"
import * as Grpc from "./Grpc.ts"
import type * as Servers from "./Servers.ts"

export interface Options {
  readonly whose: Consul.Whose
  /** Empty: without one. It is asked for on each connection. */
  readonly token: (connection: Grpc.Connection) => Effect.Effect<Redacted.Redacted<string>, Grpc.GrpcError>
  /** Whether servers say which others there are. */
  readonly discovers: boolean
  readonly servers: Servers.Servers
  /** What is known, before and after. */
  readonly known: () => Ads.Known
  readonly learn: (known: Ads.Known, flaws: ReadonlyArray<string>) => Effect.Effect<void>
}

/** Fails when it ends, whoever ends it. */
export const run = (connection: Grpc.Connection, options: Options): Effect.Effect<never, Grpc.GrpcError, Scope.Scope> =>
  Effect.gen(function*() {
    const { discovers, known, learn, servers, whose } = options
    const token = Redacted.value(yield* options.token(connection))
    const parameters = yield* parametersOf(connection, whose, token)
    if (discovers) yield* Effect.forkScoped(Effect.ignore(discover(connection, token, servers)))
    const { messages, send } = yield* connection.stream({
      path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      metadata: Consul.metadataOf(token)
    })
    const follow = ({ flaws, known, requests }: Ads.Step) =>
      Effect.andThen(
        learn(known, flaws),
        Effect.sync(() => requests.forEach((request) => send(Discovery.encodeRequest(request))))
      )
    yield* follow(Ads.begin(known(), nodeOf(whose, parameters)))
    return yield* Stream.runForEach(
      messages,
      (bytes) => Effect.flatMap(decoded(connection, bytes), (response) => follow(Ads.receive(known(), response)))
    ).pipe(
      Effect.andThen(Effect.never)
    )
  })

/** Only the catalog is asked: what is registered with the agent that answers is known by its ID alone. */
const parametersOf = (connection: Grpc.Connection, whose: Consul.Whose, token: string) =>
  whose.nodeName === undefined ?
    Effect.succeed<Consul.Parameters>({}) :
    Consul.parameters(connection, whose, token).pipe(
      // An agent that serves proxies alone knows less.
      Effect.catchIf(Grpc.isUnknownCall, () => Effect.succeed<Consul.Parameters>({}))
    )

/** What a proxy says of itself. Servers find its registration by it. */
const nodeOf = ({ namespace, nodeName, partition, proxyId }: Consul.Whose, known: Consul.Parameters): Ads.Node => {
  const node = nodeName ?? known.node_name ?? ""
  return {
    id: proxyId,
    cluster: known.identity || known.service || proxyId,
    metadata: {
      namespace: known.namespace || namespace || "default",
      partition: known.partition || partition || "default",
      ...(node === "" ? {} : { node_name: node })
    },
    user_agent_name: "effect-mesh",
    client_features: ["envoy.lb.does_not_support_overprovisioning"]
  }
}

const discover = (connection: Grpc.Connection, token: string, { found }: Servers.Servers) =>
  Effect.scoped(Effect.flatMap(
    Consul.servers(connection, token),
    Stream.runForEach((addresses) =>
      Effect.sync(() => {
        if (addresses.length > 0) found(addresses)
      })
    )
  ))

const decoded = (connection: Grpc.Connection, bytes: Uint8Array): Effect.Effect<Ads.Response, Grpc.GrpcError> =>
  Effect.try({
    try: () => {
      const { nonce, removed, resources, typeUrl } = Discovery.decodeResponse(bytes)
      return {
        typeUrl,
        nonce,
        removed,
        resources: resources.map(({ bytes, name, typeUrl, version }) => {
          const { message, unknown } = decodeAny({ typeUrl, value: bytes })
          return { name, version, unknown, json: message as Fields.Json }
        })
      }
    },
    catch: () =>
      new Grpc.GrpcError({
        server: Grpc.format(connection.address),
        call: "the stream of resources",
        reason: new Grpc.Unintelligible({ why: "what is sent is no response" })
      })
  })
