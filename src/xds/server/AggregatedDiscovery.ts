/**
 * `DeltaAggregatedResources`: everything that an Envoy is told, over one stream. It says who it is in its first request, and is
 * then told whatever holds for it, as long as it stays.
 */
import * as Discovery from "../proto/Discovery.ts"
import type * as Resources from "../Resources.ts"
import * as DeltaStream from "./DeltaStream.ts"
import type * as GrpcServer from "./GrpcServer.ts"

export const path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

/** Who asks. */
export interface Client {
  readonly proxyId: string
  readonly peer: string
  readonly userAgent: string
}

export interface Options {
  /** Why a call is refused, with a status of gRPC. Undefined: it is taken. */
  readonly refuse: (call: GrpcServer.Call) => { readonly status: number; readonly why: string } | undefined
  /** Tells what holds for the client, whenever it changes. Returns what ends that. */
  readonly follow: (
    client: Client,
    told: (resources: Resources.Resources) => void,
    stream: Pick<DeltaStream.DeltaStream, "isSettled">
  ) => () => void
  readonly news: (client: Client, news: DeltaStream.News) => void
  /** Counts what goes out, if anybody wants to know. */
  readonly sent?: ((bytes: number, resources: number) => void) | undefined
}

export const method = (options: Options) => (call: GrpcServer.Call): GrpcServer.Handler => {
  const refusal = options.refuse(call)
  if (refusal !== undefined) call.end(refusal.status, refusal.why)
  const stream = DeltaStream.make()
  let client: Client | undefined
  let stop: (() => void) | undefined
  let isOver = refusal !== undefined

  const pump = () => {
    if (isOver) return
    for (let next = stream.next(); next !== undefined; next = stream.next()) {
      const bytes = Discovery.encodeResponse(next)
      options.sent?.(bytes.length, next.resources.length + next.removed.length)
      call.send(bytes)
    }
  }

  const open = (node: Discovery.DeltaRequest["node"]): Client | undefined => {
    const proxyId = node?.id ?? ""
    if (proxyId === "") {
      isOver = true
      call.end(3, "the first request names no node: its id has to be that of a registered proxy")
      return undefined
    }
    const opened = { proxyId, peer: call.peer, userAgent: node?.user_agent_name ?? "" }
    stop = options.follow(opened, (resources) => {
      stream.update(resources)
      pump()
    }, stream)
    return opened
  }

  return {
    message: (bytes) => {
      if (isOver) return
      let request: Discovery.DeltaRequest
      try {
        request = Discovery.decodeRequest(bytes).message
      } catch {
        isOver = true
        call.end(3, "this is no DeltaDiscoveryRequest")
        return
      }
      client ??= open(request.node)
      if (client === undefined) return
      for (const news of stream.receive(request)) options.news(client, news)
    },
    drained: pump,
    closed: () => {
      isOver = true
      stop?.()
    }
  }
}
