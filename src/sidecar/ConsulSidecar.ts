/** The sidecar of a proxy that is registered with the local Consul agent: registration → identity and watches → listeners. */
import { Context, type Duration, Effect, Layer, Metric, type Scope, Stream } from "effect"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Audit from "../intention/Audit.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Listening from "../net/Listening.ts"
import * as Mesh from "../mesh/Mesh.ts"
import type * as XdsMesh from "../mesh/XdsMesh.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as SpiffeRules from "../tls/SpiffeRules.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as WorkerShare from "../watch/registration/WorkerShare.ts"
import * as Watched from "../watch/Watched.ts"
import * as Maintenance from "./Maintenance.ts"
import * as Sidecar from "./Sidecar.ts"

export interface Options extends Omit<Sidecar.Options, "announce"> {
  /** What holds where no intention matches. Absent: what the agent is configured with. */
  readonly defaultPolicy?: Authorizer.DefaultPolicy | undefined
  /** Where refusals are only recorded, and everybody with a certificate of the mesh is let in. Default: nowhere. */
  readonly audit?: Audit.Scope | undefined
  /** How far peers have to follow SPIFFE. Default: `strict`. */
  readonly spiffe?: SpiffeRules.Extent | undefined
  /** The worker that this process is: it takes on its part of what limits allow. Absent: all of it. */
  readonly worker?: WorkerShare.Worker | undefined
  /** How long to wait for the agent, for each of registration, certificates and intentions. Default: 30 seconds. */
  readonly readyWithin?: Duration.Input | undefined
}

export interface ConsulSidecar {
  /** Listeners and their counts, now. */
  readonly status: () => Sidecar.Status
  /** Waits for ever, unless it can not go on as a whole. */
  readonly failed: Effect.Effect<never, Sidecar.SidecarFailed>
  /** Certificate and roots in force, now. */
  readonly material: () => SecureContexts.Material
  /** Asks for the leaf now, and returns once it is in force. The agent decides whether it is a new one. */
  readonly renew: Effect.Effect<LeafCertificate.Leaf, ConsulError.ConsulError>
  /** Who may call the service, and how fresh that knowledge is. */
  readonly authorizer: Watched.Watched<Authorizer.Authorizer>
  /**
   * Leaves without losing a call, and returns when it has left: with a `shutdownDelay` the proxy is put into maintenance first.
   * The scope ends by it too. Again: waits for the same.
   */
  readonly leave: Effect.Effect<void>
  /** Waits until it has left by a `leave`. */
  readonly left: Effect.Effect<void>
}

/**
 * Ready when all listeners accept. It serves one service: once the registration is that of another one, nothing is open. Its
 * metrics have the attribute `service`, and its lines of the log the annotation.
 */
export const make = (options: Options & { readonly proxyId: string }): ReturnType<typeof makeFrom> =>
  makeFrom(ProxyRegistration.layer({ proxyId: options.proxyId }), options)

/** The same, for a proxy that is described elsewhere than in the agent. */
export const makeFrom = (
  source: Layer.Layer<ProxyRegistration.ProxyRegistration, never, ConsulClient.ConsulClient>,
  options: Options
): Effect.Effect<
  ConsulSidecar,
  Watched.NotReady | Listening.ListenError,
  ConsulClient.ConsulClient | Scope.Scope
> =>
  assemble({
    registration: source,
    mesh: (service) => Mesh.layer({ ...options, service, tunnels: options.tunnels ?? true }),
    maintenance: Maintenance.make
  }, options)

/** The same, for a proxy that hears everything from Consul's servers. Nobody there is told when it leaves. */
export const makeFed = (
  fed: XdsMesh.Fed,
  options: Options & Pick<XdsMesh.Options, "asked">
): Effect.Effect<ConsulSidecar, Watched.NotReady | Listening.ListenError, Scope.Scope> =>
  // Loaded here, so that a sidecar with an agent does not carry it around.
  Effect.flatMap(Effect.promise(() => import("../mesh/XdsMesh.ts")), (XdsMesh) =>
    assemble({
      registration: XdsMesh.registration(fed),
      mesh: () => XdsMesh.layer(fed, { ...options, tunnels: options.tunnels ?? true }),
      maintenance: () => Effect.succeed({ begin: Effect.void, end: Effect.void })
    }, options))

/** Where the parts of a sidecar come from. */
interface Parts<R> {
  readonly registration: Layer.Layer<ProxyRegistration.ProxyRegistration, never, R>
  readonly mesh: (service: string) => Layer.Layer<Mesh.Mesh, Watched.NotReady, R>
  readonly maintenance: (proxyId: string) => Effect.Effect<Maintenance.Maintenance, never, R>
}

const assemble = <R>(
  parts: Parts<R>,
  options: Options
): Effect.Effect<ConsulSidecar, Watched.NotReady | Listening.ListenError, R | Scope.Scope> =>
  Effect.gen(function*() {
    const registrations = yield* Effect.map(Layer.build(parts.registration), shared(options.worker))
    const { proxyId, service } = yield* Effect.flatMap(
      ProxyRegistration.ProxyRegistration,
      (watched) => Watched.readyWithin(watched, options.readyWithin ?? "30 seconds")
    ).pipe(Effect.map((registration) => registration()), Effect.provideContext(registrations))
    return yield* Effect.gen(function*() {
      const mesh = yield* Layer.build(parts.mesh(service))
      return yield* Effect.gen(function*() {
        const maintenance = yield* parts.maintenance(proxyId)
        const { failed, leave, left, status } = yield* Sidecar.make({ ...options, announce: maintenance.begin })
        yield* Effect.forkScoped(maintenance.end)
        yield* Meter.follow(MetricCatalogue.sidecarRunning, { service, proxy: proxyId }, () => 1)
        const contexts = yield* SecureContexts.SecureContexts
        const authorizer = yield* Intentions.Intentions
        const leaf = yield* LeafCertificate.LeafCertificate
        return {
          status,
          failed,
          material: contexts.current,
          renew: renewed(leaf, contexts),
          authorizer,
          leave,
          left
        }
      }).pipe(Effect.provideContext(registrations), Effect.provideContext(mesh))
    }).pipe(inTheNameOf(service))
  })

const shared =
  (worker: WorkerShare.Worker | undefined) =>
  (registrations: Context.Context<ProxyRegistration.ProxyRegistration>): typeof registrations => {
    if (worker === undefined) return registrations
    const watched = Context.get(registrations, ProxyRegistration.ProxyRegistration)
    return Context.make(
      ProxyRegistration.ProxyRegistration,
      Watched.map(watched, watched.what, (registration) => WorkerShare.ofSidecar(registration, worker))
    )
  }

/** How long a leaf may take from its arrival to its use: it is turned into a secure context. */
const takingOver = "5 seconds"

const renewed = (
  leaf: LeafCertificate.Followed,
  contexts: SecureContexts.SecureContexts["Service"]
): ConsulSidecar["renew"] =>
  Effect.tap(leaf.ask ?? leaf.get, ({ certificate }) =>
    contexts.changes.pipe(
      Stream.takeUntil((material) => material.leaf.certificate.serial === certificate.serial),
      Stream.runDrain,
      Effect.timeoutOption(takingOver)
    ))

const inTheNameOf = (service: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.updateService(Metric.CurrentMetricAttributes, (attributes) => ({ ...attributes, service })),
    Effect.annotateLogs({ service })
  )

/** Who it is and where it listens, a line for each. */
export const describe = (self: ConsulSidecar): string => {
  const { listeners, registration } = self.status()
  const application = Listening.format(registration.application)
  return [
    `${registration.proxyId} is ${SpiffeId.format(self.material().leaf.identity)}`,
    ...listeners.map(({ address, direction, service }) =>
      direction === "inbound"
        ? `  callers from the mesh → ${address} → the application ${service} at ${application}`
        : `  the application → ${address} → the service ${service}`
    )
  ].join("\n")
}

/** The same as keys of a log entry. */
export const keys = (self: ConsulSidecar): Readonly<Record<string, unknown>> => {
  const { listeners, registration } = self.status()
  return {
    proxy: registration.proxyId,
    identity: SpiffeId.format(self.material().leaf.identity),
    ...(registration.listen === undefined ? {} : { application: Listening.format(registration.application) }),
    listeners: listeners.map(({ address, direction, service }) => ({ direction, address, service }))
  }
}
