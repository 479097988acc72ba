/**
 * One service in the mesh: everything that a `MeshListener` and a `MeshDialer` need to act in its name, watched at the
 * Consul agent. Building it waits for roots, leaf and intentions, since nothing may open before they are there.
 */
import { Clock, Duration, Effect, Layer, Result } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Audit from "../intention/Audit.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as SpiffeRules from "../tls/SpiffeRules.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as JwtProviders from "../watch/JwtProviders.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as MeshDefaults from "../watch/MeshDefaults.ts"
import * as PeerBundles from "../watch/PeerBundles.ts"
import * as PreparedQueries from "../watch/PreparedQueries.ts"
import * as Watched from "../watch/Watched.ts"
import * as Authorization from "../inbound/Authorization.ts"
import * as MeshDialer from "../outbound/MeshDialer.ts"
import * as Tunnels from "../outbound/tunnel/Tunnels.ts"

export interface Options {
  /** Whose identity this is, and whose intentions are enforced. */
  readonly service: string
  /** What holds where no intention matches. Absent: what the agent is configured with. */
  readonly defaultPolicy?: Authorizer.DefaultPolicy | undefined
  /** Whether callers are judged by request (`http`, `http2`, `grpc`). Absent: what the config entries of the service say. */
  readonly protocol?: string | undefined
  /** Where refusals are only recorded, and everybody with a certificate of the mesh is let in. Default: nowhere. */
  readonly audit?: Audit.Scope | undefined
  /**
   * `ask`: instead of watching intentions, the agent is asked about each connection, and about open ones on the listener's
   * schedule. Requests are then not judged: see docs/native/trust.md for what that means. Default: `cached`.
   */
  readonly authorization?: "cached" | "ask" | undefined
  /** How long the agent has for one answer, where it is asked. Default: 5 seconds. */
  readonly askTimeout?: Duration.Input | undefined
  /**
   * `leaf`: for authorities that can not follow SPIFFE, at the risk of trusting those of other meshes under the same root;
   * see `SpiffeRules.Extent`. Default: `strict`.
   */
  readonly spiffe?: SpiffeRules.Extent | undefined
  /** Whether connections go through tunnels where the other side takes them: see docs/tunnel.md. Default: false. */
  readonly tunnels?: boolean | undefined
  /** How long to wait for the agent. Default: 30 seconds. */
  readonly readyWithin?: Duration.Input | undefined
}

export type Mesh =
  | CaRoots.CaRoots
  | LeafCertificate.LeafCertificate
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | SecureContexts.SecureContexts
  | DiscoveryChains.DiscoveryChains
  | Endpoints.Endpoints
  | PreparedQueries.PreparedQueries
  | MeshDialer.MeshDialer

/**
 * Fails when something has not arrived in time, saying what and why. Later failures of the agent change nothing.
 *
 * Each service gets layers of its own (`fresh`): shared ones, as Effect shares equal layers within a program, would give
 * two services one identity. What they watch is shared all the same, by the client.
 */
export const layer = (options: Options): Layer.Layer<Mesh, Watched.NotReady, ConsulClient.ConsulClient> =>
  MeshDialer.layer.pipe(
    Layer.provideMerge(options.tunnels === true ? Tunnels.layer : Layer.empty),
    Layer.provideMerge(
      Layer.mergeAll(
        SecureContexts.layerWith(options),
        DiscoveryChains.layer,
        Endpoints.layer,
        PreparedQueries.layer
      )
    ),
    Layer.provideMerge(Layer.unwrap(
      Effect.map(ConsulClient.ConsulClient, ({ address }) => arrival(options.readyWithin, `the agent at ${address}`))
    )),
    Layer.provideMerge(Layer.merge(JwtProviders.layer, MeshDefaults.layer)),
    Layer.provideMerge(
      authorization(options).pipe(
        Layer.provideMerge(PeerBundles.layer),
        Layer.provideMerge(Layer.mergeAll(CaRoots.layer, LeafCertificate.layer({ service: options.service })))
      )
    ),
    Layer.fresh
  )

const authorization = (
  options: Options
): Layer.Layer<Intentions.Intentions, never, ConsulClient.ConsulClient | CaRoots.CaRoots> =>
  options.authorization === "ask"
    ? Authorization.layerAsked({ ...options, timeout: options.askTimeout })
    : Layer.mergeAll(Intentions.layer({ ...options, destination: options.service }), Authorization.layerCached)

/** Waits for what nothing may open without. `asked` is for the error. */
export const arrival = (
  within: Duration.Input = "30 seconds",
  asked?: string
): Layer.Layer<
  never,
  Watched.NotReady,
  CaRoots.CaRoots | LeafCertificate.LeafCertificate | Intentions.Intentions | MeshDefaults.MeshDefaults
> =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const watched = [
        yield* CaRoots.CaRoots,
        yield* LeafCertificate.LeafCertificate,
        yield* Intentions.Intentions,
        yield* MeshDefaults.MeshDefaults
      ] as const
      yield* Effect.forEach(watched, (each) => Watched.readyWithin<unknown>(each, within, asked), {
        concurrency: "unbounded",
        discard: true
      })
      const [roots, leaf] = watched
      const usable = SecureContexts.material(yield* leaf.get, yield* roots.get, yield* Clock.currentTimeMillis)
      if (Result.isFailure(usable)) {
        return yield* new Watched.NotReady({
          what: "a usable certificate",
          waited: Duration.format(Duration.fromInputUnsafe(within)),
          lastError: usable.failure.message
        })
      }
    })
  )
