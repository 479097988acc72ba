/**
 * From the mesh to the local application. The application is dialled only for callers that have been admitted: where the service
 * speaks HTTP, for requests that have been.
 */
import { Cause, Duration, Effect, Exit, Iterable, Option, Schedule, type Scope } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Marks from "../http/relay/Marks.ts"
import * as Listening from "../net/Listening.ts"
import type * as ConnectionHandler from "../inbound/ConnectionHandler.ts"
import * as ConnectionPolicy from "../inbound/http/ConnectionPolicy.ts"
import * as MeshListener from "../inbound/MeshListener.ts"
import * as Dial from "../net/Dial.ts"
import type * as Lifetimes from "../net/Lifetimes.ts"
import * as Splice from "../net/Splice.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import type * as MeshDefaults from "../watch/MeshDefaults.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Application from "./Application.ts"
import * as PublicHttp from "./http/PublicHttp.ts"
import type * as AccessLogWriter from "./log/AccessLogWriter.ts"
import * as ConnectionLine from "./log/ConnectionLine.ts"
import * as MatchedPolicy from "./log/MatchedPolicy.ts"
import * as TransportFailure from "./log/TransportFailure.ts"
import * as Listener from "./Listener.ts"

export interface Options {
  /** How long requests at hand may go on where their connection has to end. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
  readonly marks: Marks.Marks
  readonly tunnels?: boolean | undefined
  readonly log: () => AccessLogWriter.Log | undefined
  /** Whether the application hears in a header who the caller is, where it speaks HTTP. Default: true. */
  readonly tellsCaller?: boolean | undefined
  /** Takes connections that somebody else has accepted, instead of listening. */
  readonly from?: MeshListener.Source | undefined
  /** Reaches what is in the place of the application. */
  readonly connect?: Application.Connect | undefined
}

/** Of a service that lets callers in. */
export interface Registration extends ProxyRegistration.Registration {
  readonly listen: ProxyRegistration.Listen
}

/** What can not change while it is open. */
export const keyOf = ({ handshakeTimeoutMillis, listen }: Registration): string =>
  JSON.stringify([listen.host, listen.port, handshakeTimeoutMillis])

/** For the last words to a caller that may do nothing any more: its requests at hand have been ended. */
const deniedGraceMillis = 1000

export const make = Effect.fnUntraced(function*(
  registration: Registration,
  options: Options
): Effect.fn.Return<
  Listener.Listener,
  Listening.ListenError,
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> {
  let settings: ProxyRegistration.Registration = registration
  const intentions = yield* Intentions.Intentions
  const http = yield* PublicHttp.make(registration, options)
  const drainMillis = Duration.toMillis(Duration.fromInputUnsafe(options.drain ?? "10 seconds"))

  const contexts = yield* SecureContexts.SecureContexts
  const lineOf = (downstream: Splice.Stream, peer: SpiffeId.Service) =>
    options.log() === undefined ? undefined : ConnectionLine.begin({
      log: options.log,
      downstream,
      peer: SpiffeId.format(peer),
      identity: SpiffeId.format(contexts.current().leaf.identity)
    })

  const relay = (caller: MeshListener.Connection) => {
    const { application } = settings
    const line = lineOf(caller.socket, caller.caller)
    const relayed = Splice.spliceWith(
      caller,
      (options.connect ?? Application.connect)(settings),
      ({ socket }) => line?.reached(socket, Listening.format(application))
    )
    return line === undefined ? relayed : Effect.onExit(relayed, (exit) => Effect.sync(() => line.ended(endOf(exit))))
  }

  /** The same for the application itself. */
  const begin: ConnectionHandler.Begin = (caller, over) => {
    const { application, applicationConnectTimeoutMillis } = settings
    const line = lineOf(caller.socket, caller.caller)
    let cut = Dial.begin(application, applicationConnectTimeoutMillis, {
      connected: (side) => {
        line?.reached(side.socket, Listening.format(application))
        cut = Splice.relay(caller, side, () => {
          line?.ended(orderly)
          over()
        })
      },
      failed: (failure) => {
        const error = Application.unreachable(application, failure)
        line?.ended(unreached(error))
        over(error)
      }
    })
    return () => {
      cut()
      line?.ended(orderly)
    }
  }

  const listener = yield* MeshListener.make({
    ...registration.listen,
    from: options.from,
    // As it was let in: what the service speaks may be about to change.
    handle: (caller): Effect.Effect<unknown, Application.ApplicationUnreachable> =>
      ConnectionPolicy.isLeftToRequests(caller.decision) ? http.serve(caller) : relay(caller),
    begin: ({ decision }) =>
      options.connect === undefined && !ConnectionPolicy.isLeftToRequests(decision) ? begin : undefined,
    tunnels: options.tunnels ?? true,
    handshakeTimeout: registration.handshakeTimeoutMillis,
    maxConnections: registration.maxInboundConnections,
    arriving: arrivingOf(registration),
    ...lastingOf(registration),
    drain: 0, // the sidecar waits, for all of its listeners
    reauthorize: options.reauthorize ??
      Schedule.addDelay(Schedule.forever, () => Effect.sync(() => settings.reauthorizeMillis)),
    // One whose requests are judged may stay as long as they are; what came as bytes goes on as such.
    keep: (connection, current) =>
      ConnectionPolicy.isLeftToRequests(connection.decision)
        ? current.connection(connection.caller)
        : ConnectionPolicy.mayStay(http.gate.authorizer(), connection),
    denied: ({ caller, decision }, transport) =>
      lineOf(transport, caller)?.ended({
        cluster,
        flags: "-",
        termination: MatchedPolicy.details(decision, http.gate.authorizer())
      }),
    retire: (connection, why) =>
      ConnectionPolicy.isLeftToRequests(connection.decision)
        ? http.retire(connection, why === "denied" ? deniedGraceMillis : drainMillis)
        : connection.reset()
  }).pipe(Effect.provideService(Intentions.Intentions, ConnectionPolicy.intentions(intentions)))
  const stop = Effect.andThen(listener.stop, http.drain)
  yield* Effect.addFinalizer(() => stop)
  return {
    address: Listening.format(listener),
    announce: http.announce,
    stop,
    idle: listener.idle,
    counts: listener.stats,
    details: {
      connections: () => Iterable.map(listener.connections(), openConnection),
      callers: listener.callers,
      denials: () => [...listener.denials(), ...http.gate.log.denials()],
      judgeAgain: Effect.andThen(listener.judgeAgain, http.gate.judgeAgain),
      upstream: undefined
    },
    update: (next) =>
      Effect.sync(() => {
        settings = next
        http.update(next)
        listener.setLimits({ ...arrivingOf(next), maxConnections: next.maxInboundConnections }, lastingOf(next))
      })
  }
})

type Settings = Pick<ProxyRegistration.Registration, "arrivals" | "connections">

const arrivingOf = ({ arrivals, connections: { tcp } }: Settings) => ({ ...arrivals, tcp })

const lastingOf = ({ connections: { idleTimeoutMillis, maxLifetimeMillis } }: Settings): Lifetimes.Options => ({
  idleTimeout: idleTimeoutMillis,
  maxLifetime: maxLifetimeMillis
})

const openConnection = (
  { caller, decision, remote, since, socket }: MeshListener.Connection
): Listener.OpenConnection => ({
  remote,
  peer: caller,
  decision,
  to: undefined,
  openedAt: Listener.wallClock(since),
  sent: socket.bytesWritten,
  received: socket.bytesRead
})

/** Envoy's name of the application. */
const cluster = "local_app"

const endOf = (exit: Exit.Exit<unknown, Application.ApplicationUnreachable>): ConnectionLine.Ended => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  return error === undefined ? orderly : unreached(error)
}

const orderly: ConnectionLine.Ended = { cluster, flags: "-" }

const unreached = ({ code }: Application.ApplicationUnreachable): ConnectionLine.Ended => ({
  cluster,
  flags: "UF,URX",
  transportFailure: TransportFailure.ofCode(code)
})
