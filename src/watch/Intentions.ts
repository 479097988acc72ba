/** Who may call this service, compiled: the intentions that name it as their destination, and the default policy. */
import { Context, Effect, Layer, Schedule, type Scope, Stream, type SubscriptionRef } from "effect"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Audit from "../intention/Audit.ts"
import * as Authorizer from "../intention/Authorizer.ts"
import * as CaRoots from "./CaRoots.ts"
import * as IntentionMatches from "./IntentionMatches.ts"
import * as PeerBundles from "./PeerBundles.ts"
import * as ServiceProtocol from "./ServiceProtocol.ts"
import * as Watched from "./Watched.ts"

export class Intentions extends Context.Service<Intentions, Watched.Watched<Authorizer.Authorizer>>()(
  "effect-mesh/watch/Intentions"
) {}

const what = "the intentions"

/** Serves what is put into `ref`: a change of policy is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Authorizer.Authorizer>): Layer.Layer<Intentions> =>
  Layer.succeed(Intentions, Watched.fromRef(what, ref))

export interface Options {
  /** The service that is called. */
  readonly destination: string
  /**
   * What holds where no intention matches. Absent: what the agent is configured with, from `/v1/agent/self`, or deny where
   * the token may not read that (`agent:read`).
   */
  readonly defaultPolicy?: Authorizer.DefaultPolicy | undefined
  /** Whether callers are judged by request (`http`, `http2`, `grpc`). Absent: what the config entries of the service say. */
  readonly protocol?: string | undefined
  /** Where refusals are only recorded, and every caller with a certificate of the mesh is let in. Default: nowhere. */
  readonly audit?: Audit.Scope | undefined
}

/** Watches the Consul agent. Needs `intentions:read`. Builds at once: wait for the first list with `Watched.ready`. */
export const layer = (
  options: Options
): Layer.Layer<Intentions, never, ConsulClient.ConsulClient | CaRoots.CaRoots> =>
  Layer.effect(
    Intentions,
    Effect.gen(function*() {
      const policies = yield* watchPolicy(options)
      const audit = options.audit ?? Audit.nowhere
      yield* warnOfAudit(audit, options.destination)
      const protocol = options.protocol === undefined
        ? yield* ServiceProtocol.watch(options.destination)
        : Watched.constant("the protocol", options.protocol)
      const peers = yield* PeerBundles.PeerBundles
      yield* Effect.forkScoped(Stream.runForEach(policies.changes, ({ intentions }) =>
        intentions.some(({ SourcePeer }) =>
            SourcePeer !== undefined && SourcePeer !== ""
          )
          ? peers.want
          : Effect.void))
      const trustDomain = Watched.map(yield* CaRoots.CaRoots, "the trust domain", (bundle) =>
        bundle.trustDomain)
      return yield* Watched.shared(
        Watched.map(
          Watched.zip(policies, Watched.zip(protocol, Watched.zip(trustDomain, peers.bundles, what), what), what),
          what,
          ([policy, [protocol, [trustDomain, bundles]]]) =>
            Audit.authorizer(
              audit,
              Authorizer.compile({
                destination: { service: options.destination, protocol },
                trustDomain,
                peers: Array.from(bundles, ([name, { trustDomain }]) => ({ name, trustDomain })),
                ...policy
              })
            )
        )
      )
    })
  )

/** Says so now and every ten minutes, where it is on. */
export const warnOfAudit = (audit: Audit.Scope, destination: string): Effect.Effect<void, never, Scope.Scope> =>
  Audit.isOn(audit, destination)
    ? Effect.asVoid(
      Effect.forkScoped(
        Effect.schedule(Effect.logWarning(Audit.warning(destination)), Schedule.spaced("10 minutes")),
        { startImmediately: true }
      )
    )
    : Effect.void

const watchPolicy = (options: Options) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const { destination } = options
    const name = `GET /v1/connect/intentions/match?by=destination&name=${destination}`
    return yield* consul.share(
      `${name} ${options.defaultPolicy ?? ""}`,
      Effect.gen(function*() {
        const matches = yield* IntentionMatches.shared(consul)
        const query = yield* matches.of(destination, options.defaultPolicy)
        return yield* Watched.make(
          { what, watch: "intentions", subject: destination },
          BlockingQuery.byIndex(name, query)
        )
      })
    )
  })
