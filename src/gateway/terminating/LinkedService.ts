/**
 * One service outside of the mesh, in the mesh: callers meet its certificate, its intentions judge them, and what is let in goes out
 * to one of its instances. The public listener of a sidecar, with the outside in the place of the application.
 */
import { Effect, Layer, type Scope, Stream } from "effect"
import type * as Catalog from "../../consul/Catalog.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import * as Proxy from "../../consul/Proxy.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import type * as MeshListener from "../../inbound/MeshListener.ts"
import * as Mesh from "../../mesh/Mesh.ts"
import * as Listening from "../../net/Listening.ts"
import type * as Listener from "../../sidecar/Listener.ts"
import type * as AccessLogWriter from "../../sidecar/log/AccessLogWriter.ts"
import * as PublicListener from "../../sidecar/PublicListener.ts"
import * as Protocol from "../../watch/registration/Protocol.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as ServiceProtocol from "../../watch/ServiceProtocol.ts"
import * as Watched from "../../watch/Watched.ts"
import type * as Gateway from "../Gateway.ts"
import * as Outside from "./Outside.ts"

/** What is wanted of a terminating gateway. */
export interface Wanted extends Gateway.Wanted {
  readonly links: ReadonlyArray<Catalog.GatewayService>
}

export interface Options extends Pick<Mesh.Options, "defaultPolicy" | "audit" | "spiffe" | "readyWithin"> {
  readonly service: string
  readonly datacenter: string
  /** Hands over the connections that ask for it. */
  readonly from: MeshListener.Source
  readonly accessLog: AccessLogWriter.AccessLogWriter
  readonly marks: Marks.Marks
}

/** Fails where its certificate or its intentions do not arrive. */
export const make = Effect.fnUntraced(function*(
  wanted: Wanted,
  { accessLog, datacenter, from, marks, service, ...options }: Options
): Effect.fn.Return<
  Listener.Listener<Wanted>,
  Listening.ListenError,
  ConsulClient.ConsulClient | Scope.Scope
> {
  const consul = yield* ConsulClient.ConsulClient
  let current = wanted
  let link: Outside.Link = linkOf(wanted, service)
  const unready = ({ message }: Watched.NotReady) =>
    new Listening.ListenError({ address: `behalf of ${service}`, code: message })
  const mesh = yield* Effect.mapError(Layer.build(Mesh.layer({ ...options, service })), unready)
  const protocols = yield* ServiceProtocol.watch(service)
  const protocol = yield* Effect.mapError(Watched.readyWithin(protocols, options.readyWithin ?? "30 seconds"), unready)
  const connect = yield* Outside.make({
    consul,
    datacenter,
    link: () => link,
    connectTimeoutMillis: () => current.registration.connectTimeoutMillis
  })
  const registration = () => registrationOf(current, link, Protocol.fromText(protocol()))
  const listener = yield* PublicListener.make(registration(), {
    marks,
    from,
    connect,
    // A tunnel is to an address, and at this one there are several services.
    tunnels: false,
    tellsCaller: false,
    log: accessLog.log
  }).pipe(Effect.provideContext(mesh))
  yield* Effect.forkScoped(
    Stream.runForEach(protocols.changes, () => Effect.suspend(() => listener.update(registration())))
  )
  return {
    ...listener,
    update: (next) =>
      Effect.suspend(() => {
        current = next
        link = linkOf(next, service)
        return listener.update(registration())
      })
  }
})

/** A link that is gone ends its listener, not what is open. */
const linkOf = ({ links }: Wanted, service: string): Outside.Link => {
  const found = links.find(({ Service }) => Service.Name === service)
  return found ??
    { Service: { Name: service, Namespace: "", Partition: "" }, CAFile: "", CertFile: "", KeyFile: "", SNI: "" }
}

const registrationOf = (
  { registration }: Wanted,
  link: Outside.Link,
  protocol: Protocol.Protocol
): PublicListener.Registration => {
  const { binds: [bind], proxyId } = registration
  const listen = { host: bind?.host ?? "0.0.0.0", port: bind?.port ?? 0 }
  return {
    ...ProxyRegistration.fromProxy(proxyId, listen, Proxy.Proxy.make({ DestinationServiceName: link.Service.Name })),
    listen,
    // Where it changes, connections that were made before take no new requests.
    application: { path: Outside.describe(link) },
    protocol,
    applicationConnectTimeoutMillis: registration.connectTimeoutMillis,
    handshakeTimeoutMillis: registration.handshakeTimeoutMillis,
    connections: registration.connections
  }
}
