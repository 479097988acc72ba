/** HTTP from the mesh to the application: each request is judged, and what is let in is relayed. */
import { TLSSocket } from "node:tls"
import { Effect, type Scope } from "effect"
import * as Clients from "../../http/relay/Clients.ts"
import * as Deadlines from "../../http/relay/Deadlines.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as Relay from "../../http/relay/Relay.ts"
import * as RetryBudget from "../../http/relay/RetryBudget.ts"
import * as HttpLimits from "../../http/HttpLimits.ts"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import * as PathNormalization from "../../intention/PathNormalization.ts"
import type * as Connection from "../../inbound/Connection.ts"
import * as RequestGate from "../../inbound/http/RequestGate.ts"
import type * as Splice from "../../net/Splice.ts"
import * as Tracing from "../../observe/Tracing.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as Application from "../Application.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as MatchedPolicy from "../log/MatchedPolicy.ts"
import * as ApplicationPools from "./ApplicationPools.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import * as InboundRequest from "./InboundRequest.ts"
import * as RefusedRequest from "./RefusedRequest.ts"
import * as RequestStart from "./RequestStart.ts"
import type * as MeshDefaults from "../../watch/MeshDefaults.ts"

export interface PublicHttp {
  /** Serves a connection until it is closed. */
  readonly serve: (connection: Connection.Connection) => Effect.Effect<void>
  /** Asks a caller to go elsewhere, and cuts its connection after so long. */
  readonly retire: (connection: Connection.Connection, graceMillis: number) => void
  /** Tells callers that they are to go elsewhere soon, and serves them until they do. */
  readonly announce: Effect.Effect<void>
  /** Asks all callers to go elsewhere. */
  readonly drain: Effect.Effect<void>
  readonly update: (registration: ProxyRegistration.Registration) => void
  readonly gate: RequestGate.RequestGate
}

export interface Options {
  readonly marks: Marks.Marks
  readonly log: () => AccessLogWriter.Log | undefined
  readonly connect?: Application.Connect | undefined
  readonly tellsCaller?: boolean | undefined
}

export const make = Effect.fnUntraced(function*(
  registered: ProxyRegistration.Registration,
  { connect, log, marks, tellsCaller: mayTell = true }: Options
): Effect.fn.Return<
  PublicHttp,
  never,
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> {
  const contexts = yield* SecureContexts.SecureContexts
  const gate = yield* RequestGate.make()
  const deadlines = yield* Deadlines.make
  const pools = yield* ApplicationPools.make(registered, connect)
  const callers = new WeakMap<Connection.Connection, InboundRequest.Caller>()
  const elements = new WeakMap<Splice.Stream, string>()
  let settings = registered

  /** Made once for each connection that carries streams, too. */
  const elementOf = ({ caller, carrier }: Connection.Connection, own: SpiffeId.Service): string => {
    let element = elements.get(carrier)
    if (element === undefined) {
      element = carrier instanceof TLSSocket ? ClientCertificate.element(carrier, own, caller) : ""
      elements.set(carrier, element)
    }
    return element
  }
  const callerOf = (connection: Connection.Connection): InboundRequest.Caller => {
    let caller = callers.get(connection)
    if (caller === undefined) {
      const own = contexts.current().leaf.identity
      callers.set(connection, caller = { connection, certificate: () => elementOf(connection, own), own })
    }
    return caller
  }
  const tracer = yield* Tracing.collector
  const shared: InboundRequest.Shared = {
    tracer,
    service: gate.service,
    application: pools.of,
    marks,
    budget: RetryBudget.make(),
    log,
    normalized: (path) => {
      const normalized = PathNormalization.normalize(path, gate.mesh().incoming)
      return normalized._tag === "Path" ? normalized.path : path
    },
    refusedBy: (decision) => MatchedPolicy.details(decision, gate.authorizer()),
    closed: (request) => {
      gate.leave(request)
      gate.traffic.closed({ ...closedOf(request) })
    }
  }

  const handle = (server: Exchange.ServerExchange, connection: Connection.Connection): void => {
    const start = RequestStart.read(server)
    if (RequestStart.isRefusal(start)) return RefusedRequest.answer(server, start, { log, marks })
    const hidden = hiddenFields(start, gate)
    if (hidden === undefined) {
      if (server.version === "2") return server.abort()
      return RefusedRequest.answer(server, OwnAnswers.underscore, { log, marks })
    }
    const tellsCaller = mayTell && settings.protocol !== "grpc" && !gate.mesh().sanitizeForwardedClientCert
    const caller = callerOf(connection)
    const request = new InboundRequest.InboundRequest(shared, settings, caller, server, start, hidden, tellsCaller)
    gate.traffic.started()
    gate.judge(request, request.raw, () => {
      request.relay = new Relay.Relay(server, request, deadlines)
      request.relay.start()
    })
  }
  const clients = yield* Clients.make<Connection.Connection>({
    limits: HttpLimits.complete({ idleTimeout: "1 hour" }),
    marks,
    protocols: ["http/1.1", "h2"],
    handle,
    remembers: () => log() !== undefined,
    abused: gate.traffic.abused
  })
  return {
    serve: clients.serve,
    retire: clients.retire,
    announce: Effect.sync(clients.announce),
    drain: Effect.sync(clients.drain),
    update: (next) => {
      settings = next
      pools.update(next)
    },
    gate
  }
})

const closedOf = (request: InboundRequest.InboundRequest) => ({
  connection: request.connection,
  code: request.code,
  since: request.since,
  answer: request.answered,
  trace: () => request.trace
})

/**
 * Positions of fields that only the mesh may set, and of those with a `_` in their name where the mesh has them dropped.
 * Undefined: it has the request refused for such a name.
 */
const hiddenFields = (
  { clientCert, fields }: RequestStart.RequestStart,
  gate: RequestGate.RequestGate
): ReadonlyArray<number> | undefined => {
  const { headersWithUnderscores } = gate.mesh()
  const reserved = gate.reserved()
  if (headersWithUnderscores === "allow" && reserved.size <= 1) return clientCert
  const hidden: Array<number> = []
  for (let index = 0; index < fields.count; index++) {
    const name = fields.name(index).toLowerCase()
    if (reserved.has(name)) hidden.push(index)
    else if (headersWithUnderscores !== "allow" && name.includes("_")) {
      if (headersWithUnderscores === "reject") return undefined
      hidden.push(index)
    }
  }
  return hidden
}
