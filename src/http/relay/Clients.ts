/** The clients of a proxy: HTTP/1.1 by our own machine, HTTP/2 by Node's, over connections that are accepted elsewhere. */
import { Effect, type Scope } from "effect"
import type * as Splice from "../../net/Splice.ts"
import * as HttpConnections from "../HttpConnections.ts"
import type * as HttpExchange from "../HttpExchange.ts"
import type * as HttpLimits from "../HttpLimits.ts"
import type * as Exchange from "./Exchange.ts"
import * as Http1Server from "./Http1Server.ts"
import * as Http2Server from "./Http2Server.ts"
import type * as Marks from "./Marks.ts"

/** Fields of a head: as Envoy takes them. */
export const maxFields = 100

export interface Options<Connection extends Splice.Side> {
  readonly limits: HttpLimits.Limits
  readonly marks: Marks.Marks
  readonly protocols: ReadonlyArray<HttpConnections.Protocol>
  /** Whether the addresses of a client are to be known once it has left, as for a log, asked as it arrives. Default: they are. */
  readonly remembers?: (() => boolean) | undefined
  readonly handle: (exchange: Exchange.ServerExchange, connection: Connection) => void
  readonly abused: (connection: Connection, abuse: HttpExchange.Abuse) => void
}

export const make = Effect.fnUntraced(function*<Connection extends Splice.Side>(
  { abused, handle, limits, marks, protocols, remembers }: Options<Connection>
): Effect.fn.Return<HttpConnections.HttpConnections<Connection, never>, never, Scope.Scope> {
  const served = { limits, maxFields, marks, handle, remembers }
  const connections = yield* HttpConnections.make<Connection, never>({
    limits,
    protocols,
    streams: true,
    started: () => {},
    closed: () => {},
    abused,
    http1: (observer) =>
      Effect.succeed({
        attached: () => {},
        take: (connection, last) =>
          new Http1Server.Http1Server(connection, { ...served, abused: observer.abused }, last)
      })
  })
  connections.attach({
    request: () => {},
    stream: (request, { connection }) => {
      const exchange = Http2Server.take(request, { connection }, maxFields)
      if (!("_tag" in exchange)) handle(exchange, connection)
    }
  })
  return connections
})
