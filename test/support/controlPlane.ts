/** A server that speaks to proxies as a test tells it to, by `@grpc/grpc-js`: resources are sent when the test says so. */
import * as Grpc from "@grpc/grpc-js"
import { Effect, Queue, type Scope } from "effect"
import { decode } from "../../src/xds/proto/Decode.ts"
import * as Discovery from "../../src/xds/proto/Discovery.ts"
import { encode, typeUrl } from "../../src/xds/proto/Encode.ts"
import type { Message, Name } from "../../src/xds/proto/Messages.ts"

export interface Request {
  readonly message: Discovery.DeltaRequest
  /** The token that came with the stream. */
  readonly token: string
  /** 1 for the first stream. */
  readonly stream: number
}

export interface Resource {
  readonly type: Name
  readonly name: string
  readonly version?: string
  readonly message: unknown
}

/** A resource whose message is of its type. */
export const resource = <N extends Name>(type: N, name: string, message: Message<N>): Resource => ({
  type,
  name,
  message
})

export interface ControlPlane {
  readonly port: number
  readonly address: { readonly host: string; readonly port: number }
  /** What proxies have asked, in order. */
  readonly next: Effect.Effect<Request>
  /** To all streams that are open. The nonce is the one that is acknowledged. */
  readonly send: (nonce: string, resources: ReadonlyArray<Resource>, removed?: Removed) => void
  /** Ends all streams with a status. */
  readonly end: (code: number, details: string) => void
  /** Tokens that were given out, and given back. */
  readonly logins: ReadonlyArray<Message<"consul_acl.LoginRequest">>
  readonly logouts: ReadonlyArray<string>
}

interface Removed {
  readonly type: Name
  readonly names: ReadonlyArray<string>
}

interface Options {
  /** Streams with another token are refused. */
  readonly token?: () => string
  /** Told to those who ask which servers there are. */
  readonly servers?: ReadonlyArray<string>
  readonly credentials?: Grpc.ServerCredentials
}

const bytes = (message: Buffer): Buffer => message
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes
})

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

export const start = (options: Options = {}): Effect.Effect<ControlPlane, never, Scope.Scope> =>
  Effect.gen(function*() {
    const asked = yield* Queue.unbounded<Request>()
    const streams = new Set<Grpc.ServerDuplexStream<Buffer, Buffer>>()
    const logins: Array<Message<"consul_acl.LoginRequest">> = []
    const logouts: Array<string> = []
    let opened = 0
    const server = new Grpc.Server()
    server.addService({ Delta: method(ads, true, true) }, {
      Delta: (call: Grpc.ServerDuplexStream<Buffer, Buffer>) => {
        const stream = ++opened
        const token = String(call.metadata.get("x-consul-token")[0] ?? "")
        if (options.token !== undefined && token !== options.token()) {
          call.emit("error", { code: Grpc.status.UNAUTHENTICATED, details: "ACL not found" })
          return
        }
        streams.add(call)
        call.on(
          "data",
          (message: Buffer) =>
            Queue.offerUnsafe(asked, { message: Discovery.decodeRequest(message).message, token, stream })
        )
        call.on("error", () => streams.delete(call))
        call.on("cancelled", () => streams.delete(call))
        call.on("end", () => streams.delete(call))
      }
    })
    server.addService(
      { Watch: method("/hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers", false, true) },
      {
        Watch: (call: Grpc.ServerWritableStream<Buffer, Buffer>) => {
          const servers = (options.servers ?? []).map((address) => ({ id: address, address }))
          call.write(Buffer.from(encode("consul_servers.WatchServersResponse", { servers })))
        }
      }
    )
    server.addService({
      Login: method("/hashicorp.consul.acl.ACLService/Login", false, false),
      Logout: method("/hashicorp.consul.acl.ACLService/Logout", false, false)
    }, {
      Login: (call: Grpc.ServerUnaryCall<Buffer, Buffer>, answer: Grpc.sendUnaryData<Buffer>) => {
        logins.push(decode("consul_acl.LoginRequest", call.request).message)
        const token = { accessor_id: `a${logins.length}`, secret_id: `token-${logins.length}` }
        answer(null, Buffer.from(encode("consul_acl.LoginResponse", { token })))
      },
      Logout: (call: Grpc.ServerUnaryCall<Buffer, Buffer>, answer: Grpc.sendUnaryData<Buffer>) => {
        logouts.push(decode("consul_acl.LogoutRequest", call.request).message.token ?? "")
        answer(null, Buffer.from(encode("consul_acl.LogoutResponse", {})))
      }
    })
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) =>
        server.bindAsync(
          "127.0.0.1:0",
          options.credentials ?? Grpc.ServerCredentials.createInsecure(),
          (_, port) => resume(Effect.succeed(port))
        )
      ),
      () => Effect.sync(() => server.forceShutdown())
    )
    return {
      port,
      address: { host: "127.0.0.1", port },
      next: Queue.take(asked),
      logins,
      logouts,
      send: (nonce, resources, removed) => {
        const type = removed?.type ?? resources[0]!.type
        const response = Buffer.from(Discovery.encodeResponse({
          typeUrl: typeUrl(type),
          nonce,
          systemVersion: "",
          removed: removed?.names ?? [],
          resources: resources.map(({ message, name, type, version = "1" }) => ({
            name,
            version,
            typeUrl: typeUrl(type),
            bytes: encode(type, message as never)
          }))
        }))
        for (const stream of streams) stream.write(response)
      },
      end: (code, details) => {
        for (const stream of streams) stream.emit("error", { code, details })
        streams.clear()
      }
    }
  })
