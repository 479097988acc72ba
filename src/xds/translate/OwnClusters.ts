/** Clusters that are not of the mesh: the application, its exposed ports, the servers of token providers. */
import { Duration } from "effect"
import { isIP } from "node:net"
import type { JwtProvider } from "../../consul/config/JwtProvider.ts"
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as Assignments from "./Assignments.ts"
import * as ExposedListeners from "./ExposedListeners.ts"
import * as Names from "./Names.ts"
import * as Settings from "./Settings.ts"
import * as Tokens from "./Tokens.ts"
import * as UpstreamCluster from "./UpstreamCluster.ts"
import * as Values from "./Values.ts"

type Cluster = Message<"cluster.Cluster">

export const make = (snapshot: Snapshot.Sidecar): ReadonlyArray<Cluster> => [
  application(snapshot),
  ...exposed(snapshot),
  ...Tokens.named(snapshot.intentions).flatMap((name) => {
    const provider = snapshot.jwtProviders.get(name)
    return provider === undefined ? [] : keys(provider)
  })
]

const application = (snapshot: Snapshot.Sidecar): Cluster => {
  const settings = Settings.of(snapshot)
  const { LocalServiceAddress, LocalServicePort, LocalServiceSocketPath } = snapshot.proxy
  const address = LocalServiceSocketPath === ""
    ? Values.address(LocalServiceAddress || "127.0.0.1", LocalServicePort)
    : { pipe: { path: LocalServiceSocketPath } }
  return {
    name: Names.localApp,
    type: "STATIC",
    connect_timeout: Values.duration(settings.connectTimeoutMillis),
    load_assignment: Assignments.fixed(Names.localApp, address),
    circuit_breakers: settings.maxInboundConnections === 0
      ? undefined
      : { thresholds: [{ max_connections: settings.maxInboundConnections }] },
    typed_extension_protocol_options: Values.isHttp2(settings.protocol) ? UpstreamCluster.asDownstream : undefined
  }
}

const exposed = (snapshot: Snapshot.Sidecar): ReadonlyArray<Cluster> =>
  ExposedListeners.ports(snapshot).flatMap(({ cluster, path: { application, protocol } }) =>
    "path" in application ? [] : [{
      name: cluster,
      type: "STATIC" as const,
      connect_timeout: Values.duration(Settings.of(snapshot).connectTimeoutMillis),
      load_assignment: Assignments.fixed(cluster, Values.address(application.host, application.port)),
      typed_extension_protocol_options: protocol === "http2" ? UpstreamCluster.http2Options : undefined
    }]
  )

/** Where the keys of a provider are fetched. */
const keys = ({ JSONWebKeySet, Name }: JwtProvider): ReadonlyArray<Cluster> => {
  const remote = JSONWebKeySet?.Remote
  if (remote === undefined || !URL.canParse(remote.URI)) return []
  const { hostname, port, protocol } = new URL(remote.URI)
  const host = hostname.replace(/^\[|\]$/g, "")
  const secure = protocol === "https:"
  const name = Names.jwksCluster(Name)
  const said = remote.JWKSCluster
  return [{
    name,
    type: (said?.DiscoveryType || (isIP(host) === 0 ? "STRICT_DNS" : "STATIC")) as Cluster["type"],
    connect_timeout: Values.duration(
      said?.ConnectTimeout === undefined ? 5000 : Duration.toMillis(said.ConnectTimeout)
    ),
    load_assignment: Assignments.fixed(name, Values.address(host, Number(port) || (secure ? 443 : 80))),
    transport_socket: secure
      ? {
        name: "tls",
        typed_config: any("tls.UpstreamTlsContext", {
          sni: isIP(host) === 0 ? host : undefined,
          common_tls_context: {
            validation_context: {
              trusted_ca: authority(said?.TLSCertificates?.TrustedCA),
              // An authority vouches for anybody: who could answer in place of the server could sign any token.
              match_typed_subject_alt_names: [{
                san_type: isIP(host) === 0 ? "DNS" : "IP_ADDRESS",
                matcher: { exact: host }
              }]
            }
          }
        })
      }
      : undefined
  }]
}

type TrustedCa = NonNullable<
  NonNullable<
    NonNullable<NonNullable<NonNullable<JwtProvider["JSONWebKeySet"]>["Remote"]>["JWKSCluster"]>["TLSCertificates"]
  >["TrustedCA"]
>

/** The system's where the entry names none. */
const authority = (said: TrustedCa | undefined): Message<"core.DataSource"> =>
  said === undefined
    ? { filename: "/etc/ssl/certs/ca-certificates.crt" }
    : said.Filename !== ""
    ? { filename: said.Filename }
    : said.EnvironmentVariable !== ""
    ? { environment_variable: said.EnvironmentVariable }
    : said.InlineString !== ""
    ? { inline_string: said.InlineString }
    : { inline_bytes: said.InlineBytes }
