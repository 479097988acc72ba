/** HTTP from anybody to one path of the application: that very path, written in no other way, with any query. */
import { Effect, type Scope } from "effect"
import * as Clients from "../../http/relay/Clients.ts"
import * as Deadlines from "../../http/relay/Deadlines.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as Relay from "../../http/relay/Relay.ts"
import * as RetryBudget from "../../http/relay/RetryBudget.ts"
import * as HttpLimits from "../../http/HttpLimits.ts"
import type * as Splice from "../../net/Splice.ts"
import type * as Exposed from "../../watch/registration/Exposed.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as ApplicationPools from "./ApplicationPools.ts"
import * as ExposedRequest from "./ExposedRequest.ts"
import * as RefusedRequest from "./RefusedRequest.ts"
import * as RequestStart from "./RequestStart.ts"

/** What it follows. */
export interface Settings {
  readonly exposed: Exposed.ExposedPath
  readonly registration: ProxyRegistration.Registration
}

export interface ExposedHttp {
  /** Serves a connection until it is closed. */
  readonly serve: (connection: Splice.Side) => Effect.Effect<void>
  /** Tells clients that they are to go elsewhere soon, and serves them until they do. */
  readonly announce: Effect.Effect<void>
  /** Asks clients to go elsewhere. */
  readonly drain: Effect.Effect<void>
  readonly update: (settings: Settings) => void
}

export const make = Effect.fnUntraced(function*(
  first: Settings,
  log: () => AccessLogWriter.Log | undefined,
  marks: Marks.Marks
): Effect.fn.Return<ExposedHttp, never, Scope.Scope> {
  let settings = first
  const deadlines = yield* Deadlines.make
  const pools = yield* ApplicationPools.make(applicationOf(first))
  const shared: ExposedRequest.Shared = {
    application: () => pools.of(settings.exposed.protocol === "http2" ? "2" : "1.1"),
    cluster: () => clusterOf(settings),
    marks,
    budget: RetryBudget.make(),
    log
  }

  const handle = (server: Exchange.ServerExchange): void => {
    const start = RequestStart.read(server)
    if (RequestStart.isRefusal(start)) return RefusedRequest.answer(server, start, { log, marks })
    const { exposed, registration: { requests } } = settings
    if (pathOf(start.path) !== exposed.path) return RefusedRequest.answer(server, OwnAnswers.noRoute, { log, marks })
    new Relay.Relay(server, new ExposedRequest.ExposedRequest(shared, requests, server, start), deadlines).start()
  }
  const clients = yield* Clients.make<Splice.Side>({
    limits: HttpLimits.complete({ idleTimeout: "1 hour" }),
    marks,
    protocols: ["http/1.1", "h2"],
    handle,
    abused: () => {}
  })
  return {
    serve: clients.serve,
    announce: Effect.sync(clients.announce),
    drain: Effect.sync(clients.drain),
    update: (next) => {
      settings = next
      pools.update(applicationOf(next))
    }
  }
})

const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  return query < 0 ? target : target.slice(0, query)
}

/** Callers from the mesh are not these clients: their limit is none here. */
const applicationOf = ({ exposed, registration }: Settings): ApplicationPools.Settings => ({
  application: exposed.application,
  applicationConnectTimeoutMillis: registration.applicationConnectTimeoutMillis,
  maxInboundConnections: 0
})

const clusterOf = ({ exposed: { application }, registration }: Settings): string =>
  "path" in application || ("port" in registration.application && application.port === registration.application.port)
    ? "local_app"
    : `exposed_cluster_${application.port}`
