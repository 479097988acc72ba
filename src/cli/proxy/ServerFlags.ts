/** The flags by which a proxy hears everything from Consul's servers, without an agent on its node. */
import { Option } from "effect"
import { Flag } from "effect/cli"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

export const flags = {
  grpcAddr: text(
    "grpc-addr",
    "HOST:PORT[,…]",
    "Hear everything from Consul's servers at this gRPC address, as Envoy does; asks no agent, and needs --proxy-id"
  ),
  grpcCaFile: text(
    "grpc-ca-file",
    "FILE",
    "PEM file of authorities that may sign the certificates of these servers; without it they are not asked by TLS"
  ),
  grpcServerName: text(
    "grpc-server-name",
    "NAME",
    "Name that these certificates must have: server.DATACENTER.DOMAIN; default: the host of --grpc-addr"
  ),
  nodeName: text("node-name", "NAME", "Node in the catalog where the proxy is registered, if not with an agent"),
  loginAuthMethod: text("login-auth-method", "NAME", "Auth method to log in at, instead of a token"),
  loginBearerTokenFile: text("login-bearer-token-file", "FILE", "File with the bearer token for that login"),
  loginMeta: Flag.String("login-meta").pipe(
    Flag.withDescription("What the token is remembered by; may be repeated"),
    Flag.withMetavar("KEY=VALUE"),
    Flag.atLeast(0)
  ),
  loginDatacenter: text("login-datacenter", "NAME", "Datacenter where to log in; default: that of the servers"),
  withoutServerDiscovery: Flag.Boolean("without-server-discovery").pipe(
    Flag.withDescription("Ask the servers of --grpc-addr only, as where they are behind a load balancer"),
    Flag.withDefault(false)
  )
}

/** Those that were given, if any were. */
export const addresses = ({ grpcAddr }: { readonly grpcAddr: Option.Option<string> }): string | undefined =>
  Option.getOrUndefined(grpcAddr)
