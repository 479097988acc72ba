/**
 * The sidecar of one service: a public listener from the mesh to the application, and one listener for each
 * upstream from the application to the mesh, as the registration of the proxy says.
 *
 *     (1) registration ─▶ (2) what differs from what runs ─▶ (3) close, open or adjust those listeners, no other
 *
 * A listener that goes away stops accepting and lets its open connections finish. At the start every listener has to
 * bind; later on, one that can not is said at once and tried again until it binds or is no longer wanted.
 *
 * Identity, intentions and application belong together. A registration that names another service than the one whose
 * certificate this is would lead the callers of the one to the application of the other: while it does, nothing is open.
 */
import { Context, Deferred, Effect, Layer, Schedule, Schema, type Scope, Stream } from "effect"
import * as Marks from "../http/relay/Marks.ts"
import type * as Listening from "../net/Listening.ts"
import type * as MeshDialer from "../outbound/MeshDialer.ts"
import type * as Resolver from "../outbound/Resolver.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import type * as MeshDefaults from "../watch/MeshDefaults.ts"
import * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Watched from "../watch/Watched.ts"
import * as ExposedListener from "./ExposedListener.ts"
import * as Leaving from "./Leaving.ts"
import * as ListenerSet from "./ListenerSet.ts"
import * as AccessLogWriter from "./log/AccessLogWriter.ts"
import type * as Choice from "./log/Choice.ts"
import * as PublicListener from "./PublicListener.ts"
import * as UpstreamListener from "./UpstreamListener.ts"

export interface Options extends Leaving.Options {
  /** Judges open connections again, besides each change of intentions. Default: every minute. */
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
  /** When a listener that could not bind is tried again. Default: every 3 seconds. */
  readonly rebind?: Schedule.Schedule<unknown> | undefined
  /** What is wanted of its access log, besides what is registered. */
  readonly accessLog?: Choice.Choice | undefined
  /** What it says of itself in headers. Default: what Envoy's sidecars do. */
  readonly marks?: Partial<Marks.Marks> | undefined
  /** Whether connections between sidecars may share one: see docs/tunnel.md. Default: true. */
  readonly tunnels?: boolean | undefined
}

export type ListenerStatus = ListenerSet.ListenerStatus

export interface Status {
  /** The one in force. */
  readonly registration: ProxyRegistration.Registration
  /** The service to which the registration has moved. While it is there, nothing is open. */
  readonly movedTo: string | undefined
  /** Whether it serves, or leaves. */
  readonly phase: Leaving.Phase
  /** Those that drain included. */
  readonly listeners: ReadonlyArray<ListenerStatus>
}

/** A part of it has ended by itself, which is a bug: the log has its cause. Only a new sidecar helps. */
export class SidecarFailed extends Schema.TaggedError<SidecarFailed>()("SidecarFailed", { part: Schema.String }) {
  override readonly message = `${this.part} has ended by itself: a bug, whose cause is in the log`
}

export class Sidecar extends Context.Service<Sidecar, {
  /** What it does now. Synchronous and cheap. */
  readonly status: () => Status
  /** Waits for ever, unless it can not go on as a whole. */
  readonly failed: Effect.Effect<never, SidecarFailed>
  /** Leaves without losing a call, and returns when it has left. Again: waits for the same. */
  readonly leave: Effect.Effect<void>
  /** Waits until it has left by a `leave`. */
  readonly left: Effect.Effect<void>
}>()("effect-mesh/proxy/Sidecar") {}

/** What every listener of a sidecar needs. */
export type Services =
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | MeshDialer.MeshDialer
  | Resolver.Sources

/** Ready when all listeners accept; fails when one can not bind. Waits for everything that is being watched. */
export const make = Effect.fnUntraced(function*(options: Options = {}): Effect.fn.Return<
  Sidecar["Service"],
  Listening.ListenError,
  ProxyRegistration.ProxyRegistration | Services | Scope.Scope
> {
  const watched = yield* ProxyRegistration.ProxyRegistration
  const registration = yield* Watched.ready(watched)
  const service = (yield* Watched.ready(yield* Intentions.Intentions))().destination.service
  const failure = yield* Deferred.make<never, SidecarFailed>()
  const fail = (part: string) => Deferred.fail(failure, new SidecarFailed({ part }))
  const warn = warnOnce()
  // Before the listeners, so that it ends after them.
  const accessLog = yield* AccessLogWriter.make({ service, choice: options.accessLog })
  const listeners = yield* ListenerSet.make<ProxyRegistration.Registration, Services>((name) =>
    fail(`the listener ${name}`)
  )

  const first = registration()
  let applied = first
  let movedTo: string | undefined
  const sayMoved = Effect.suspend(() =>
    movedTo === undefined ? Effect.void : Effect.annotateLogs(
      Effect.logError(moved(applied.proxyId, service, movedTo)),
      { service }
    )
  )

  const { leave, left, phase } = yield* Leaving.make({
    name: first.proxyId,
    announce: Effect.andThen(options.announce ?? Effect.void, listeners.announce("inbound")),
    close: listeners.close,
    open: listeners.open
  }, options)

  const apply = Effect.fnUntraced(
    function*(next: ProxyRegistration.Registration, rebind?: Schedule.Schedule<unknown>) {
      movedTo = next.service === service ? undefined : next.service
      if (movedTo === undefined) {
        applied = next
        accessLog.follow(next.accessLogs)
      } else yield* sayMoved
      yield* warn(next.ignored)
      return yield* listeners.apply(movedTo === undefined ? plansOf(next, options, accessLog) : [], next, rebind)
    }
  )

  for (const { bound } of yield* apply(first)) yield* bound
  let seen = first
  yield* Effect.forkScoped(
    Stream.runForEach(watched.changes, (next) => {
      if (next === seen || phase() !== "serving") return Effect.void
      seen = next
      return Effect.andThen(
        Effect.logInfo(`the registration of ${next.proxyId} has changed`),
        apply(next, options.rebind ?? Schedule.spaced("3 seconds"))
      )
    }).pipe(
      Effect.tapDefect((defect) => Effect.logError("the registration is not followed any more", defect)),
      Effect.onError(() => fail("what follows the registration"))
    )
  )
  yield* Effect.forkScoped(Effect.schedule(sayMoved, Schedule.spaced("1 minute")))
  return {
    failed: Deferred.await(failure),
    leave,
    left,
    status: () => ({
      registration: applied,
      movedTo,
      phase: phase(),
      listeners: listeners.status()
    })
  }
})

export const layer = (options?: Options): Layer.Layer<
  Sidecar,
  Listening.ListenError,
  ProxyRegistration.ProxyRegistration | Services
> => Layer.effect(Sidecar, make(options))

/** Runs until it is interrupted. */
export const run = (options?: Options): Effect.Effect<
  never,
  Listening.ListenError,
  ProxyRegistration.ProxyRegistration | Services
> => Effect.scoped(Effect.andThen(make(options), Effect.never))

/** Says what is not supported, once for each. */
export const warnOnce = () => {
  const warned = new Set<string>()
  return (lines: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      const unsaid = lines.filter((line) => !warned.has(line))
      unsaid.forEach((line) => warned.add(line))
      return Effect.forEach(unsaid, (line) => Effect.logWarning(`not supported, and ignored: ${line}`), {
        discard: true
      })
    })
}

const moved = (proxyId: string, service: string, to: string): string =>
  `${proxyId} is registered as the proxy of ${to} now, and this sidecar holds the certificate and the ` +
  `intentions of ${service}: it has closed its ports, and open connections may end. To serve ${to}, start it ` +
  `again; to go on with ${service}, register it as the proxy of ${service}`

type Plan = ListenerSet.Plan<ProxyRegistration.Registration, Services>

const plansOf = (
  registration: ProxyRegistration.Registration,
  options: Options,
  accessLog: AccessLogWriter.AccessLogWriter
): ReadonlyArray<Plan> => {
  const marks = { ...Marks.envoy, ...options.marks }
  const { listen } = registration
  return [
    ...(listen === undefined ? [] : [
      {
        name: "public",
        direction: "inbound",
        service: registration.service,
        bind: listen,
        key: PublicListener.keyOf({ ...registration, listen }),
        start: (current) => PublicListener.make({ ...current, listen }, { ...options, marks, log: accessLog.log })
      } satisfies Plan
    ]),
    ...registration.exposed.map((exposed): Plan => ({
      name: ExposedListener.nameOf(exposed, registration),
      direction: "inbound",
      service: registration.service,
      bind: exposed.listen,
      key: ExposedListener.keyOf(exposed),
      start: (current) => {
        const now = current.exposed.find(({ listen }) => listen.port === exposed.listen.port)
        return ExposedListener.make(now ?? exposed, current, { ...options, marks, accessLog })
      }
    })),
    ...registration.upstreams.map((upstream): Plan => ({
      name: `upstream ${upstream.id}`,
      direction: "outbound",
      service: UpstreamListener.resolverOf(upstream).name,
      bind: upstream.bind,
      key: UpstreamListener.keyOf(upstream),
      start: (current) =>
        UpstreamListener.make(current.upstreams.find(({ id }) => id === upstream.id) ?? upstream, {
          ...options,
          caller: registration.service,
          marks,
          log: accessLog.log
        })
    }))
  ]
}
