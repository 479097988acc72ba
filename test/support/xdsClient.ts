/** A client of delta ADS, made of somebody else's gRPC: it acknowledges what it gets, and keeps it. */
import * as grpc from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import { decodeAny } from "../../src/xds/proto/Decode.ts"
import * as Discovery from "../../src/xds/proto/Discovery.ts"
import * as Resources from "../../src/xds/Resources.ts"
import { path } from "../../src/xds/server/AggregatedDiscovery.ts"

export interface Client {
  /** What was got last, by kind and name. */
  readonly has: Readonly<Record<Resources.Kind, Map<string, Record<string, unknown>>>>
  /** How many resources came, and how many bytes of responses. */
  readonly got: () => { readonly resources: number; readonly bytes: number; readonly responses: number }
  readonly names: () => ReadonlyArray<string>
  /** Refuses what comes, from now on. */
  readonly refuse: (why: string | undefined) => void
  readonly ended: Promise<grpc.StatusObject>
  /** Called after each response was answered. */
  onResponse: (response: Discovery.DeltaResponse) => void
}

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

/** Asks for clusters and listeners, and then for what these need, as an Envoy does. */
export const make = (
  address: string,
  proxyId: string,
  options: { readonly token?: string; readonly keep?: boolean } = {}
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = new grpc.Client(address, grpc.credentials.createInsecure())
      const metadata = new grpc.Metadata()
      if (options.token !== undefined) metadata.set("x-consul-token", options.token)
      const call = client.makeBidiStreamRequest(path, raw, (bytes) => bytes, metadata)
      call.on("error", () => {})
      const ended = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve))
      const has = Object.fromEntries(Resources.kinds.map((kind) => [kind, new Map()])) as Client["has"]
      const asked: Record<string, Set<string>> = {}
      let refusal: string | undefined
      const count = { resources: 0, bytes: 0, responses: 0 }
      const names: Array<string> = []
      const say = (request: Discovery.DeltaRequest) => call.write(Buffer.from(Discovery.encodeRequest(request)))
      const ask = (kind: Resources.Kind, wanted: ReadonlyArray<string>) => {
        const known = asked[kind] ??= new Set()
        const more = wanted.filter((name) => !known.has(name))
        if (more.length === 0) return
        for (const name of more) known.add(name)
        say({ type_url: Resources.typeUrls[kind], resource_names_subscribe: more })
      }
      const self: Client = {
        has,
        got: () => ({ ...count }),
        names: () => names,
        refuse: (why) => {
          refusal = why
        },
        ended,
        onResponse: () => {}
      }
      call.on("data", (bytes: Buffer) => {
        const response = Discovery.decodeResponse(bytes)
        const kind = Resources.kinds.find((kind) => Resources.typeUrls[kind] === response.typeUrl)!
        count.responses++
        count.bytes += bytes.length
        count.resources += response.resources.length
        for (const { name } of response.resources) names.push(name)
        const wanted: Array<string> = []
        if (refusal === undefined) {
          for (const { bytes, name, typeUrl } of response.resources) {
            const message = options.keep === false ? {} : decodeAny({ typeUrl, value: bytes }).message
            has[kind].set(name, message)
            if (kind === "cluster.Cluster" && !name.startsWith("local_app")) wanted.push(name)
            const text = kind === "listener.Listener" && options.keep !== false ? JSON.stringify(message) : ""
            for (const [, route] of text.matchAll(/"route_config_name":"([^"]+)"/g)) wanted.push(route!)
          }
          for (const name of response.removed) has[kind].delete(name)
        }
        if (kind === "cluster.Cluster") ask("endpoint.ClusterLoadAssignment", wanted)
        if (kind === "listener.Listener") ask("route.RouteConfiguration", wanted)
        say({
          type_url: response.typeUrl,
          response_nonce: response.nonce,
          ...(refusal !== undefined && { error_detail: { code: 3, message: refusal } })
        })
        self.onResponse(response)
      })
      say({ node: { id: proxyId, cluster: "test" }, type_url: Resources.typeUrls["cluster.Cluster"] })
      say({ type_url: Resources.typeUrls["listener.Listener"] })
      return { self, close: () => client.close(), call }
    }),
    ({ call, close }) =>
      Effect.sync(() => {
        call.cancel()
        close()
      })
  ).pipe(Effect.map(({ self }) => self))
