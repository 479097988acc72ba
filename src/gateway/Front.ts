/**
 * The port of a gateway where TLS of the mesh arrives: reads what a client asks for, before anybody speaks TLS to it.
 *
 *     accepted ─▶ first words ─▶ name ─▶ whoever takes it from there
 *        │            │           │
 *        └────────────┴───────────┴─ turned away: counted, logged, reset
 */
import type { Socket } from "node:net"
import { Effect, type Scope } from "effect"
import * as ArrivalRate from "../net/ArrivalRate.ts"
import * as Listening from "../net/Listening.ts"
import * as LocalServer from "../net/LocalServer.ts"
import * as Splice from "../net/Splice.ts"
import * as TcpOptions from "../net/TcpOptions.ts"
import type * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as ConnectionLine from "../sidecar/log/ConnectionLine.ts"
import type * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as FirstWords from "./FirstWords.ts"
import * as GatewayRefusals from "./GatewayRefusals.ts"

export interface Options {
  readonly bind: GatewayRegistration.Bind
  readonly accessLog: AccessLogWriter.AccessLogWriter
  /** Takes a connection by the name that it asks for, in lower case, and closes it; or says why it does not. */
  readonly take: (socket: Socket, name: string) => Effect.Effect<void> | GatewayRefusals.Reason
}

export interface Front extends Pick<LocalServer.LocalServer, "open" | "sockets" | "stop" | "idle"> {
  /** With the port that was given. */
  readonly address: string
  readonly refusals: GatewayRefusals.GatewayRefusals
  /** Those that have yet to say what they want, now. */
  readonly listening: () => number
  readonly update: (registration: GatewayRegistration.Registration) => void
}

export const make = Effect.fnUntraced(function*(
  registration: GatewayRegistration.Registration,
  { accessLog, bind, take }: Options
): Effect.fn.Return<Front, Listening.ListenError, Scope.Scope> {
  let settings = registration
  const refusals = yield* GatewayRefusals.make(`${registration.proxyId} at ${Listening.format(bind)}`)
  const arrivals = ArrivalRate.make()
  let listening = 0

  /** In the words of Envoy: no route. */
  const refuse = (socket: Socket, reason: GatewayRefusals.Reason, detail?: string, serverName?: string) =>
    Effect.andThen(
      refusals.refused(socket, reason, detail),
      Effect.sync(() => {
        const log = accessLog.listenerLog
        if (log() !== undefined) ConnectionLine.begin({ log, downstream: socket, serverName }).ended({ flags: "NR" })
        Splice.plain(socket).reset()
      })
    )

  const judged = (socket: Socket, heard: FirstWords.Heard): Effect.Effect<void> => {
    if (heard._tag === "Gone") {
      return heard.silent ? Effect.sync(Splice.plain(socket).reset) : refuse(socket, "cut_off")
    }
    if (heard._tag === "TooSlow") return refuse(socket, "too_slow")
    if (heard._tag === "NotTls") return refuse(socket, "not_tls")
    if (heard._tag === "Refused") return refuse(socket, heard.reason, heard.detail)
    const { serverName } = heard
    if (serverName === undefined) return refuse(socket, "no_name")
    const taken = take(socket, serverName)
    return typeof taken === "string" ? refuse(socket, taken, serverName, serverName) : taken
  }

  const serve = (socket: Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { arrivals: { connectionRate, maxHandshakes }, connections, maxInboundConnections } = settings
      if (
        server.open() > (maxInboundConnections || Infinity) || listening >= (maxHandshakes || Infinity) ||
        !arrivals.take(connectionRate, performance.now())
      ) return refuse(socket, "too_many")
      TcpOptions.apply(socket, connections.tcp)
      listening++
      return FirstWords.read(socket, settings.handshakeTimeoutMillis).pipe(
        Effect.onInterrupt(() => Effect.sync(Splice.plain(socket).reset)),
        Effect.ensuring(Effect.sync(() => listening--)),
        Effect.flatMap((heard) => judged(socket, heard))
      )
    })

  const server: LocalServer.LocalServer = yield* LocalServer.make({ bind, serve, drain: 0 })
  return {
    ...server,
    address: Listening.format(server.bound),
    refusals,
    listening: () => listening,
    update: (next) => {
      settings = next
    }
  }
})
