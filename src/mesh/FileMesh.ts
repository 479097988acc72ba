/**
 * A service in the mesh without an agent: who it is comes from files that somebody else keeps current, everything else from
 * the program. What is built on a `Mesh` does not notice the difference.
 */
import { type Duration, Effect, Layer } from "effect"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Authorizer from "../intention/Authorizer.ts"
import type * as Intention from "../intention/Intention.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as SpiffeRules from "../tls/SpiffeRules.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as FileIdentity from "../watch/FileIdentity.ts"
import * as Intentions from "../watch/Intentions.ts"
import type * as JwtProvider from "../watch/JwtProvider.ts"
import * as JwtProviders from "../watch/JwtProviders.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as MeshDefaults from "../watch/MeshDefaults.ts"
import * as PreparedQueries from "../watch/PreparedQueries.ts"
import * as Watched from "../watch/Watched.ts"
import type * as Connect from "../outbound/Connect.ts"
import * as Listening from "../net/Listening.ts"
import * as Mesh from "./Mesh.ts"
import * as MeshDialer from "../outbound/MeshDialer.ts"

export interface Options extends FileIdentity.Options {
  /** Who may call. Those about other services do not count. Default: none. */
  readonly intentions?: ReadonlyArray<Intention.Intention> | undefined
  /** What holds where no intention matches. Default: `deny`. */
  readonly defaultPolicy?: Authorizer.DefaultPolicy | undefined
  /** Whether callers are judged by request (`http`, `http2`, `grpc`). Default: `tcp`. */
  readonly protocol?: string | undefined
  /** Whose tokens intentions may require. Default: nobody's. */
  readonly jwtProviders?: ReadonlyArray<JwtProvider.JwtProvider> | undefined
  /** Where the instances are of those that are called, by the name of the service. For what changes: `Resolver.fromStream`. */
  readonly services?: Readonly<Record<string, ReadonlyArray<Connect.Address>>> | undefined
  /** As in `Mesh.layer`. */
  readonly spiffe?: SpiffeRules.Extent | undefined
  /** How long to wait for the files. Default: 30 seconds. */
  readonly readyWithin?: Duration.Input | undefined
}

/** Fails when the files are not there in time, or can not be used, saying why. */
export const layer = (options: Options): Layer.Layer<Mesh.Mesh, Watched.NotReady> =>
  MeshDialer.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        SecureContexts.layerWith(options),
        discovery(options.services ?? {}),
        PreparedQueries.layerStatic()
      )
    ),
    Layer.provideMerge(Mesh.arrival(options.readyWithin)),
    Layer.provideMerge(
      Layer.mergeAll(intentions(options), JwtProviders.layerStatic(options.jwtProviders), MeshDefaults.layerStatic())
    ),
    Layer.provideMerge(FileIdentity.layer(options)),
    Layer.fresh
  )

/** About whomever the certificate names. */
const intentions = ({ defaultPolicy = "deny", intentions = [], protocol }: Options) =>
  Layer.effect(
    Intentions.Intentions,
    Effect.map(LeafCertificate.LeafCertificate, (leaf) =>
      Watched.map(leaf, "the intentions", ({ identity: { service, trustDomain } }) =>
        Authorizer.compile({ destination: { service, protocol }, trustDomain, intentions, defaultPolicy })))
  )

const discovery = (services: Readonly<Record<string, ReadonlyArray<Connect.Address>>>) =>
  Layer.unwrap(Effect.map(LeafCertificate.LeafCertificate, (leaf) =>
    Layer.merge(
      DiscoveryChains.layerStatic((request) =>
        Watched.map(leaf, "the route", ({ identity }) => ({
          targets: [targetOf(request, identity)],
          connectTimeoutMillis: request.connectTimeoutMillis ?? 5000
        }))
      ),
      Endpoints.layerStatic(({ service }) =>
        Watched.constant(
          "the instances",
          (services[service] ?? []).map((address) => ({ id: Listening.format(address), address, weight: 1 }))
        )
      )
    )))

/** In our own partition and namespace. */
const targetOf = (request: DiscoveryChains.Request, own: SpiffeId.Service): TcpRoute.Target => {
  const { service, datacenter = own.datacenter } = request
  const { namespace, partition, trustDomain } = own
  return {
    id: `${service}.${namespace}.${partition}.${datacenter}`,
    service,
    partition,
    namespace,
    datacenter,
    filter: "",
    onlyPassing: false,
    sni: `${service}.${namespace}.${datacenter}.internal.${trustDomain}`
  }
}
